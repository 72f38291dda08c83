"""The explanations of the measures: every figure that results show is explained, by its declaration alone."""

from __future__ import annotations

import pytest
from rich.console import Console, RenderableType

from engine.catalog.measures import DIAGNOSTICS_PANEL, MEASURES, Measure, find_measure, list_columns
from tui.text.explanations import draw_explanation, explain_measure, group_shown_measures, make_explanations


def read(parts: list[RenderableType], width: int) -> list[str]:
    console = Console(width=width, color_system=None, record=True, file=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(*parts)
    return captured.get().splitlines()


def join_words(rows: list[str]) -> str:
    """The text without frames and line ends."""
    return " ".join(" ".join(rows).replace("│", " ").split())


@pytest.mark.parametrize("text", [False, True])
def test_every_measure_that_results_show_is_explained_once(text: bool) -> None:
    groups = group_shown_measures(text=text)
    keys = [measure.key for measures in groups.values() for measure in measures]
    assert len(keys) == len(set(keys))
    shown = {measure.key for measure in (*list_columns("table", text=text), *DIAGNOSTICS_PANEL)}
    assert set(keys) == shown | {measure.key for measure in MEASURES["text" if text else "images"]}
    assert next(iter(groups.values())) == list_columns("table", text=text)


@pytest.mark.parametrize("width", [60, 79, 119])
@pytest.mark.parametrize("text", [False, True])
def test_explanation_says_everything_that_is_declared(text: bool, width: int) -> None:
    rows = read(make_explanations(text=text, framed=width > 100), width)
    said = join_words(rows)
    for measures in group_shown_measures(text=text).values():
        for measure in measures:
            for fact in (measure.title, measure.unit, measure.meaning, measure.formula, measure.source, measure.key):
                assert " ".join(fact.split()) in said, fact
    assert max(map(len, rows)) <= width


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        (find_measure("images", "accuracy_sd"), "interval ±: its SD over bootstrap resamples of the replicas."),
        (find_measure("text", "disagreement"), "interval [ ]: 95 %, from leaving out each replica in turn."),
        (find_measure("images", "pearson"), "interval none is given."),
        (find_measure("diagnostics", "true_sd"), "source Jordan (ICLR 2024), theorem 2"),
    ],
)
def test_explanation_says_what_stands_beside_the_value(measure: Measure, said: str) -> None:
    assert said in join_words(read([draw_explanation(explain_measure(measure))], 100))
