"""The list of studies shows the verdict of a study that trains pairs until its two arms are told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from msgspec import structs

from engine.study.decision_record import CompareSettings, DecisionRecord
from engine.study.paths import StudyPaths
from engine.study.summary import StudySummary
from tui.app.listed_files import describe_study

COMPARE = CompareSettings(a="Baseline", b="New", measure="accuracy", margin=0.5, until_decided=True)
LESS = DecisionRecord(
    settings=COMPARE, runs_sha256="0" * 64, pairs=12, counted=11, difference=-0.43, interval=(-0.62, -0.24),
    end="a difference",
)  # fmt: skip
EQUAL = structs.replace(LESS, difference=0.1, interval=(-0.2, 0.3), end="no difference that matters")
FIGURES = ("Baseline", 0.5, 2.0)


def show(decision: DecisionRecord | None, width: int | None = None) -> str:
    summary = StudySummary(
        paths=StudyPaths(Path("/s")), state="done", done=24, total=24, headline=FIGURES, compare=COMPARE,
        decision=decision,
    )  # fmt: skip
    return describe_study(summary, 10, now=0.0, width=width).plain


def test_verdict_stands_in_the_place_of_figures() -> None:
    whole = show(LESS)
    assert whole.endswith("  New has a higher accuracy than Baseline, by 0.43 % points after 11 pairs")
    assert "SD" not in whole
    assert show(EQUAL).endswith("  no difference that matters in accuracy after 11 pairs")
    assert show(None).endswith("undecided in accuracy after all pairs")


def test_verdict_takes_fewer_words_where_there_is_less_room() -> None:
    for width in range(34, 120):
        line = show(LESS, width)
        assert len(line) <= width
        assert "SD" not in line
    assert show(LESS, 78).endswith("New has a higher accuracy than Baseline, by 0.43")
    assert show(LESS, 50).endswith("New above Baseline by 0.43")


def test_study_that_is_still_to_be_trained_shows_no_verdict() -> None:
    summary = StudySummary(paths=StudyPaths(Path("/s")), state="incomplete", done=3, total=24, compare=COMPARE)
    assert "undecided" not in describe_study(summary, 10, now=0.0).plain
    other = replace(summary, state="done", compare=None, headline=FIGURES)
    assert describe_study(other, 10, now=0.0).plain.endswith("SD 0.50  disagree  2.00 %  Baseline")
