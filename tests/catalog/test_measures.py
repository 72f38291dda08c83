"""The declarations of measures: complete, told apart, and of a form that every view can show."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.catalog.measure_declaration import Measure, describe_uncertainty
from engine.catalog.measures import (
    DIAGNOSTICS_PANEL,
    MEASURES,
    digest_measures,
    find_measure,
    list_columns,
    list_fields,
)

ALL = [measure for group in MEASURES.values() for measure in group]
MONITOR_COLUMN = 8
"""Columns of the live screen that the short title of a measure has."""

POSSIBLE = {"mean": {"mean"}, "sd": {"sd"}, "pairs": {"none", "pairs"}, "arm": {"none", "sd", "true_sd", "pairs"}}
"""The intervals that the statistics can have."""


def name(measure: Measure) -> str:
    return f"{measure.group}-{measure.key}"


@pytest.mark.parametrize("measure", ALL, ids=name)
def test_declaration_says_everything(measure: Measure) -> None:
    assert measure.interval in POSSIBLE[measure.statistic]
    assert (measure.error == "bootstrap") == (measure.statistic == "sd"), "as the paper prints it"
    assert measure.bounds is None or measure.interval in ("pairs", "sd")
    assert measure in MEASURES[measure.group]
    assert measure is find_measure(measure.group, measure.key)
    texts = (
        measure.title,
        measure.short,
        measure.unit,
        measure.meaning,
        measure.formula,
        measure.latex,
        measure.source,
    )
    assert all(text.strip() == text != "" for text in texts)
    assert measure.meaning.endswith(".")
    assert len(measure.short) <= len(measure.title)
    assert "monitor" not in measure.views or len(measure.short) <= MONITOR_COLUMN
    assert measure.latex.count("{") == measure.latex.count("}")


@pytest.mark.parametrize("group", MEASURES)
def test_fields_of_a_group_are_told_apart(group: str) -> None:
    fields = [field for measure in ALL if measure.group == group for field in measure.fields]
    assert len(set(fields)) == len(fields)
    assert set(list_fields(measure for measure in ALL if measure.group == group)) == set(fields)


def test_diagnostics_and_measures_share_no_field() -> None:
    """They stand side by side in one row of the CSV."""
    diagnosed = {field for measure in MEASURES["diagnostics"] for field in measure.fields}
    assert not diagnosed & {field for measure in ALL if measure.group != "diagnostics" for field in measure.fields}


@pytest.mark.parametrize("text", [False, True])
def test_columns_of_the_papers_tables_stand_in_the_table_in_their_order(text: bool) -> None:
    table, published = list_columns("table", text=text), list_columns("published", text=text)
    assert [measure for measure in table if measure in published] == list(published)
    assert [measure.key for measure in published] == (
        ["perplexity_sd", "disagreement", "ensemble_perplexity_delta"]
        if text
        else ["accuracy_sd", "cross_entropy_sd", "disagreement", "correlation", "ensemble_delta"]
    )
    assert {measure.group for measure in list_columns("monitor", text=text)} == {"text" if text else "images"}


def test_panel_of_diagnostics_repeats_what_was_seen() -> None:
    assert [measure.key for measure in DIAGNOSTICS_PANEL if measure.group == "images"] == ["disagreement"]
    assert DIAGNOSTICS_PANEL[0].key == "sample_sd", "SDs of one panel have one denominator"
    for measure in DIAGNOSTICS_PANEL:
        declared = find_measure(measure.group, measure.key)
        assert replace(measure, interval=declared.interval, bounds=declared.bounds) == declared


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"key": "other"},
        {"statistic": "mean"},
        {"error": "none"},
        {"interval": "none"},
        {"bounds": (0.0, 1.0)},
    ],
)
def test_digest_is_another_where_something_else_is_measured(
    change: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest_measures()
    first, *others = MEASURES["images"][1:]
    monkeypatch.setitem(MEASURES, "images", (MEASURES["images"][0], replace(first, title="renamed"), *others))
    assert digest_measures() == before, "what it is called does not matter"
    monkeypatch.setitem(MEASURES, "images", (MEASURES["images"][0], replace(first, **change), *others))
    assert digest_measures() != before


def test_explanation_says_what_stands_beside_the_value() -> None:
    spread = describe_uncertainty(find_measure("images", "accuracy_sd"))
    disagreement = describe_uncertainty(find_measure("images", "disagreement"))
    assert "bootstrap" in spread
    assert "chi-square" in spread
    assert "R − 1" in spread
    assert "leaving out each replica" in disagreement
    assert "within 0 and 100" in disagreement
    assert describe_uncertainty(find_measure("diagnostics", "error")) == ""
