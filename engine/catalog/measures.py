"""The measures: everything about each one that several parts of the program need, once.

How a measure is computed is in engine/metrics, in a function that names its key. A measure that is declared here and
not computed there, or the other way round, is an error when engine.metrics is imported. Tables, CSV, JSON, LaTeX, the
comparison of two arms, the columns of the live screen and the explanations follow from what is declared here.

R replicas, N test examples; A_r is the accuracy and L_r the cross-entropy of replica r.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from engine.catalog.disputes import DISPUTES
from engine.catalog.measure_declaration import STATISTICS, Group, Measure, View

PAPER = "Summers & Dinneen (2021)"
JORDAN = "Jordan (ICLR 2024)"

_ACCURACY_SD = Measure(
    key="accuracy_sd",
    group="images",
    statistic="sd",
    error="bootstrap",
    interval="sd",
    title="accuracy SD",
    short="acc SD",
    unit="%",
    views=("table", "monitor", "published"),
    meaning="How far the replicas' test accuracies scatter around their mean.",
    formula="sqrt(sum over r of (A_r - mean A)² / R), with R and not R − 1 in the denominator",
    latex=r"\sqrt{\frac{1}{R}\sum_r (A_r - \bar{A})^2}",
    source=f"{PAPER}, section 3.1; numpy.std in the published code",
)

_DISAGREEMENT = Measure(
    key="disagreement",
    group="images",
    statistic="pairs",
    interval="pairs",
    bounds=(0.0, 100.0),
    title="disagreement",
    short="disagree",
    unit="%",
    views=("table", "monitor", "published"),
    meaning="The share of test examples on which two replicas predict different classes, averaged over all pairs.",
    formula="mean over pairs r < s of 100/N · number of examples whose largest logit is another class's in r than in s",
    latex=r"\frac{2}{R(R-1)}\sum_{r<s}\frac{100}{N}\sum_i [\hat{y}_{ri} \neq \hat{y}_{si}]",
    source=f"{PAPER}, section 3.1",
)

_IMAGES = (
    Measure(
        key="accuracy_mean",
        group="images",
        statistic="mean",
        interval="mean",
        title="accuracy",
        short="acc",
        unit="%",
        views=("table",),
        meaning="The mean of the replicas' test accuracies.",
        formula="mean over r of A_r",
        latex=r"\frac{1}{R}\sum_r A_r",
        source=f"{PAPER}, section 3.1",
    ),
    _ACCURACY_SD,
    Measure(
        key="cross_entropy_mean",
        group="images",
        statistic="mean",
        interval="mean",
        title="cross-entropy",
        short="CE",
        unit="nats",
        digits=4,
        meaning="The mean of the replicas' test cross-entropies.",
        formula="mean over r of L_r",
        latex=r"\frac{1}{R}\sum_r L_r",
        source=f"{PAPER}, section 3.1",
    ),
    Measure(
        key="cross_entropy_sd",
        group="images",
        statistic="sd",
        error="bootstrap",
        interval="sd",
        title="cross-entropy SD",
        short="CE SD",
        unit="nats",
        digits=4,
        views=("table", "monitor", "published"),
        meaning="How far the replicas' test cross-entropies scatter around their mean.",
        formula="sqrt(sum over r of (L_r - mean L)² / R)",
        latex=r"\sqrt{\frac{1}{R}\sum_r (L_r - \bar{L})^2}",
        source=f"{PAPER}, section 3.1; numpy.std in the published code",
    ),
    _DISAGREEMENT,
    Measure(
        key="correlation",
        group="images",
        statistic="pairs",
        interval="pairs",
        bounds=(-1.0, 1.0),
        title="correlation",
        short="corr",
        unit="Spearman",
        digits=3,
        views=("table", "monitor", "published"),
        meaning="How alike the orders of two replicas' logits are, 1 where they are the same, averaged over all pairs.",
        formula="mean over pairs of Spearman's rank correlation of the N·C logits, ties at their average rank",
        latex=r"\frac{2}{R(R-1)}\sum_{r<s}\rho_{\mathrm{Spearman}}(z_r, z_s)",
        source=f"{PAPER}, section 3.1",
    ),
    Measure(
        key="ensemble_delta",
        group="images",
        statistic="pairs",
        interval="pairs",
        title="ensemble Δ",
        short="ens Δ",
        unit="% points",
        views=("table", "monitor", "published"),
        meaning="The accuracy that averaging the logits of two replicas gains over the mean accuracy of the two.",
        formula="mean over pairs of A of the mean logits of r and s, less (A_r + A_s)/2",
        latex=r"\frac{2}{R(R-1)}\sum_{r<s}\left(A_{(z_r+z_s)/2} - \frac{A_r + A_s}{2}\right)",
        source=f"{PAPER}, section 3.1, equation 1",
    ),
    Measure(
        key="ensemble_cross_entropy_delta",
        group="images",
        statistic="pairs",
        title="ensemble cross-entropy Δ",
        short="ens CE Δ",
        unit="nats",
        digits=4,
        meaning="The cross-entropy of two replicas' mean logits less the mean of the two; negative is better.",
        formula="mean over pairs of L of the mean logits of r and s, less (L_r + L_s)/2",
        latex=r"\frac{2}{R(R-1)}\sum_{r<s}\left(L_{(z_r+z_s)/2} - \frac{L_r + L_s}{2}\right)",
        source=f"{PAPER}, published code",
    ),
    Measure(
        key="pearson",
        group="images",
        statistic="pairs",
        title="linear correlation",
        short="Pearson",
        unit="Pearson",
        digits=3,
        meaning="How alike two replicas' logits are up to their mean and scale, averaged over all pairs.",
        formula="mean over pairs of Pearson's correlation of the N·C logits",
        latex=r"\frac{2}{R(R-1)}\sum_{r<s}\rho_{\mathrm{Pearson}}(z_r, z_s)",
        source=f"{PAPER}, published code",
    ),
)

_TEXT = (
    Measure(
        key="perplexity_mean",
        group="text",
        statistic="mean",
        interval="mean",
        title="perplexity",
        short="PPL",
        unit="per word",
        views=("table", "monitor"),
        meaning="The mean of the replicas' test perplexities.",
        formula="mean over r of P_r = exp(L_r)",
        latex=r"\frac{1}{R}\sum_r e^{L_r}",
        source=f"{PAPER}, section 3.3",
    ),
    Measure(
        key="perplexity_sd",
        group="text",
        statistic="sd",
        error="bootstrap",
        interval="sd",
        title="perplexity SD",
        short="PPL SD",
        unit="per word",
        views=("table", "monitor", "published"),
        meaning="How far the replicas' test perplexities scatter around their mean.",
        formula="sqrt(sum over r of (P_r - mean P)² / R), P_r = exp(L_r)",
        latex=r"\sqrt{\frac{1}{R}\sum_r (P_r - \bar{P})^2}",
        source=f"{PAPER}, section 3.3",
    ),
    Measure(
        key="cross_entropy_mean",
        group="text",
        statistic="mean",
        interval="mean",
        title="cross-entropy",
        short="CE",
        unit="nats per word",
        digits=4,
        meaning="The mean over replicas of the negative log-probability of the true word.",
        formula="mean over r of L_r",
        latex=r"\frac{1}{R}\sum_r L_r",
        source=f"{PAPER}, section 3.3",
    ),
    Measure(
        key="accuracy_mean",
        group="text",
        statistic="mean",
        interval="mean",
        title="accuracy",
        short="acc",
        unit="%",
        views=("table",),
        meaning="The share of words that were the likeliest one, averaged over the replicas.",
        formula="mean over r of A_r",
        latex=r"\frac{1}{R}\sum_r A_r",
        source=f"{PAPER}, section 3.3",
    ),
    Measure(
        key="disagreement",
        group="text",
        statistic="pairs",
        interval="pairs",
        bounds=(0.0, 100.0),
        title="disagreement",
        short="disagree",
        unit="%",
        views=("table", "monitor", "published"),
        meaning="The share of words before which two replicas expect different ones, averaged over all pairs.",
        formula="mean over pairs r < s of 100/N · number of words before which the likeliest word differs",
        latex=r"\frac{2}{R(R-1)}\sum_{r<s}\frac{100}{N}\sum_i [\hat{y}_{ri} \neq \hat{y}_{si}]",
        source=f"{PAPER}, section 3.3",
    ),
    Measure(
        key="ensemble_perplexity_delta",
        group="text",
        statistic="pairs",
        interval="pairs",
        title="ensemble Δ",
        short="ens Δ",
        unit="perplexity",
        views=("table", "monitor", "published"),
        meaning="The perplexity of two replicas' mean probabilities less the mean of the two; negative is better.",
        formula="mean over pairs of P of the mean probabilities of r and s, less (P_r + P_s)/2",
        latex=r"\frac{2}{R(R-1)}\sum_{r<s}\left(P_{(p_r+p_s)/2} - \frac{P_r + P_s}{2}\right)",
        source=f"{PAPER}, section 3.3",
    ),
)

DIAGNOSTICS_PANEL = (
    Measure(
        key="sample_sd",
        group="diagnostics",
        statistic="arm",
        interval="sd",
        title="accuracy SD, R-1",
        short="SD, R-1",
        unit="%",
        digits=3,
        meaning="The accuracy SD with R − 1 in the denominator, as in the two columns that it is to be compared with.",
        formula="sqrt(sum over r of (A_r - mean A)² / (R − 1))",
        latex=r"\sqrt{\frac{1}{R-1}\sum_r (A_r - \bar{A})^2}",
        source="the usual estimate; accuracy_sd is the paper's, with R",
    ),
    Measure(
        key="test_set_sd",
        group="diagnostics",
        statistic="arm",
        title="test-set SD",
        short="test SD",
        unit="%",
        digits=3,
        meaning="The accuracy SD that errors at random in this test set alone would give at most.",
        formula="100 · sqrt(d / 2N), d the disagreement as a share",
        latex=r"100\sqrt{\frac{d}{2N}}",
        source=f"{JORDAN}, section 3, with the disagreement as a bound",
    ),
    Measure(
        key="independent_sd",
        group="diagnostics",
        statistic="arm",
        title="independent SD",
        short="indep SD",
        unit="%",
        digits=3,
        meaning="The accuracy SD of replicas that err independently from example to example.",
        formula="100 · sqrt(sum over i of Var(c_i)) / N, c_i whether replicas are right on example i, ddof 1",
        latex=r"\frac{100}{N}\sqrt{\sum_i \mathrm{Var}_r(c_{ri})}",
        source=f"{JORDAN}, section 3",
    ),
    Measure(
        key="true_sd",
        group="diagnostics",
        statistic="arm",
        interval="true_sd",
        title="true SD",
        short="true SD",
        unit="%",
        digits=3,
        meaning="The SD of accuracy on all data of this kind; 0 where the estimate of its square is negative.",
        formula="100 · sqrt(N/(N−1) · (Var(A) − sum over i of Var(c_i) / N²)), A as a share, ddof 1",
        latex=r"100\sqrt{\frac{N}{N-1}\left(\mathrm{Var}_r(A_r) - \frac{1}{N^2}\sum_i \mathrm{Var}_r(c_{ri})\right)}",
        source=f"{JORDAN}, theorem 2",
    ),
    Measure(
        key="error",
        group="diagnostics",
        statistic="arm",
        title="error",
        short="error",
        unit="%",
        meaning="The mean test error; it equals the disagreement where the votes of replicas are calibrated by class.",
        formula="100 − mean over r of A_r",
        latex=r"100 - \bar{A}",
        source="Jiang et al. (ICLR 2022), on disagreement and test error",
    ),
    replace(_DISAGREEMENT, interval="none", bounds=None),
    Measure(
        key="sd_ratio",
        group="diagnostics",
        statistic="arm",
        title="detectable",
        short="detect",
        unit="SD ratio",
        meaning="The ratio of two arms' SDs that an F test of normal figures tells apart (80 % power, 5 % level).",
        formula="exp((z_0.975 + z_0.8) · sqrt(1/(R−1)))",
        latex=r"\exp\left((z_{0.975} + z_{0.8})\sqrt{\frac{1}{R-1}}\right)",
        source="normal approximation of the logarithm of an SD, whose variance is 1/(2(R−1)) per arm",
    ),
)
"""In the order in which they are read: what was seen, what chance would give, what is left. All SDs here have R − 1."""

DISPUTES_PANEL = (replace(_DISAGREEMENT, interval="none", bounds=None), *DISPUTES)
"""The disagreement, which has its interval in the table, and what it is made of."""

MEASURES: dict[Group, tuple[Measure, ...]] = {
    "images": (*_IMAGES, *DISPUTES),
    "text": _TEXT,
    "diagnostics": tuple(measure for measure in DIAGNOSTICS_PANEL if measure.group == "diagnostics"),
}
"""Every measure, in the order of the paper's tables and of the fields in metrics.json; then what lies behind them."""

EPOCH_FIGURES: dict[str, str] = {
    "accuracy": "test accuracy, %",
    "cross-entropy": "test cross-entropy, nats",
    "perplexity": "test perplexity",
    "reported": "the reported number",
}
"""What an axis calls the figures of every epoch, by their names in `engine.study.series`."""


def find_measure(group: Group, key: str) -> Measure:
    """Return a measure by its key.

    Raises:
        KeyError: If the group has none of this key.
    """
    found = {measure.key: measure for measure in MEASURES[group]}
    return found[key]


def list_columns(view: View, *, text: bool) -> tuple[Measure, ...]:
    """Return the measures that are columns of a view of images' or language models' arms, in order."""
    return tuple(measure for measure in MEASURES["text" if text else "images"] if view in measure.views)


def list_fields(measures: Iterable[Measure]) -> tuple[str, ...]:
    """Return the fields of some measures: means, SDs with their errors, values of pairs, intervals."""
    ordered = sorted(measures, key=lambda measure: STATISTICS.index(measure.statistic))
    early = [name for measure in ordered for name in measure.fields if name != measure.interval_field]
    return (*early, *(measure.interval_field for measure in ordered if measure.interval_field is not None))


def digest_measures() -> str:
    """Digest the measures and the versions of their formulas; where the digest changes, all are computed again."""
    facts = [
        f"{measure.group} {measure.key} {measure.statistic} {measure.error} {measure.interval} {measure.bounds} "
        f"{measure.version}"
        for group in MEASURES.values()
        for measure in group
    ]
    return hashlib.sha256("\n".join(sorted(facts)).encode()).hexdigest()[:16]
