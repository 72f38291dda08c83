"""Says what words, marks and pictures of the screens mean: those that are no measure and no source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.study.study_state import StudyState
from tui.text.text_figures import SIMILARITY_NOTES


@dataclass(frozen=True)
class Explanation:
    """Holds what is said of one thing."""

    title: str
    said: str = ""
    aside: tuple[str, ...] = ()
    """Behind the title; what is empty is left out."""
    rows: tuple[tuple[str, str], ...] = ()
    """Labels with what is said of them."""


STATES: dict[StudyState, str] = {
    "done": "Every run of the study has its result. t shows the measures, Enter the runs.",
    "running": "The study is being trained, whether this window is open or not. Enter shows it as it goes on.",
    "paused": "Running epochs wait where they are, until somebody lets them go on: p in its monitor does.",
    "stopping": "Somebody asked for its end: what is being trained now ends. Finished runs are kept.",
    "cancelled": "Somebody stopped it. Finished runs are kept, and C trains what is left.",
    "failed": "Nothing trains it, and the last try of some runs failed. Enter, and Enter on an arm, show why; C tries "
    "them again.",
    "incomplete": "Runs are left that nothing trains, and none of them failed: C trains them.",
    "damaged": "Its plan cannot be read, so that nobody knows what belongs to it. The line says why.",
}
"""State of a study → what it means, and what can be done."""

RUNS: dict[str, str] = {
    "queued": "It waits for a slot.",
    "running": "It is being trained.",
    "done": "Its result is complete: predictions and weights are compared with their digests when they are read.",
    "failed": "Its last try ended without a result. Enter on its arm shows why, and R tries it again.",
    "lost": "Its process ended without a word, or is silent. It is tried again.",
    "cancelled": "Somebody stopped it. What it had trained is kept for the next try.",
    "stale": "It has given no sign for so long that it no longer counts as running. It is tried again.",
    "diverged": "It is done, and its loss or its predictions are no finite numbers. It counts apart: that networks "
    "fail alike is no agreement.",
}
"""State of a run → what it means."""

WORDS: Mapping[str, Explanation] = {
    **{f"state:{state}": Explanation(f"a study that is {state}", said) for state, said in STATES.items()},
    **{f"run:{state}": Explanation(f"a run that is {state}", said) for state, said in RUNS.items()},
    "runs": Explanation(
        "runs",
        "The finished replicas of all that an arm has. ✓ stands behind those of an arm that is whole, ✗ before the "
        "number of those that failed or were lost, ~ before that of those that diverged.",
    ),
    "replicas": Explanation("n", "The replicas that were measured: trainings of one arm that differ in its sources."),
    "arm": Explanation(
        "source",
        "An arm: one row of the protocol. It varies one source of nondeterminism, or several, and holds all others "
        "fixed; what its replicas differ in comes from these. Its mark and its colour are the same on every screen.",
    ),
    "interval": Explanation(
        "├─●─┤",
        "A value with its 95 % interval, on one axis for all arms of the column. ◂ and ▸: it goes on beyond the axis. "
        "Without a line: there is no interval, or it is narrower than a character.",
    ),
    "published": Explanation("◇", "The figure that the paper prints, with its error, on the axis of the measured one."),
    "spread": Explanation(
        "the spread by epoch",
        "A line per arm: the standard deviation of a figure over the replicas that have reached the epoch.",
        rows=(
            ("0", "the line of an arm whose replicas are equal"),
            ("numbers", "the SD at the epoch that is read, the last one unless [ ] chose another"),
            ("axis", "logarithmic where spreads differ by much; L changes that"),
            ("keys", "+ - show fewer or more epochs, * _ larger or smaller values, m another figure, z this alone"),
        ),
    ),
    "figures": Explanation(
        "figures over time",
        "How the replicas of an arm draw apart while they train. f shows the next figure.",
        rows=(
            ("figure 3", "the standard deviation of a figure over the replicas, by epoch"),
            ("figure 2", "a measure of the trained networks, by the epoch in which their replicas begin to differ"),
            ("axis", "logarithmic in figure 3; L changes that"),
        ),
    ),
    "one arm": Explanation(
        "one arm by epoch",
        "The arm under the cursor of the list below.",
        rows=(
            ("line", "the mean of its replicas"),
            ("bands", "the mean ± SD inside of the least to the most"),
            ("faint", "each replica"),
            ("replica N", "one that lies far outside of the others, by the modified z-score of Iglewicz & Hoaglin"),
        ),
    ),
    "layers": Explanation(
        "CKA",
        "How alike the inner layers of two replicas are, 1 where they are the same up to rotation and scale; the mean "
        "over pairs.",
        rows=tuple(("", note) for note in SIMILARITY_NOTES),
    ),
    "pairs": Explanation(
        "pairs of replicas",
        "Every two replicas of an arm: the fuller a square, the more they differ among all pairs. Those alike stand "
        "side by side; the pair under the cursor is named above.",
    ),
}
"""Key → what is said."""
