"""The page about two arms: the figures of the comparison, the arms in their places, whatever they are called."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from engine.study.measured import MeasuredStudy, read_measured
from engine.study.metrics_record import ArmMeasures, StudyMeasures
from engine.study.paths import StudyPaths
from tests.helpers.comparisons import ACCURACY, make_pair
from tests.helpers.pages import Element, read_page
from tui import cli
from tui.commands.comparing import compare_settings, find_side
from tui.commands.page_data import gather_page
from tui.html.comparison_page import ComparedPair, ComparisonData, make_comparison_page
from tui.html.content import StudyData
from tui.html.difference import draw_difference
from tui.text.compare import compare_arms, format_difference

KEPT = Path(__file__).parents[2] / "study" / "kept"
HOSTILE = "</title><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def kept() -> StudyData:
    return gather_page(StudyPaths(KEPT), read_measured(StudyPaths(KEPT)))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def leave_as_they_are(paths: StudyPaths) -> None:
        """Take the measures that were kept: bringing them up to date starts a process."""

    monkeypatch.setattr("tui.commands.comparing.refresh_metrics", leave_as_they_are)
    monkeypatch.setattr("tui.commands.comparing.compare_pair", make_pair)
    for name in ("one", "two"):
        shutil.copytree(KEPT, tmp_path / name)
    return tmp_path


def pair_up(one: ArmMeasures, other: ArmMeasures) -> ComparedPair:
    """Two arms, judged as any two are."""
    sides = [(StudyPaths(KEPT), arm.name) for arm in (one, other)]
    return ComparedPair(one, other, make_pair(sides[0], sides[1], None, 0.5, every=True))


def read(text: str) -> Element:
    root, faults = read_page(text)
    assert faults == []
    return root


def list_rows(page: Element) -> list[list[str]]:
    [table] = page.find_all("table", marked="compared")
    rows = [row for body in table.find_all("tbody") for row in body.find_all("tr")]
    return [[cell.text for cell in row.children if isinstance(cell, Element)] for row in rows]


def test_page_holds_every_difference_and_marks_those_that_are_seen(kept: StudyData) -> None:
    one, other = kept.arms[1], kept.arms[4]
    page = read(make_comparison_page(ComparisonData(kept, kept, (pair_up(one, other),), ("train.lr 1 and 2",))))
    found = compare_arms(one, other)
    rows = list_rows(page)
    assert [(row[0], row[3]) for row in rows] == [(d.title, format_difference(d)) for d in found]
    [table] = page.find_all("table", marked="compared")
    seen = [row.find_all("th") for row in table.find_all("tr", marked="seen")]
    assert [next(cells).text for cells in seen] == [d.title for d in found if d.is_seen]
    assert next(page.find_all("h1")).text.replace("\n", " ") == "●Init beside ▲Late shuffling"
    assert "train.lr 1 and 2" in [one.text for one in page.find_all("li")]
    assert len(list(page.find_all("svg", marked="picture"))) == len(found) + 6, (
        "of the difference, of means, and over time"
    )


def test_arms_of_one_name_are_paired_and_counted(kept: StudyData) -> None:
    pairs = tuple(pair_up(arm, arm) for arm in kept.arms)
    other = msgspec.structs.replace(kept.plan, study="other")
    second = StudyData(plan=other, measured=kept.measured)
    page = read(make_comparison_page(ComparisonData(kept, second, pairs)))
    heads = [row[0] for row in list_rows(page) if len(row) == 1]
    assert heads == [arm.name for arm in kept.arms]
    said = [
        next(one.find_all("span", marked="said")).text
        for one in page.find_all("li")
        if list(one.find_all("span", marked="said"))
    ]
    assert len(said) == len(pairs)
    assert said[0].startswith("Control: Real and worth having: ●kept is better than ▲other by 0.60 % points")


def test_one_arm_of_two_studies_is_named_in_the_heading(kept: StudyData) -> None:
    second = replace(kept, plan=msgspec.structs.replace(kept.plan, study="other"), question="Why?")
    page = read(make_comparison_page(ComparisonData(kept, second, (pair_up(kept.arms[1], kept.arms[1]),))))
    assert next(page.find_all("h1")).text == "Init: ●kept beside ▲other"
    assert next(page.find_all("title")).text == "Init: kept beside other"
    assert [one.text for one in page.find_all("p", marked="question")] == ["Why?"]


def test_verdict_intervals_and_all_measures_are_on_the_page(kept: StudyData) -> None:
    pair = pair_up(kept.arms[1], kept.arms[4])
    page = read(make_comparison_page(ComparisonData(kept, kept, (pair,))))
    [figure] = page.find_all("figure", marked="difference")
    told = next(figure.find_all("desc")).text
    assert told == (
        "this test set: [+0.20 +1.00] *; new examples too: [-0.10 +1.30]; while looking: [-1.20 +2.40]; margin 0.5"
    )
    assert len(list(figure.find_all("rect", marked="band"))) == 1, "what would not matter"
    [table] = page.find_all("table", marked="judged")
    rows = [[cell.text for cell in row.children if isinstance(cell, Element)] for row in table.find_all("tr")][1:]
    assert [(row[0], row[-2], row[-1]) for row in rows] == [
        ("accuracy", "p = 0.020", "real and worth having"),
        ("cross-entropy", "p = 0.300", "undecided"),
    ]
    for said in ("paired by seed, correlation 0.70", "0.84 [0.40 0.98]", "98.10 of A", "corrected for 2 comparisons"):
        assert said in page.text


def test_picture_places_zero_the_margin_and_the_ends_on_one_axis() -> None:
    drawn = read_page(f"<!doctype html><html lang='en'><body>{draw_difference(ACCURACY, 'A - B')}</body></html>")[0]
    [row, *_] = drawn.find_all("g", marked="row")
    low, high = (float(next(row.find_all("line", marked="whisker")).attributes[name] or "") for name in ("x1", "x2"))
    middle = float(next(row.find_all("circle")).attributes["cx"] or "")
    zero = next(one for one in drawn.find_all("line", marked="axis") if one.attributes["x1"] == one.attributes["x2"])
    unit = (high - low) / 0.8
    assert middle == pytest.approx(low + 0.4 * unit, abs=0.2)
    assert float(zero.attributes["x1"] or "") == pytest.approx(low - 0.2 * unit, abs=0.2)
    assert not list(drawn.find_all("rect")), "without a margin nothing is shaded"


def test_arms_that_cannot_be_compared_say_why(kept: StudyData) -> None:
    one, other = kept.arms[1], kept.arms[4]
    reason = "a:x and b:y: were tested on other examples"
    page = read(make_comparison_page(ComparisonData(kept, kept, (ComparedPair(one, other, reason),))))
    assert f"not compared: {reason}" in page.text
    assert not list(page.find_all("table", marked="judged"))
    assert list_rows(page), "how much each scatters is there all the same"


def test_hostile_names_are_text_and_bytes_are_the_same(kept: StudyData) -> None:
    arms = [msgspec.structs.replace(arm, name=f"{n} {HOSTILE}") for n, arm in enumerate(kept.arms)]
    plan = msgspec.structs.replace(kept.plan, study=HOSTILE)
    data = StudyData(
        plan=plan, measured=MeasuredStudy(StudyMeasures(study="s", arms=tuple(arms)), ()), question=HOSTILE
    )
    comparison = ComparisonData(data, data, (pair_up(arms[1], arms[3]),), (HOSTILE,))
    text = make_comparison_page(comparison)
    page = read(text)
    assert [one.text.count("alert") for one in page.find_all("script")] == [0]
    assert not list(page.find_all("img"))
    assert f"1 {HOSTILE}" in next(page.find_all("h1")).text
    assert text == make_comparison_page(comparison)


def run(arguments: Sequence[str], capsys: Capture, code: int = 0) -> str:
    assert cli.main(["report", *arguments]) == code
    out, err = capsys.readouterr()
    return err if code else out


def test_two_arms_are_compared_as_text_and_as_a_page(store: Path, capsys: Capture) -> None:
    arms = ["one:Init", "--against", "two:Late shuffling", "--store", str(store)]
    text = run(arms, capsys)
    assert "one: Init" in text
    assert "verdict               real and worth having" in text
    assert "difference or ratio" in text
    assert "corrected for 2 comparisons at once (Holm)" in text
    marked = run([*arms, "--format", "markdown", "--margin", "0.7"], capsys)
    assert marked.startswith("**Real, smaller than the margin: A is better than B by 0.60 % points.**")
    assert "| this test set | +0.60 % points | [+0.20 +1.00] | paired by seed, correlation 0.70 |" in marked
    assert "| accuracy | +0.60 | [+0.20 +1.00] | p = 0.020 | real, smaller than the margin |" in marked
    page = read(run([*arms, "--format", "html"], capsys))
    assert list_rows(page)[0][3] in text
    assert "No setting differs." in page.text
    run([*arms, "--out", str(store / "out")], capsys)
    assert (store / "out" / "comparison.md").read_text().startswith("**Real and worth having")
    assert next(read((store / "out" / "comparison.html").read_text()).find_all("title")).text.startswith("Init beside")


def test_settings_that_differ_are_named(kept: StudyData) -> None:
    one, other = kept.arms[1], kept.arms[2]
    recipe = kept.recipes[other.name]
    changed = {**kept.recipes, other.name: replace(recipe, train=replace(recipe.train, lr=0.5))}
    said = compare_settings(pair_up(one, other), kept, replace(kept, recipes=changed))
    assert said == ["train.lr 0.1 and 0.5"]
    [said] = compare_settings(pair_up(one, other), kept, replace(kept, recipes={}))
    assert "no recipe can be read of Bit" in said


REFUSED = {
    "itself": (["one", "--against", "one"], "not compared with itself: name arms"),
    "an arm with itself": (["one:Init", "--against", "one"], "an arm is not compared with itself"),
    "no such arm": (["one:Int", "--against", "two"], "has no arm 'Int': did you mean Init?"),
    "no such study": (["one", "--against", "nothing:Init"], "no study of this name"),
    "other formats": (["one", "--against", "two", "--format", "csv"], "--format csv"),
    "a margin alone": (["one", "--margin", "1"], "--measure and --margin: go with --against"),
    "no margin": (["one", "--against", "two", "--margin", "0"], "--margin 0: a number above 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_compared_is_said(store: Path, name: str, capsys: Capture) -> None:
    arguments, expected = REFUSED[name]
    assert expected in run([*arguments, "--store", str(store)], capsys, 2)


def test_names_of_arms_and_folders_may_hold_colons(store: Path) -> None:
    shutil.copytree(KEPT, store / "a:b")
    found = find_side(f"{store / 'a:b'}:Linear: Init", store=str(store))
    assert (found.paths.folder.name, found.arm) == ("a:b", "Linear: Init")
    assert find_side("one", store=str(store)).arm is None
