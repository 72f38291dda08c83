"""The measures of what replicas disagree about: which part of it counts, in which classes, how calibrated votes are.

R replicas, N test examples; A_r is the accuracy of replica r.
"""

from __future__ import annotations

from engine.catalog.measure_declaration import Measure

BINS = 15
"""Bins of confidence, as in the published calibration errors."""

DISPUTES = (
    Measure(
        key="disagreement_right",
        group="images",
        statistic="pairs",
        interval="pairs",
        bounds=(0.0, 100.0),
        title="one is right",
        short="1 right",
        unit="%",
        meaning="The part of the disagreement that changes accuracy: one of the two replicas is right.",
        formula="mean over pairs r < s of 100/N · number of examples on which exactly one of r and s is right",
        latex=r"\frac{2}{R(R-1)}\sum_{r<s}\frac{100}{N}\sum_i [c_{ri} \neq c_{si}]",
        source="churn by correctness, Milani Fard et al. (NIPS 2016)",
    ),
    Measure(
        key="disagreement_wrong",
        group="images",
        statistic="pairs",
        interval="pairs",
        bounds=(0.0, 100.0),
        title="both wrong",
        short="0 right",
        unit="%",
        meaning="The part of the disagreement that leaves accuracy as it is: both are wrong, each in its own way.",
        formula="mean over pairs r < s of 100/N · number of examples on which r and s predict different wrong classes",
        latex=r"\frac{2}{R(R-1)}\sum_{r<s}\frac{100}{N}\sum_i [\hat{y}_{ri} \neq \hat{y}_{si}][c_{ri} = c_{si}]",
        source="churn by correctness, Milani Fard et al. (NIPS 2016)",
    ),
    Measure(
        key="disputed",
        group="images",
        statistic="arm",
        title="not all agree",
        short="disputed",
        unit="%",
        meaning="The share of examples for which not all replicas predict one class; it grows with their number.",
        formula="100/N · number of examples on which some two replicas predict different classes",
        latex=r"\frac{100}{N}\sum_i [\exists r, s: \hat{y}_{ri} \neq \hat{y}_{si}]",
        source="ambiguity, Marx et al. (ICML 2020), of the replicas at hand",
    ),
    Measure(
        key="class_sd",
        group="images",
        statistic="arm",
        interval="sd",
        bounds=(0.0, 100.0),
        title="SD within a class",
        short="class SD",
        unit="%",
        meaning="The SD of the accuracy on the examples of one class, as the root of the mean square over classes.",
        formula="sqrt(mean over classes k of Var(A_k)), A_k the accuracy on the examples of class k, R − 1",
        latex=r"\sqrt{\frac{1}{C}\sum_k \mathrm{Var}_r(A_{rk})}",
        source="Zhuang et al. (MLSys 2022), who find parts of a test set far less steady than the whole",
        version=3,  # 2: the SDs of single classes are exactly 0 where replicas are equal; 3: its interval
    ),
    Measure(
        key="worst_class",
        group="images",
        statistic="arm",
        title="worst class",
        short="worst",
        unit="%",
        meaning="The mean accuracy on the class on which it is lowest.",
        formula="min over classes k of the mean over r of A_k",
        latex=r"\min_k \frac{1}{R}\sum_r A_{rk}",
        source="worst-group accuracy, Sagawa et al. (ICLR 2020), with classes as groups",
    ),
    Measure(
        key="calibration_error",
        group="images",
        statistic="mean",
        interval="mean",
        title="calibration error",
        short="ECE",
        unit="%",
        meaning="How far a replica's confidence in what it predicts is from how often it is right.",
        formula=f"mean over r of sum over {BINS} bins of confidence of n/N · |accuracy − mean confidence|",
        latex=r"\frac{1}{R}\sum_r\sum_b \frac{n_{rb}}{N}\,|\mathrm{acc}_{rb} - \mathrm{conf}_{rb}|",
        source="expected calibration error, Guo et al. (ICML 2017), bins of equal width",
    ),
    Measure(
        key="vote_calibration_error",
        group="images",
        statistic="arm",
        title="calibration of votes",
        short="vote CE",
        unit="%",
        meaning="How far the share of replicas that vote for a class is from how often it is true; few make it larger.",
        formula="100/N · sum over v of |H_v − v/R · M_v|, M_v classes of examples that have v votes, H_v of them true",
        latex=r"\frac{100}{N}\sum_{v=0}^{R}\left|H_v - \frac{v}{R} M_v\right|",
        source="class-aggregated calibration error, Jiang et al. (ICLR 2022); it bounds what votes say of the error",
    ),
    Measure(
        key="error_gap",
        group="images",
        statistic="pairs",
        interval="pairs",
        title="gap to error",
        short="gap",
        unit="% points",
        meaning="The disagreement less the mean test error: near 0 where votes are calibrated by class.",
        formula="mean over pairs r < s of the disagreement of r and s, less the mean of their two test errors",
        latex=r"d - (100 - \bar{A})",
        source="generalisation disagreement equality, Jiang et al. (ICLR 2022); Jordan (ICLR 2024), theorem 5",
    ),
)
"""In the order in which they are read: what the disagreement is made of, where it is, and what it says of the error."""
