"""The results as a person uses them: tabs, the cursor in the table, sorting, explaining, copying, waiting."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from engine.errors import StudyError
from engine.study.measuring_record import MeasuringRecord
from engine.study.metrics_record import ArmMeasures
from engine.study.paths import StudyPaths
from engine.study.processes import current_owner
from engine.study.records import write_record
from tests.helpers.screens import SIZES, Make, screen_text, settle
from tests.helpers.studies import write_study
from tui.app.app import NondetApp
from tui.app.screens import compare_data, results_pairs
from tui.app.screens.dialogs import Card, Prompt
from tui.app.screens.results import ResultsScreen
from tui.app.screens.results_compare import Picker
from tui.app.screens.results_data import ShownMeasures
from tui.app.screens.results_panes import AnswerList, TabLine
from tui.app.screens.results_table import MeasureTable
from tui.app.screens.start import StartScreen
from tui.text.arms_compared import Pair


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def open_results(pilot: Pilot[None], app: NondetApp, store: Path) -> ResultsScreen:
    await settle(pilot)
    app.open_results(write_study(store / "live", done=2))
    await settle(pilot)
    assert isinstance(app.screen, ResultsScreen)
    return app.screen


@pytest.mark.parametrize("size", SIZES)
async def test_first_tab_says_what_was_found_and_opens_the_evidence(
    make_app: Make, store: Path, size: tuple[int, int]
) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        screen = await open_results(pilot, app, store)
        text = screen_text(app)
        assert "6 of 9 replicas" in text
        assert "Parameter Initialization" in text
        assert "Control is exact to the bit" in text
        answers = screen.query_one(AnswerList)
        said = [answer.text for answer in screen.measured.answers] if screen.measured else []
        await press(pilot, *"j" * next(n for n, one in enumerate(said) if "published figures" in one))
        assert answers.key is not None
        assert "one in twenty is outside" in " ".join(screen_text(app).split()), (
            "what stands behind the sentence under the cursor"
        )
        await press(pilot, "enter")
        assert screen.page == "table"
        assert isinstance(screen.focused, MeasureTable)


async def test_digits_and_clicks_open_tabs(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_results(pilot, app, store)
        pages: list[str] = []
        for digit in "23456789":
            await press(pilot, digit)
            pages.append(screen.page)
        assert pages == ["table", "intervals", "time", "layers", "pairs", "examples", "compare", "provenance"]
        row = screen_text(app).splitlines()[1]
        await pilot.click(TabLine, offset=(row.index("Interv") + 2, 0))
        await settle(pilot)
        assert screen.page == "intervals"
        assert len(row) <= 80


async def test_table_is_sorted_by_the_column_under_the_cursor_and_by_a_click(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_results(pilot, app, store)
        await press(pilot, "2")
        table = screen.query_one("#measures", MeasureTable)
        assert table.table is not None
        assert [row.number for row in table.table.rows if not row.kind] == [0, 1, 2]
        table.point_at("Control", "accuracy_sd")
        await press(pilot, "s")
        assert "by accuracy sd" in screen_text(app)
        assert [row.number for row in table.table.rows if not row.kind] == [1, 2, 0], "the largest first"
        row = table.find_row()
        assert row is not None
        assert row.arm == "Control", "the cursor stays on its arm"
        await pilot.click(table, offset=(3, 1))
        await settle(pilot)
        assert screen.sort == "name"
        await pilot.click(table, offset=(3, 1))
        await settle(pilot)
        assert screen.sort == "plan"


async def test_figure_under_the_cursor_is_read_out_and_explained(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_results(pilot, app, store)
        await press(pilot, "2")
        screen.query_one("#measures", MeasureTable).point_at("Parameter Initialization", "accuracy_sd")
        await settle(pilot)
        text = screen_text(app)
        assert "Parameter Initialization, accuracy SD: 0.50 %; ± 0.10 over 0 resamples; 95 % [0.32 3.86]" in text
        assert "published 0.22 ± 0.02 of 100" in " ".join(text.split())
        await press(pilot, "e")
        assert "sqrt(sum over r of (A_r - mean A)² / R)" in screen_text(app)
        await press(pilot, "escape", "E", "G")
        assert "mean over pairs of Pearson's correlation of the N·C logits" in screen_text(app)


async def test_published_rows_come_and_go(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_results(pilot, app, store)
        await press(pilot, "2")
        assert "◇ published" in screen_text(app).replace("◇ published ─╯", "")
        await press(pilot, "p")
        assert "◇ published" not in screen_text(app).replace("◇ published ─╯", "")


async def test_diagnostics_take_the_place_of_the_measures(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_results(pilot, app, store)
        await press(pilot, "2", "d")
        assert "7.25" in screen_text(app)
        assert "true SD" in screen_text(app)
        await press(pilot, "d")
        assert "7.25" not in screen_text(app)


async def test_cell_row_and_table_are_copied(make_app: Make, store: Path) -> None:
    app = make_app()
    copies: list[tuple[str, str]] = []
    app.copy = lambda text, name: copies.append((text, name))
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_results(pilot, app, store)
        await press(pilot, "2")
        screen.query_one("#measures", MeasureTable).point_at("Parameter Initialization", "disagreement")
        await settle(pilot)
        await press(pilot, "y", "enter")
        await press(pilot, "y", "j", "enter")
        await press(pilot, "y", "j", "j", "j", "j", "enter")
        await press(pilot, "Y")
    assert copies[0] == ("3.10 [2.50 3.70]", "live.txt")
    assert copies[1][0].split("\t")[:3] == ["Parameter Initialization", "2 of 3", "97.50"]
    assert [name for _, name in copies[1:]] == ["live.txt", "live.csv", "live.md"]
    assert copies[3][0].startswith("| source | n |")


async def test_earlier_measures_are_shown_while_new_ones_are_made(
    make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()
    monkeypatch.setattr("tui.app.screens.results.refresh_metrics", lambda paths: let_go.wait(20) and None)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        paths = write_study(store / "live", done=2)
        app.open_results(paths)
        await pilot.pause(0.5)
        assert "6 of 9 replicas   measuring …" in screen_text(app)
        write_record(paths.measuring, MeasuringRecord(owner=current_owner(), done=1, total=3))
        await pilot.pause(0.5)
        assert "6 of 9 replicas   measuring 1 of 3 arms …" in screen_text(app)
        paths.metrics.unlink()
        await pilot.press("escape")
        app.open_results(paths)
        await pilot.pause(0.5)
        assert "Measuring 6 finished runs of 9:" in screen_text(app)
        await pilot.press("escape")
        assert isinstance(app.screen, StartScreen)
        let_go.set()
        await settle(pilot)


async def test_study_that_cannot_be_measured_says_why(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        paths = write_study(store / "live", done=2)
        paths.metrics.unlink()
        app.open_results(paths)
        await settle(pilot)
        text = screen_text(app)
        assert "✗ cannot be measured" in text
        assert "is missing or damaged" in text.replace("\n", " ")
        await press(pilot, *"23456789e")


async def test_arms_are_told_apart_without_colour(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_results(pilot, app, store)
        for digit in "23":
            await press(pilot, digit)
            rows = screen_text(app).splitlines()
            marks = [row.strip()[0] for row in rows if row.strip()[2:9] in ("Control", "Paramet")]
            assert marks[:2] == ["●", "▲"]


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
        assert isinstance(app.screen, ResultsScreen), "Esc leaves the filter alone"


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


async def test_what_stands_in_a_comparison_is_explained(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_results(pilot, app, store)
        await press(pilot, "c", "e")
        assert isinstance(app.screen, Card)
        for name in ("this test set", "new examples too", "while looking", "best of R seeds"):
            assert name in screen_text(app)


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


async def test_origin_names_versions_and_devices(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_results(pilot, app, store)
        await press(pilot, "9")
        assert "6 runs" in screen_text(app)
        assert "replicas with identical weights" in screen_text(app)


@pytest.mark.parametrize("tab", ["8", "9"])
async def test_figures_are_not_written_out_when_a_tab_is_opened(
    make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch, tab: str
) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_results(pilot, app, store)
        written: list[str] = []
        for kind in (ShownMeasures, ArmMeasures):
            monkeypatch.setattr(kind, "__repr__", lambda self: written.append(type(self).__name__) or "")
        await press(pilot, tab)
        assert not written, "a worker describes itself by its arguments unless it is described"


async def test_pairs_have_a_cursor_that_names_them(
    make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answer = results_pairs.find_pairs
    monkeypatch.setattr(
        "tui.app.screens.results_pairs.find_pairs", lambda paths, arm: asked.append(arm) or answer(paths, arm)
    )
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_results(pilot, app, store)
        assert not asked, "nothing is compared before the tab is looked at"
        await press(pilot, "6")
        assert "replicas 1 and 2: 2 %" in screen_text(app)
        await press(pilot, "j", "tab", "j", "l")
        assert "replicas 2 and 3: 6 %, more than 2 of 3 pairs" in screen_text(app)
        assert asked == ["Control", "Parameter Initialization"]
        await press(pilot, "1", "6")
        assert len(asked) == 2, "what was compared is kept"
