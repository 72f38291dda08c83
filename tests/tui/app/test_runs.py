"""The runs of an arm, one Enter away: a run's curve, what its recipe has of its own, its log, what can be done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.recipe import RECIPE_VERSION, DataRecipe, ModelRecipe, Recipe, Seeds, TrainRecipe
from engine.study.paths import StudyPaths
from engine.study.processes import current_owner
from engine.study.records import write_record
from engine.study.run_records import SpecRecord
from tests.helpers.records import make_supervisor
from tests.helpers.screens import SIZES, Make, read_notices, screen_text, settle
from tests.helpers.studies import write_study
from tui.app.run_facts import list_differences
from tui.app.screens import runs
from tui.app.screens.dialogs import Reader
from tui.app.screens.runs import RunsScreen
from tui.app.screens.runs_panes import RunPlot

RECIPE = Recipe(
    data=DataRecipe(preset="digits"),
    model=ModelRecipe(preset="linear"),
    train=TrainRecipe(epochs=8, batch_size=100),
    seeds=Seeds(init=1, shuffle=1),
    lowlevel="deterministic",
    device="cpu",
)


def write_recipes(paths: StudyPaths, arm: int, replicas: int) -> None:
    for replica in range(replicas):
        run = f"{arm:08x}{replica:08x}"
        recipe = replace(RECIPE, seeds=replace(RECIPE.seeds, init=replica + 1))
        write_record(paths.run(run).spec, SpecRecord(run=run, recipe_version=RECIPE_VERSION, recipe=recipe))


def test_difference_of_two_recipes_names_what_differs() -> None:
    other = replace(RECIPE, seeds=Seeds(init=7, shuffle=1, augment=3), train=replace(RECIPE.train, lr=0.05))
    assert list_differences(other, RECIPE) == (
        "train.lr 0.05 instead of 0.4", "seeds.init 7 instead of 1", "seeds.augment 3 instead of –",
    )  # fmt: skip
    assert list_differences(RECIPE, RECIPE) == ()


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_run_is_one_enter_away_with_curve_recipe_and_log(
    make_app: Make, store: Path, size: tuple[int, int]
) -> None:
    paths = write_study(store / "s", replicas=4, done=2, running=1, failed=1)
    write_recipes(paths, 1, 4)
    app = make_app(opened=paths.folder)
    async with app.run_test(size=size, notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(app.screen, RunsScreen)
        text = screen_text(app)
        assert "▲ Parameter Initialization" in text.splitlines()[0]
        assert "replica 1: what others are" in text
        assert "Replica 1" in text
        assert "accuracy, % ─" in text, "the title of the plot is whole"
        await pilot.press("j")
        await settle(pilot)
        text = " ".join(screen_text(app).replace("│", " ").split())
        assert "replica 2: done, epoch 8 of 8" in text
        assert "seeds.init 2" in text
        plot = app.screen.query_one(RunPlot)
        assert [len(curve.middle) for curve in plot.curves] == [8, 8]
        assert plot.curves[1].label == "replica 2"
        assert plot.curves[0].outer[-1] is not None, "the arm's band is behind it"
        await pilot.press("G")
        await settle(pilot)
        text = " ".join(screen_text(app).replace("│", " ").split())
        assert "replica 4: failed" in text
        assert "ValueError: [bad] input" in text
        await pilot.press("slash")
        await settle(pilot)
        await pilot.press(*"needle", "enter")
        await settle(pilot)
        assert isinstance(app.screen, Reader)
        assert "1 of 30 lines with needle" in screen_text(app)
        await pilot.press("escape", "escape")
        await settle(pilot)
        assert not isinstance(app.screen, RunsScreen)


@pytest.mark.slow
async def test_finished_run_offers_nothing_that_cannot_be_done(make_app: Make, store: Path) -> None:
    app = make_app(opened=write_study(store / "s", replicas=4, done=2, running=1).folder)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("k", "enter")
        await settle(pilot)

        def offered() -> set[str]:
            return {one.binding.description for one in app.screen.active_bindings.values() if one.enabled}

        assert offered().isdisjoint({"Pause run", "Cancel run"})
        await pilot.press("j", "j")
        await settle(pilot)
        assert offered() >= {"Pause run", "Cancel run"}
        await pilot.press("j", "enter")
        await settle(pilot)
        assert "it was not tried yet" in read_notices(app)


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["y", "n"])
async def test_failed_run_is_tried_again_alone(
    make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    asked: list[tuple[str, int]] = []
    monkeypatch.setattr(runs, "retry_run", lambda paths, run, *, seen: asked.append((run, seen)))
    paths = write_study(store / "s", replicas=5, done=2, failed=1)
    write_record(paths.supervisor, make_supervisor(replace(current_owner(), start_ticks=1)))
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("k", "enter")
        await settle(pilot)
        await pilot.press("R")
        assert isinstance(app.screen, RunsScreen), "a finished run is not trained again"
        await pilot.press("j", "j", "j")
        await settle(pilot)
        assert "R Try again" in screen_text(app)
        await pilot.press("R")
        await settle(pilot)
        text = " ".join(screen_text(app).replace("│", " ").split())
        assert "Try replica 4 again" in text
        assert "It failed after 1 attempt, of which all files are kept." in text
        assert "It alone is trained: 5 others that are not done stay as they are." in text
        await pilot.press(answer)
        await settle(pilot)
        assert asked == ([(f"{0:08x}{3:08x}", 1)] if answer == "y" else [])
        assert ("replica 4 is tried again" in read_notices(app)) == (answer == "y")


@pytest.mark.slow
async def test_lines_of_a_log_are_wrapped(make_app: Make, store: Path) -> None:
    paths = write_study(store / "s")
    log = paths.run(f"{0:08x}{0:08x}").attempt(1).log
    log.write_text("    " + " ".join(f"word{n}" for n in range(60)) + "\n\tindented\n\nlast\n")
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("k", "enter")
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        rows = screen_text(app).splitlines()
        assert sum("word" in row for row in rows) >= 5
        assert all(f"word{n}" in " ".join(rows) for n in range(60))
        assert any(row.startswith("    indented") for row in rows)
