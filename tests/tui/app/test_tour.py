"""The tour goes on its whole way and back on the study that comes along, and changes nothing of the user's."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs
from textual.pilot import Pilot

from engine.errors import NondetError
from engine.study.metrics_record import StudyMeasures, find_metrics
from engine.study.paths import StudyPaths
from tests.helpers.screens import Make, screen_text, settle
from tests.helpers.studies import write_study
from tui.app.settings import Locations, Settings
from tui.app.terminal import Terminal
from tui.app.tour.guide import TourApp, TourCard
from tui.app.tour.packing import pack_study, unpack_study
from tui.app.tour.steps import STEPS, find_arm

TERMINAL = Terminal(glyphs="braille", remote=False, tmux=False, few_colours=False)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TourApp:
    """The tour on a study that is unpacked for it; its measures are taken as they came."""
    monkeypatch.setattr("tui.app.screens.results.refresh_metrics", lambda *_, **__: None)
    store = tmp_path / "store"
    store.mkdir()
    folder = unpack_study(store)
    locations = Locations(tmp_path / "config.toml", tmp_path / "recent", tmp_path / "copies")
    return TourApp(
        folder, read_measures(folder), locations=locations, settings=Settings(refresh_s=0.2), terminal=TERMINAL
    )


def read_measures(folder: Path) -> StudyMeasures:
    found = find_metrics(StudyPaths(folder).metrics)
    assert found is not None
    return found


async def press(pilot: Pilot[None], key: str) -> None:
    await pilot.press(key)
    await settle(pilot)
    await pilot.pause(0.2)  # a card follows its screen
    await settle(pilot)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_tour_goes_its_way_and_back(app: TourApp, size: tuple[int, int]) -> None:
    async with app.run_test(size=size, notifications=True) as pilot:
        await press(pilot, "f1")
        for number, step in [*enumerate(STEPS), *reversed(list(enumerate(STEPS[:-1])))]:
            assert app.step == number
            card = app.screen.query_one(TourCard)
            assert str(card.border_title).startswith(f"Tour {number + 1}/{len(STEPS)}: {step.title}")
            words = step.tell(app.measured).split()
            shown = screen_text(app).replace("│", " ").split()
            assert [word for word in words if word not in shown] == [], "no word is cut off"
            if step.place == "monitor":
                assert "no room for a plot" not in screen_text(app), "the picture that is spoken of is there"
            if step.place == "builder":
                assert "Random Bit Change" in screen_text(app), "arms are seen down the matrix"
            await press(pilot, "right" if number < len(STEPS) - 1 and app.step == number else "left")
            if number == len(STEPS) - 1:
                break
    assert not app.locations.config.exists()


@pytest.mark.slow
async def test_one_may_look_around_and_the_tour_finds_its_way(app: TourApp) -> None:
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await press(pilot, "f1")
        await press(pilot, "enter")
        await press(pilot, "question_mark")
        await press(pilot, "right")
        assert app.step == 0, "keys of a dialog are its own"
        await press(pilot, "escape")
        await press(pilot, "right")
        assert app.step == 1
        assert app.screen.query_one(TourCard)
        await press(pilot, "q")
    assert app.return_code == 0


def test_figures_that_are_told_are_those_of_the_study(tmp_path: Path) -> None:
    measured = read_measures(unpack_study(tmp_path))
    init = find_arm(measured, "init")
    assert init.vary == ("init",)
    told = {step.title: step.tell(measured) for step in STEPS}
    value = init.find("disagreement").value
    assert value is not None
    assert f"{value:.1f}" in told["Five measures: disagreement"]
    assert find_arm(measured).identical_weights
    assert "equal to the bit" in told["A study"]
    others = replace_measure(measured, "init", "disagreement", 12.3)
    assert "12.3" in {step.title: step.tell(others) for step in STEPS}["Five measures: disagreement"]


def replace_measure(measured: StudyMeasures, source: str, key: str, value: float) -> StudyMeasures:
    """Return the measures with another value of a measure in the arm that varies one source."""
    arms = tuple(
        structs.replace(arm, estimates=arm.estimates | {key: structs.replace(arm.find(key), value=value)})
        if arm.vary == (source,)
        else arm
        for arm in measured.arms
    )
    return structs.replace(measured, arms=arms)


def test_equal_studies_make_equal_packages_without_weights(tmp_path: Path) -> None:
    folder = unpack_study(tmp_path)
    (run := next((folder / "runs").iterdir()) / "model.safetensors").write_bytes(b"weights")
    packed = pack_study(folder)
    run.unlink()
    assert packed == pack_study(folder)


def test_tour_without_room_or_without_its_study_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NondetError, match="set TMPDIR"):
        unpack_study(Path("/proc/nowhere"))
    torn = tmp_path / "study.zip"
    torn.write_bytes(b"PK")
    monkeypatch.setattr("tui.app.tour.packing.PACKED", torn)
    with pytest.raises(NondetError, match="install nondet-tui again"):
        unpack_study(tmp_path)


@pytest.mark.parametrize("keys", [("1",), ("up", "up", "up", "up", "enter")])
async def test_empty_home_offers_the_tour(
    make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...]
) -> None:
    monkeypatch.setattr("tui.app.listed_files.shipped_folder", lambda: store.parent / "protocols")
    (store.parent / "protocols" / "mine.toml").rename(store.parent / "protocols" / "quickstart.toml")
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        assert "1  take the tour" in screen_text(app)
        await pilot.press(*keys)
        await settle(pilot)
    assert app.tour_wanted


async def test_store_with_studies_has_no_ways_to_begin(make_app: Make, store: Path) -> None:
    write_study(store / "alpha")
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        assert "tour" not in screen_text(app)
        await pilot.press("1")
        await settle(pilot)
        assert not app.tour_wanted
