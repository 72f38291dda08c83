"""What replicas disagree about, as text: columns, the few classes and examples, and why there is nothing to show."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from tests.helpers.measures import make_measures
from tui.text.disputes import NOT_OF_TEXT, TOO_FEW, explain_absence, list_disputes, make_disputes_panels
from tui.text.format import ASCII, UNICODE
from tui.text.report import format_disputes_markdown, format_json

CLASSES = [{"label": label, "examples": 33, "accuracy": 85.25, "sd": 2.125} for label in (8, 3, 995, 2, 1)]
DISPUTES = {
    "classes": 1000,
    "worst": CLASSES,
    "unsteady": CLASSES[::-1],
    "examples": [
        {"index": 127, "label": 8, "shares": [[8, 0.5], [3, 1 / 3], [9, 1 / 6]]},
        {"index": 4, "label": 1, "shares": [[7, 0.75], [1, 0.25]]},
    ],
}
FIGURES = {
    "disagreement": 3.4, "disagreement_right": 3.1, "disagreement_right_ci": [2.6, 3.7], "disagreement_wrong": 0.3,
    "disagreement_wrong_ci": [0.2, 0.5], "disputed": 9.5, "class_sd": 2.4, "class_sd_ci": [1.9, 2.9],
    "worst_class": 85.25, "calibration_error": 1.25, "calibration_error_ci": [1.1, 1.4], "vote_calibration_error": 0.9,
    "error_gap": -0.35, "error_gap_ci": [-0.6, -0.1],
}  # fmt: skip
ENTRY = make_measures(name="Init [red]", n=6, disputes=DISPUTES, **FIGURES)


def show(entries: list[Any], symbols: Any = UNICODE, *, width: int = 120, **options: Any) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None, highlight=False)
    for panel in make_disputes_panels("s", entries, symbols, width=width, **options):
        console.print(panel)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_few_of_a_thousand_classes_and_examples_are_listed() -> None:
    assert list_disputes([ENTRY]) == [
        "Init [red], n = 6",
        "  lowest accuracy of 1000 classes, %:  8: 85.2 (SD 2.1), 3: 85.2 (SD 2.1), 995: 85.2 (SD 2.1), "
        "2: 85.2 (SD 2.1), 1: 85.2 (SD 2.1)",
        "  largest SD:                          1: 85.2 (SD 2.1), 2: 85.2 (SD 2.1), 995: 85.2 (SD 2.1), "
        "3: 85.2 (SD 2.1), 8: 85.2 (SD 2.1)",
        "  most disputed examples, counted from 0:",
        "    127  is 8: 50% for 8, 33% for 3, 17% for 9",
        "      4  is 1: 75% for 7, 25% for 1",
    ]
    assert list_disputes([ENTRY], examples=1)[-1] == "    127  is 8: 50% for 8, 33% for 3, 17% for 9"
    steady = [one | {"sd": 0.0} for one in CLASSES[:1]]
    same = make_measures(name="Control", n=3, disputes=DISPUTES | {"worst": steady, "unsteady": steady, "examples": []})
    assert list_disputes([same]) == [
        "Control, n = 3",
        "  lowest accuracy of 1000 classes, %:  8: 85.2 (SD 0)",
        "  all replicas agree on every example",
    ]
    assert list_disputes([make_measures(name="Earlier", n=3)]) == []


@pytest.mark.parametrize("width", [50, 80, 120, 200])
@pytest.mark.parametrize("symbols", [UNICODE, ASCII])
@pytest.mark.parametrize("framed", [False, True])
def test_panels_fit_any_width(width: int, symbols: Any, framed: bool) -> None:
    text = show([ENTRY, make_measures(name="B" * 70, n=1, planned=6)], symbols, width=width, framed=framed)
    assert max(map(len, text.splitlines())) <= width
    assert "Init [red]" in text
    assert "0.30" in text
    assert symbols is UNICODE or text.isascii()


@pytest.mark.parametrize(("width", "tables"), [(80, 2), (150, 1)])
def test_columns_stand_in_two_tables_where_one_has_no_room(width: int, tables: int) -> None:
    text = show([ENTRY], width=width)
    assert text.count("what replicas disagree about") == tables
    assert "one is right, %:" not in text, "figures are not listed one below the other"
    assert text.count("gap to error: ") == 1


def test_reason_stands_where_there_is_nothing_to_show() -> None:
    assert show([make_measures(name="LM", text=True, n=6)], width=300).strip() == NOT_OF_TEXT
    assert show([make_measures(n=1)]).strip() == TOO_FEW
    for kind, known in (("classes", "only predicted classes are known"), ("scores", "only numbers by name are known")):
        assert known in (explain_absence([make_measures(n=3, kind=kind)]) or "")
    assert format_disputes_markdown([make_measures(n=1)]).strip() == TOO_FEW
    assert explain_absence([ENTRY]) is None


def test_markdown_and_json_hold_what_is_shown() -> None:
    text = format_disputes_markdown([ENTRY])
    lines = text.splitlines()
    assert lines[0] == "### What replicas disagree about"
    assert lines[2].startswith("| source | n | disagreement (%) | one is right (%) |")
    assert lines[4].startswith(r"| Init \[red\] | 6 | 3.40 | 3.10 [2.60 3.70] | 0.30 [0.20 0.50] | 9.50 |")
    assert "        127  is 8: 50% for 8, 33% for 3, 17% for 9" in lines
    assert '"worst_class": 85.25' in format_json("s", [ENTRY])
    assert '"index": 127' in format_json("s", [ENTRY])
