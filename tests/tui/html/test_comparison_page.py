"""The page about two arms: the figures of the comparison, the arms in their places, whatever they are called."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from engine.study.measured import MeasuredStudy, read_measured
from engine.study.metrics_record import StudyMeasures
from engine.study.paths import StudyPaths
from tests.helpers.measures import make_measures
from tests.helpers.pages import Element, read_page
from tui import cli
from tui.commands.comparing import compare_settings, find_side
from tui.commands.page_data import gather_page
from tui.html.comparison_page import ComparedPair, Comparison, make_comparison_page
from tui.html.content import StudyData
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
    for name in ("one", "two"):
        shutil.copytree(KEPT, tmp_path / name)
    return tmp_path


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
    page = read(make_comparison_page(Comparison(kept, kept, (ComparedPair(one, other),), ("train.lr 1 and 2",))))
    found = compare_arms(one, other)
    rows = list_rows(page)
    assert [(row[0], row[3]) for row in rows] == [(d.title, format_difference(d)) for d in found]
    [table] = page.find_all("table", marked="compared")
    seen = [row.find_all("th") for row in table.find_all("tr", marked="seen")]
    assert [next(cells).text for cells in seen] == [d.title for d in found if d.is_seen]
    assert next(page.find_all("h1")).text.replace("\n", " ") == "●Init beside ▲Late shuffling"
    assert "train.lr 1 and 2" in [one.text for one in page.find_all("li")]
    assert len(list(page.find_all("svg", marked="picture"))) == len(found) + 5, "means have a picture too"


def test_arms_of_one_name_are_paired_and_counted(kept: StudyData) -> None:
    pairs = tuple(ComparedPair(arm, arm) for arm in kept.arms)
    other = msgspec.structs.replace(kept.plan, study="other")
    second = StudyData(plan=other, measured=kept.measured)
    page = read(make_comparison_page(Comparison(kept, second, pairs)))
    heads = [row[0] for row in list_rows(page) if len(row) == 1]
    assert heads == [arm.name for arm in kept.arms]
    said = [
        next(one.find_all("span", marked="said")).text
        for one in page.find_all("li")
        if list(one.find_all("span", marked="said"))
    ]
    assert len(said) == len(pairs)
    assert any("are not told apart in any of" in one for one in said)


def test_one_arm_of_two_studies_is_named_in_the_heading(kept: StudyData) -> None:
    second = replace(kept, plan=msgspec.structs.replace(kept.plan, study="other"), question="Why?")
    page = read(make_comparison_page(Comparison(kept, second, (ComparedPair(kept.arms[1], kept.arms[1]),))))
    assert next(page.find_all("h1")).text == "Init: ●kept beside ▲other"
    assert next(page.find_all("title")).text == "Init: kept beside other"
    assert [one.text for one in page.find_all("p", marked="question")] == ["Why?"]


def test_too_few_replicas_are_said() -> None:
    paths = StudyPaths(KEPT)
    kept = gather_page(paths, read_measured(paths))
    arms = (make_measures(name="a", n=2, disagreement=1.0), make_measures(name="b", n=2, disagreement=2.0))
    data = StudyData(plan=kept.plan, measured=MeasuredStudy(StudyMeasures(study="s", arms=arms), ()))
    page = read(make_comparison_page(Comparison(data, data, (ComparedPair(*arms),))))
    assert "intervals take three replicas of each" in page.text


def test_hostile_names_are_text_and_bytes_are_the_same(kept: StudyData) -> None:
    arms = [msgspec.structs.replace(arm, name=f"{n} {HOSTILE}") for n, arm in enumerate(kept.arms)]
    plan = msgspec.structs.replace(kept.plan, study=HOSTILE)
    data = StudyData(
        plan=plan, measured=MeasuredStudy(StudyMeasures(study="s", arms=tuple(arms)), ()), question=HOSTILE
    )
    comparison = Comparison(data, data, (ComparedPair(arms[1], arms[3]),), (HOSTILE,))
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
    assert "kept: Init" in text
    assert "difference or ratio" in text
    page = read(run([*arms, "--format", "html"], capsys))
    assert list_rows(page)[0][3] in text
    assert "No setting differs." in page.text
    run([*arms, "--out", str(store / "out")], capsys)
    assert next(read((store / "out" / "comparison.html").read_text()).find_all("title")).text.startswith("Init beside")


def test_settings_that_differ_are_named(kept: StudyData) -> None:
    one, other = kept.arms[1], kept.arms[2]
    recipe = kept.recipes[other.name]
    changed = {**kept.recipes, other.name: replace(recipe, train=replace(recipe.train, lr=0.5))}
    said = compare_settings(ComparedPair(one, other), kept, replace(kept, recipes=changed))
    assert said == ["train.lr 0.1 and 0.5"]
    [said] = compare_settings(ComparedPair(one, other), kept, replace(kept, recipes={}))
    assert "no recipe can be read of Bit" in said


REFUSED = {
    "itself": (["one", "--against", "one"], "not compared with itself: name arms"),
    "an arm with itself": (["one:Init", "--against", "one"], "an arm is not compared with itself"),
    "no such arm": (["one:Int", "--against", "two"], "has no arm 'Int': did you mean Init?"),
    "no such study": (["one", "--against", "nothing:Init"], "no study of this name"),
    "other formats": (["one", "--against", "two", "--format", "csv"], "--format csv"),
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
