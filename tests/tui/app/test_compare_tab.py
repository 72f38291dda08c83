"""The tab that compares two arms as a person uses it: choosing, margins, measures, waiting, copying, exporting."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from engine.errors import StudyError
from engine.study.decision_record import CompareSettings
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.study_plan import read_plan
from tests.helpers.comparisons import make_pair
from tests.helpers.measures import make_measures
from tests.helpers.screens import Make, open_results, press, screen_text, settle
from tests.helpers.studies import write_study
from tui.app.screens import compare_data
from tui.app.screens.compare_lines import make_comparison
from tui.app.screens.dialogs import Card, Prompt
from tui.app.screens.results import ResultsScreen
from tui.app.screens.results_compare import ComparePage, Picker
from tui.text.arms_compared import Pair
from tui.text.format import ASCII


@pytest.mark.slow
async def test_two_arms_are_compared_with_one_key_and_others_found_by_letters(make_app: Make, store: Path) -> None:
    app = make_app()
    write_study(store / "other", done=3, running=0)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_results(pilot, app, store)
        await press(pilot, "c")
        text = screen_text(app)
        assert "Is A better than B?" in text
        assert "Real and worth having: A is better than B by 0.60 % points" in text
        for said in ("this test set", "new examples too", "while looking", "paired by seed, correlation 0.70"):
            assert said in text
        assert "train.lr 0.1 and 0.2" in text
        await press(pilot, "slash", *"init other", "enter")
        first = app.screen.query_one("#first", Picker)
        assert first.has_focus
        assert first.lines[first.row].text.plain.startswith("▲ Parameter Initialization  other, n = 3")
        await press(pilot, "slash", "escape")
        assert len(first.lines) == 6, "all arms are there again"
        await press(pilot, "slash", *"live")
        assert len(first.lines) == 3, "the arms of the study that is open have its name, though it is not shown"
        await press(pilot, "escape")
        assert isinstance(app.screen, ResultsScreen), "Esc leaves the filter alone"


async def test_a_study_without_a_finished_replica_begins_with_two_arms_of_another(make_app: Make, store: Path) -> None:
    write_study(store / "other", done=3, running=0)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        app.open_results(write_study(store / "empty", done=0, running=0))
        await settle(pilot)
        await press(pilot, "c")
        first, second = (app.screen.query_one(name, Picker) for name in ("#first", "#second"))
        assert first.lines[first.row].text.plain.startswith("● Control  other")
        assert second.lines[second.row].text.plain.startswith("▲ Parameter Initialization  other")


@pytest.mark.slow
async def test_lists_stay_while_letters_are_typed_on_a_large_screen(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(200, 60)) as pilot:
        await open_results(pilot, app, store)
        await press(pilot, "c", "slash", *"init")
        text = screen_text(app)
        assert "Parameter Initialization" in text
        assert "Is A better than B?" in text


@pytest.mark.slow
async def test_arms_have_the_colours_of_another_theme_at_once(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_results(pilot, app, store)
        await press(pilot, "c")
        picker = app.screen.query_one("#first", Picker)
        before = picker.lines[1].text.spans
        app.theme = "nondet-light"
        await settle(pilot)
        assert picker.lines[1].text.spans != before


@pytest.mark.parametrize("width", [78, 118, 148])
def test_nothing_is_wider_than_the_room(width: int) -> None:
    paths = StudyPaths(Path("/x"))
    arms = [make_measures(name=name, vary=["init"], n=5, accuracy_mean=97.0) for name in "ab"]
    one, other = (compare_data.Candidate(paths, number, arm) for number, arm in enumerate(arms))
    pair = make_pair((paths, "a"), (paths, "b"), None, 0.5, every=True)
    lines = make_comparison(compare_data.Shown(compare_data.Question(one, other), pair), width, "nondet-dark", ASCII)
    assert [line.text.plain for line in lines if line.text.cell_len > width or not line.text.plain.isascii()] == []


@pytest.mark.slow
async def test_whole_comparison_has_what_would_narrow_it_and_all_measures(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(200, 60)) as pilot:
        await open_results(pilot, app, store)
        await press(pilot, "c")
        lines = [" ".join(line.split()) for line in screen_text(app).splitlines()]
        for said in (
            "P(A better than B) 0.84 [0.40 0.98]", "best of 5 seeds 98.10 of A, 97.50 of B",
            "twice the replicas ± 0.25, now 0.40; on new examples ± 0.50, now 0.70",
            "All measures, p corrected for 2 comparisons at once (Holm)",
            "cross-entropy 0.090 0.100 -0.010 [-0.030 +0.010] p = 0.300 undecided", "p = 0.020 real and worth having",
            "Disagreement, % of examples: +0.10 [-0.10 +0.30] beyond their own", "A with B 3.80", "B with itself 4.10",
            "Replicas by accuracy, %", "Spread and likeness of the replicas", "accuracy SD, %",
        ):  # fmt: skip
            assert any(said in line for line in lines), said


@pytest.mark.slow
async def test_arms_that_the_protocol_compares_come_first(make_app: Make, store: Path) -> None:
    app = make_app()
    paths = write_study(store / "decided", done=3, running=0)
    plan = read_plan(paths)
    names = [plan.arms[2].name, plan.arms[0].name]
    settings = CompareSettings(a=names[0], b=names[1], measure="cross-entropy", margin=0.02)
    write_record(paths.plan, structs.replace(plan, compare=settings))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app.open_results(paths)
        await settle(pilot)
        await press(pilot, "c")
        page = app.screen.query_one(ComparePage)
        assert page.question is not None
        assert [page.question.first.arm.name, page.question.second.arm.name] == names
        assert "cross-entropy" in screen_text(app)
        assert "± 0.02, the margin" in screen_text(app)


@pytest.mark.slow
async def test_margin_and_measure_are_changed_by_keys(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_results(pilot, app, store)
        await press(pilot, "c", "plus")
        assert "± 0.5, the margin" in screen_text(app), "about half the interval"
        assert "for ± 0.5 % points  7 replicas of each arm, 2 more than there are" in screen_text(app)
        await press(pilot, "plus")
        assert "Real, smaller than the margin: A is better than B by 0.60 % points" in screen_text(app)
        await press(pilot, "minus", "minus")
        assert "± 0.2, the margin" in screen_text(app)
        await press(pilot, "w", "ctrl+u", *"0", "enter")
        assert isinstance(app.screen, Prompt), "0 is no margin"
        await press(pilot, "ctrl+u", *"0.35", "enter")
        assert "± 0.35, the margin" in screen_text(app)
        await press(pilot, "w", "ctrl+u", "enter")
        assert "the margin" not in screen_text(app)
        await press(pilot, "w", *"0.3", "enter", "n")
        text = screen_text(app)
        assert "Undecided: A and B are not told apart" in text
        assert "the margin" not in text, "it had another unit"
        await press(pilot, "n")
        assert "Real and worth having" in screen_text(app), "the first measure again"


@pytest.mark.parametrize(
    ("margin", "up", "next_one"),
    [(0.1, True, 0.2), (0.2, False, 0.1), (5, True, 10), (1, False, 0.5), (0.35, True, 0.5)],
)
def test_margins_go_by_one_two_five(margin: float, next_one: float, *, up: bool) -> None:
    assert compare_data.step_margin(margin, up=up) == next_one


@pytest.mark.slow
async def test_one_comparison_is_made_at_a_time_and_kept(
    make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, asked = threading.Event(), list[str]()
    answer = compare_data.compare_pair

    def wait(first: tuple[StudyPaths, str], *others: Any, **named: Any) -> Pair:
        asked.append(first[1])
        assert release.wait(20)
        return answer(first, *others, **named)

    monkeypatch.setattr(compare_data, "compare_pair", wait)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_results(pilot, app, store)
        assert not asked, "nothing is compared before the tab is looked at"
        await pilot.press("c")
        await pilot.press("j", "k", "j", "k", "j")
        assert "Is A better than B? comparing …" in screen_text(app)
        release.set()
        await settle(pilot)
        assert len(asked) == 2, "the first and the latest, none in between"
        assert "comparing" not in screen_text(app)
        await press(pilot, "k", "j", "1", "8")
        assert len(asked) == 2, "what was compared is kept"


@pytest.mark.slow
async def test_what_cannot_be_compared_is_said(make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any, **named: Any) -> None:
        raise StudyError("a:x and b:y: were tested on other examples")

    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_results(pilot, app, store)
        await press(pilot, "c", "G")
        second = app.screen.query_one("#second", Picker)
        await press(pilot, "tab", "G")
        assert second.has_focus
        assert "An arm is not compared with itself" in screen_text(app)
        monkeypatch.setattr(compare_data, "compare_pair", refuse)
        await press(pilot, "g")
        assert "were tested on other examples" in screen_text(app)


@pytest.mark.slow
async def test_what_stands_in_a_comparison_is_explained(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_results(pilot, app, store)
        await press(pilot, "c", "e")
        assert isinstance(app.screen, Card)
        for name in ("this test set", "new examples too", "while looking", "best of R seeds"):
            assert name in screen_text(app)


@pytest.mark.slow
async def test_comparison_is_exported_as_page_and_markdown(
    make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.commands.comparing.refresh_metrics", lambda paths: None)
    monkeypatch.setattr("tui.commands.comparing.compare_pair", compare_data.compare_pair)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_results(pilot, app, store)
        await press(pilot, "c", "x", "enter")
        folder = screen.paths.folder / "comparison"
        assert sorted(path.name for path in folder.iterdir()) == ["comparison.html", "comparison.md"]
        assert (folder / "comparison.md").read_text().startswith("**Real and worth having")


@pytest.mark.slow
async def test_comparison_and_its_command_are_copied(make_app: Make, store: Path) -> None:
    app = make_app()
    copied: list[str] = []
    app.copy = lambda text, name: copied.append(text)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_results(pilot, app, store)
        await press(pilot, "c", "plus", "y", "enter")
        await press(pilot, "y", "j", "enter")
    lines, command = copied
    assert lines.startswith("A  ")
    assert "verdict               real and worth having" in lines
    assert command.startswith("nondet-tui compare '/")
    assert command.endswith(" --margin 0.5")
