"""What the process that compares arms would answer of any two."""

from __future__ import annotations

from msgspec import structs

from engine.study.comparison_record import ArmsCompared, Comparison, Disputes, Narrowed
from engine.study.paths import StudyPaths
from tui.text.arms_compared import Pair

ACCURACY = Comparison(
    measure="accuracy", n=(5, 5), examples=400, means=(97.6, 97.0), paired=True, margin=None, difference=0.6,
    ci_test_set=(0.2, 1.0), ci_new_examples=(-0.1, 1.3), ci_looking=(-1.2, 2.4), p_value=0.01, p_better=0.84,
    p_better_ci=(0.4, 0.98), correlation=0.7, examples_share=0.6, verdict="real and worth having",
    narrowed=Narrowed(test_set=0.25, replicas=0.5, examples=0.45), best=(98.1, 97.5),
    figures=((97.1, 97.4, 97.6, 97.8, 98.1), (96.5, 96.8, 97.1, 97.1, 97.5)),
)  # fmt: skip

LOSS = Comparison(
    measure="cross-entropy", n=(5, 5), examples=400, means=(0.09, 0.1), paired=True, margin=None, difference=-0.01,
    ci_test_set=(-0.03, 0.01), p_value=0.3, figures=((0.09,) * 5, (0.1,) * 5),
)  # fmt: skip

DISPUTES = Disputes(between=3.8, within=(3.3, 4.1), excess=0.1, excess_ci=(-0.1, 0.3))


def make_pair(
    first: tuple[StudyPaths, str],
    second: tuple[StudyPaths, str],
    measure: str | None,
    margin: float | None,
    *,
    every: bool = False,
) -> Pair:
    """Return the same answer for any two arms."""
    found, other = (LOSS, ACCURACY) if measure == "cross-entropy" else (ACCURACY, LOSS)
    verdict = found.verdict if margin is None or margin < 0.6 else "real, smaller than the margin"
    needed = None if margin is None else 7
    found = structs.replace(found, margin=margin, verdict=verdict, replicas_needed=needed)
    names = [f"{paths.name}: {arm}" for paths, arm in (first, second)]
    return Pair(
        (names[0], names[1]),
        ArmsCompared(comparison=found, others=(other,) if every else (), disputes=DISPUTES),
        settings=("train.lr 0.1 and 0.2",),
    )
