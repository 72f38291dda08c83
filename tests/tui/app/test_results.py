"""The results as a person uses them: tabs, the cursor in the table, sorting, explaining, copying, waiting."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from msgspec import structs

from engine.study.decision_record import CompareSettings, DecisionRecord, digest_pairs
from engine.study.measuring_record import MeasuringRecord
from engine.study.metrics_record import ArmMeasures
from engine.study.processes import current_owner
from engine.study.records import write_record
from engine.study.study_plan import read_plan
from tests.helpers.measures import make_measures
from tests.helpers.screens import SIZES, Make, open_results, press, screen_text, settle
from tests.helpers.studies import HOSTILE, write_study
from tui.app.screens import results_pairs
from tui.app.screens.results import ResultsScreen
from tui.app.screens.results_answer import AnswerList
from tui.app.screens.results_data import ShownMeasures
from tui.app.screens.results_panes import TabLine
from tui.app.screens.results_table import MeasureTable, choose_columns
from tui.app.screens.start import StartScreen
from tui.text.format import UNICODE


@pytest.mark.slow
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


@pytest.mark.slow
async def test_digits_and_clicks_open_tabs(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_results(pilot, app, store)
        pages: list[str] = []
        for digit in "234567890":
            await press(pilot, digit)
            pages.append(screen.page)
        assert pages == ["table", "intervals", "time", "layers", "pairs", "examples", "compare", "provenance",
            "parting"]  # fmt: skip
        row = screen_text(app).splitlines()[1]
        await pilot.click(TabLine, offset=(row.index("Int.") + 2, 0))
        await settle(pilot)
        assert screen.page == "intervals"
        assert len(row) <= 80


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
async def test_published_rows_come_and_go(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_results(pilot, app, store)
        await press(pilot, "2")
        assert "◇ published" in screen_text(app).replace("◇ published ─╯", "")
        await press(pilot, "p")
        assert "◇ published" not in screen_text(app).replace("◇ published ─╯", "")


def test_a_panel_has_the_columns_in_which_an_arm_has_a_figure() -> None:
    words = make_measures(text=True, n=3, disagreement=29.7)
    assert [one.measure.key for one in choose_columns("disputes", UNICODE, [words])] == ["disagreement"]
    both = [words, make_measures(n=3, disagreement=3.0, diagnostics={"correct_flips": 1.0})]
    empty = make_measures(n=0)
    assert len(choose_columns("disputes", UNICODE, [empty])) > len(choose_columns("disputes", UNICODE, both))
    assert "disagreement" in [one.measure.key for one in choose_columns("disputes", UNICODE, both)]


@pytest.mark.slow
async def test_diagnostics_take_the_place_of_the_measures(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_results(pilot, app, store)
        await press(pilot, "2", "d")
        assert "7.25" in screen_text(app)
        assert "true SD" in screen_text(app)
        await press(pilot, "d")
        assert "7.25" not in screen_text(app)


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
async def test_arms_are_told_apart_without_colour(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await open_results(pilot, app, store)
        for digit in "23":
            await press(pilot, digit)
            rows = screen_text(app).splitlines()
            marks = [row.strip()[0] for row in rows if row.strip()[2:9] in ("Control", "Paramet")]
            assert marks[:2] == ["●", "▲"]


@pytest.mark.slow
async def test_origin_names_versions_and_devices(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await open_results(pilot, app, store)
        await press(pilot, "9")
        assert "6 runs" in screen_text(app)
        assert "replicas with identical weights" in screen_text(app)


@pytest.mark.slow
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


@pytest.mark.slow
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
        assert asked == [HOSTILE], "what the first sentence is about, but not the control"
        await press(pilot, "k", "tab", "j", "l")
        assert "replicas 2 and 3: 6 %, more than 2 of 3 pairs" in screen_text(app)
        assert asked == [HOSTILE, "Parameter Initialization"]
        await press(pilot, "1", "6")
        assert len(asked) == 2, "what was compared is kept"


@pytest.mark.slow
async def test_picture_comes_before_the_reason_where_both_have_no_room(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await open_results(pilot, app, store)
        assert screen.measured is not None
        await press(pilot, *"j" * [answer.measure for answer in screen.measured.answers].index("disagreement"))
        rows = screen_text(app).splitlines()
        behind = next(n for n, row in enumerate(rows) if "Behind it: disagreement" in row)
        assert rows[behind + 1].strip() == "disagreement, %"


@pytest.mark.slow
async def test_decision_has_its_interval_as_a_picture_and_opens_the_comparison(make_app: Make, store: Path) -> None:
    paths = write_study(store / "decided", done=3, running=0)
    plan = read_plan(paths)
    settings = CompareSettings(
        a=plan.arms[1].name, b=plan.arms[0].name, measure="accuracy", margin=0.2, until_decided=True
    )
    write_record(paths.plan, structs.replace(plan, compare=settings))
    runs = digest_pairs(plan.arms, settings, 3)
    assert runs is not None
    decision = DecisionRecord(
        settings=settings, runs_sha256=runs, pairs=3, counted=3, difference=0.44, interval=(0.02, 0.86),
        end="a difference",
    )  # fmt: skip
    write_record(paths.decision, decision)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.open_results(paths)
        await settle(pilot)
        rows = screen_text(app).splitlines()
        behind = next(n for n, row in enumerate(rows) if "Behind it: Parameter Initialization less Control" in row)
        below = "\n".join(rows[behind:])
        assert "± 0.2, the margin" in below
        picture = next(row for row in rows[behind:] if "●" in row)
        assert picture.index("├") < picture.index("●") < picture.index("┤")
        await press(pilot, "enter")
        assert isinstance(app.screen, ResultsScreen)
        assert app.screen.page == "compare"


@pytest.mark.slow
async def test_large_screen_has_each_reason_and_the_other_measures(make_app: Make, store: Path) -> None:
    others = ("accuracy SD, %", "cross-entropy SD, nats", "correlation, Spearman", "ensemble Δ, % points")
    for size, shown in (((200, 60), True), ((80, 24), False)):
        app = make_app()
        async with app.run_test(size=size) as pilot:
            screen = await open_results(pilot, app, store)
            assert screen.measured is not None
            measures = [answer.measure for answer in screen.measured.answers]
            await press(pilot, *"j" * measures.index("disagreement"))
            text = screen_text(app)
            assert sum(title in text for title in others) == (len(others) if shown else 0)
            last = screen.measured.answers[-1].because.split()
            assert (" ".join(last[:4]) in text) is shown, "the reason of a sentence that is not under the cursor"
