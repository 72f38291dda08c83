"""The monitor: two pictures that agree, arms shown as what they are, what happens now, keys that say what they do."""

from __future__ import annotations

import random
import re
from pathlib import Path

import msgspec
import pytest

from engine.study.decision_record import CompareSettings
from engine.study.epochs import EpochRecord, append_epoch
from engine.study.measuring_record import MeasuringRecord
from engine.study.paths import StudyPaths
from engine.study.processes import current_owner
from engine.study.records import write_record
from engine.study.study_plan import CommandSettings, read_plan
from tests.helpers.large_store import GONE
from tests.helpers.records import make_supervisor
from tests.helpers.screens import SIZES, Make, read_notices, screen_text, settle
from tests.helpers.slurm_answers import answer_for_slurm
from tests.helpers.studies import write_run, write_study
from tui.app.machine import Gauge, Machine
from tui.app.screens.monitor import MonitorScreen
from tui.app.screens.monitor_layout import choose_plots
from tui.app.screens.monitor_plots import ArmPlot, RoundsPlot, SpreadPlot
from tui.app.terminal import Terminal
from tui.app.widgets.lines import LinesView

LONG = "Data shuffling + Augmentation + Floating-point order"


def let_one_fall(paths: StudyPaths, run: str) -> None:
    """Have the last epoch of a run end far below all others."""
    file = paths.run(run).attempt(1).epochs
    rows = file.read_text().splitlines(keepends=True)
    file.write_text("".join(rows[:-1]))
    append_epoch(file, EpochRecord(
        epoch=len(rows), train_loss=1.0, test_accuracy=60.0, test_cross_entropy=1.0, lr=0.1, seconds=0.5,
    ))  # fmt: skip


async def test_arm_under_the_cursor_is_shown_alone_with_its_replicas_and_the_one_that_falls(
    make_app: Make, store: Path
) -> None:
    paths = write_study(store / "s", replicas=8, done=8, running=0)
    let_one_fall(paths, f"{1:08x}{6:08x}")
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("k")
        await settle(pilot)
        spread, arm = app.screen.query_one(SpreadPlot), app.screen.query_one(ArmPlot)
        assert len(spread.curves) == 3
        assert "SD of test accuracy, %, by epoch" in screen_text(app)
        assert arm.curves[-1].name == "Control"
        assert len(arm.curves[-1].replicas) == 8
        assert "replica" not in {curve.label.split(" ")[0] for curve in arm.curves}
        await pilot.press("j")
        await settle(pilot)
        assert [curve.label for curve in arm.curves] == ["replica 7", "mean"]
        assert len(arm.curves[-1].replicas) == 8
        assert "replica 7" in screen_text(app)
        assert "▲ Parameter Initialization" in str(arm.border_title)


@pytest.mark.slow
async def test_one_picture_at_a_time_where_there_is_little_room(make_app: Make, store: Path) -> None:
    app = make_app(opened=write_study(store / "s").folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        spread, arm = app.screen.query_one(SpreadPlot), app.screen.query_one(ArmPlot)

        def shown() -> tuple[bool, bool]:
            return bool(spread.size), bool(arm.size)

        assert shown() == (True, False)
        await pilot.press("s")
        await settle(pilot)
        assert shown() == (False, True)
        await pilot.resize_terminal(120, 40)
        await settle(pilot)
        assert shown() == (True, True)
        before = arm.size
        await pilot.press("z")
        await settle(pilot)
        assert shown() == (False, True)
        assert arm.size.width > before.width
        assert arm.size.height > before.height
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(app.screen, MonitorScreen)
        assert arm.size == before


@pytest.mark.slow
async def test_keys_act_on_the_picture_in_front_and_epochs_are_those_of_both(make_app: Make, store: Path) -> None:
    app = make_app(opened=write_study(store / "s", epochs=30).folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        spread, arm = app.screen.query_one(SpreadPlot), app.screen.query_one(ArmPlot)
        await pilot.press("asterisk", "asterisk")
        assert (spread.zoom_y, arm.zoom_y) == (4.0, 1.0)
        await pilot.press("s", "asterisk", "L", "plus", "left_square_bracket")
        await settle(pilot)
        assert (spread.zoom_y, arm.zoom_y) == (4.0, 2.0)
        assert arm.log_scale
        assert (arm.first, arm.last, arm.cursor) == (spread.first, spread.last, spread.cursor)
        assert arm.cursor == 29
        await pilot.press("underscore", "0")
        await settle(pilot)
        assert {(plot.zoom_y, plot.last, plot.cursor) for plot in (spread, arm)} == {(1.0, 0, None)}
        await pilot.click(SpreadPlot)
        await pilot.press("asterisk")
        assert spread.zoom_y == 2.0


@pytest.mark.parametrize("size", SIZES)
async def test_readout_has_the_figures_of_the_arm_whatever_its_name(
    make_app: Make, store: Path, size: tuple[int, int]
) -> None:
    app = make_app(opened=write_study(store / "s", arms={LONG: ["init"]}).folder)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        (readout,) = [row for row in screen_text(app).splitlines() if row.startswith(" epoch 8 ")]
        assert re.search(r"● Data.*  mean \d+\.\d\d ±\S+ SD, least \d+\.\d\d, most \d+\.\d\d, 2 replicas$", readout)


@pytest.mark.slow
@pytest.mark.parametrize(("readonly", "failed"), [(False, 0), (False, 1), (True, 0)])
async def test_a_study_that_nothing_trains_says_which_key_does(
    make_app: Make, store: Path, *, readonly: bool, failed: int
) -> None:
    paths = write_study(store / "s", running=0, failed=failed)
    write_record(paths.supervisor, make_supervisor(GONE))
    app = make_app(opened=paths.folder, readonly=readonly)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        title = screen_text(app).splitlines()[0]
        offered = "C tries again" if failed else "C trains the rest"
        assert title.endswith(f"6 of 9 runs   {offered}" if not readonly else "6 of 9 runs")


@pytest.mark.parametrize("done", [0, 3])
async def test_what_failed_is_told_with_its_reason(make_app: Make, store: Path, done: int) -> None:
    paths = write_study(store / "s", arms={"Own": []}, replicas=done + 2, done=done, running=0, failed=2)
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        told, below = screen_text(app).splitlines()[-3:-1]
        assert told == f" ● Own: 2 of {done + 2} runs failed: ValueError: [bad] input"
        assert below.strip() == ("● Own has no spread: its 3 replicas are alike to the last bit" if done else "")


@pytest.mark.slow
async def test_an_arm_of_fewer_epochs_than_others_is_read_where_it_ends(make_app: Make, store: Path) -> None:
    paths = write_study(store / "s", arms={"Short": ["bit"], "Long": ["init"]}, epochs=4, done=3, running=0)
    plan = read_plan(paths)
    longer = plan.arms[1].runs
    for run in longer:
        write_run(paths, run, 9, random.Random(2), state="done")
    write_record(paths.plan, msgspec.structs.replace(plan, epochs={**plan.epochs, **dict.fromkeys(longer, 9)}))
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        (readout,) = [row for row in screen_text(app).splitlines() if row.startswith(" epoch 9 ")]
        assert re.search(r"● Short +ends at epoch 4: mean \d+\.\d\d .*, 3 replicas$", readout)


@pytest.mark.parametrize("size", SIZES)
async def test_arms_without_a_spread_say_why(make_app: Make, store: Path, size: tuple[int, int]) -> None:
    arms = {"Alone": ["init"], "Broken": ["init"], "Later": ["init"], "Live": ["init"]}
    paths = write_study(store / "s", arms=arms, done=0, running=0)
    rng = random.Random(3)
    write_run(paths, f"{0:08x}{0:08x}", 8, rng, state="done")
    for replica in range(3):
        write_run(paths, f"{1:08x}{replica:08x}", 0, rng, state="failed")
    for replica in range(2):
        write_run(paths, f"{3:08x}{replica:08x}", 5, rng, state="running")
    paths.metrics.unlink()
    app = make_app(opened=paths.folder)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert re.search(r"● Alone .* 1/3 +one replica so far: no spread", text)
        assert re.search(r"▲ Broken .* 0/3 ✗3 +3 failed: no spread", text)
        assert re.search(r"■ Later .* 0/3 +waiting", text)
        assert re.search(r"◆ Live .* 0/3 +SD \d\S* of 2 at epoch 5", text)
        assert "n=1" in text, "in the legend"


@pytest.mark.slow
async def test_finished_study_has_nothing_to_pause_or_cancel_and_says_so(make_app: Make, store: Path) -> None:
    paths = write_study(store / "s", done=3, running=0)
    paths.supervisor.unlink()
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("p", "x")
        await settle(pilot)
        assert isinstance(app.screen, MonitorScreen), "nothing is asked"
        assert read_notices(app).splitlines() == [
            "the study has ended: nothing is left to pause", "the study has ended: nothing is left to cancel",
        ]  # fmt: skip


@pytest.mark.slow
async def test_cancelling_ends_what_waits_in_a_queue_where_no_supervisor_does(
    make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_study(store / "s", done=1, running=0)
    paths.supervisor.unlink()
    plan = read_plan(paths)
    dispatch = msgspec.structs.replace(plan.dispatch, executor="slurm")
    write_record(paths.plan, msgspec.structs.replace(plan, dispatch=dispatch))
    controller = answer_for_slurm(monkeypatch)
    controller.jobs = {"7": "PENDING|Resources||0|0"}
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("x", "y")
        await settle(pilot)
        assert "1 job that waited in Slurm's queue is cancelled" in read_notices(app)
    assert controller.jobs["7"].startswith("CANCELLED")


@pytest.mark.slow
async def test_end_of_a_study_counts_what_failed(make_app: Make, store: Path) -> None:
    paths = write_study(store / "s", done=2, running=1, replicas=3)
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        write_study(store / "s", done=2, running=0, failed=1)
        write_record(paths.supervisor, make_supervisor(GONE))
        await pilot.pause(1.0)
        await settle(pilot)
        assert "s: 6 of 9 runs are done, 3 failed" in read_notices(app)


@pytest.mark.slow
async def test_now_names_slot_run_epoch_and_accuracy_and_how_busy_the_machine_is(make_app: Make, store: Path) -> None:
    paths = write_study(store / "s")
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(140, 40)) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert re.search(r"cpu:0 ● Control +r3 +4/8 +8\d\.\d\d +▁", text)
        assert re.search(r"memory +\d+ %  \d+\.\d/\d+ GB", text)
        write_study(store / "s", done=3, running=0)
        paths.supervisor.unlink()
        await pilot.pause(0.5)
        await settle(pilot)
        text = screen_text(app)
        assert "memory" not in text, "nothing runs: nothing changes on the screen"
        assert " Runs ─" in text


async def test_histories_of_the_machine_begin_in_one_column(
    make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = (("cpu", "2 cores"), ("memory", "8.0/32 GB"), ("gpu0", "11.2/80 GB 412 W"))
    gauges = tuple(Gauge(name, 50.0, text, (10.0, 50.0)) for name, text in parts)
    monkeypatch.setattr(Machine, "look", lambda machine: gauges)
    app = make_app(opened=write_study(store / "s").folder)
    async with app.run_test(size=(140, 40)) as pilot:
        await settle(pilot)
        rows = [row for row in screen_text(app).splitlines() if " 50 %  " in row]
        assert [row.partition(" 50 %  ")[2].split("  ")[0] for row in rows] == [text for _, text in parts]
        assert len({row.index("▁") for row in rows}) == 1


@pytest.mark.slow
async def test_end_of_a_study_says_how_far_measuring_is(make_app: Make, store: Path) -> None:
    paths = write_study(store / "s", done=3, running=0)
    write_record(paths.measuring, MeasuringRecord(owner=current_owner(), done=1, total=3))
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "9 of 9 runs" in screen_text(app).splitlines()[0]
        assert "measuring 1 of 3 arms" in screen_text(app).splitlines()[0]


async def test_sentence_below_says_what_can_be_told(make_app: Make, store: Path) -> None:
    paths = write_study(store / "s", done=3, running=0)
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("k")
        await settle(pilot)
        assert "● Control has no spread: its 3 replicas are alike to the last bit" in screen_text(app)
        await pilot.press("j")
        await settle(pilot)
        said = " ".join(screen_text(app).split())
        assert "▲ Parameter Initialization cannot be told apart from ■ [red]all[/] " in said
        assert re.search(r"yet: ratio of SDs 1\.00 \[\d", said)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_terminal_of_ascii_is_sent_nothing_else(make_app: Make, store: Path, size: tuple[int, int]) -> None:
    paths = write_study(store / "s", arms={"Control": [], LONG: ["init"]}, failed=1, replicas=5)
    app = make_app(opened=paths.folder, terminal=Terminal(glyphs="ascii", remote=False, tmux=False, few_colours=False))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for plot in app.screen.query(SpreadPlot):
            assert all(plot.render_line(y).text.isascii() for y in range(plot.size.height))
        lists = [
            line.text.plain for name in ("arms", "runs") for line in app.screen.query_one(f"#{name}", LinesView).lines
        ]
        assert [row for row in lists if not row.isascii()] == []


@pytest.mark.parametrize(
    ("columns", "alone", "decides", "seen"),
    [
        (80, True, True, {"rounds"}),
        (120, False, True, {"rounds", "spread"}),
        (200, False, True, {"rounds", "spread", "arm"}),
        (120, False, False, {"spread", "arm"}),
    ],
)
def test_pictures_are_those_that_there_is_room_for(columns: int, seen: set[str], *, alone: bool, decides: bool) -> None:
    front = "rounds" if decides else "spread"
    assert choose_plots(front, columns, alone=alone, decides=decides) == seen


@pytest.mark.slow
async def test_study_that_trains_until_decided_shows_the_difference_first(make_app: Make, store: Path) -> None:
    paths = write_study(store / "s", arms={"A": ["init"], "B": ["init"]}, replicas=9, done=6, running=0)
    settings = CompareSettings(a="A", b="B", measure="accuracy", margin=0.1, until_decided=True)
    write_record(paths.plan, msgspec.structs.replace(read_plan(paths), compare=settings))
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        rounds = app.screen.query_one(RoundsPlot)
        assert (rounds.display, rounds.active, len(rounds.curves[0].middle)) == (True, True, 6)
        assert "A less B: accuracy" in screen_text(app)
        assert "undecided after 6 pairs of replicas, 9 at most" in screen_text(app)
        await pilot.press("s", "s")
        await settle(pilot)
        assert app.screen.query_one(ArmPlot).display
        await pilot.press("5")
        await settle(pilot)
        assert rounds.active


async def test_digit_of_the_difference_says_why_there_is_none(make_app: Make, store: Path) -> None:
    app = make_app(opened=write_study(store / "s").folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("5")
        await settle(pilot)
        assert "does not train until two arms are told apart" in read_notices(app)


@pytest.mark.slow
async def test_numbers_of_a_program_of_ones_own_are_chosen_like_measures(make_app: Make, store: Path) -> None:
    paths = write_study(store / "s", arms={"A": ["init"], "B": ["init"]}, replicas=3, done=2, running=1)
    own = CommandSettings(folder="/", python="python", epochs=8, timeout_s=0.0, kind="scores")
    write_record(paths.plan, msgspec.structs.replace(read_plan(paths), command=own))
    for run in read_plan(paths).order:
        file = paths.run(run).attempt(1).epochs
        file.unlink()
        for epoch in range(1, 5):
            append_epoch(file, EpochRecord(
                epoch=epoch, train_loss=1 / epoch, test_accuracy=None, test_cross_entropy=None, lr=None, seconds=0.5,
                scores={"f1": 0.5 + 0.1 * epoch + 0.01 * len(run)},
            ))  # fmt: skip
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        seen = [app.screen.query_one(SpreadPlot).border_title]
        await pilot.press("m")
        await settle(pilot)
        seen.append(app.screen.query_one(SpreadPlot).border_title)
        assert ["SD of f1" in str(seen[0]), "SD of training loss" in str(seen[1])] == [True, True]
        assert len(app.screen.query_one(SpreadPlot).curves[0].middle) == 4
        assert "    f1" in screen_text(app), "of runs that are being trained, too"
