"""The growth of moved bits in the app: the sentence leads to its picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.study.metrics_record import StudyMeasures, find_metrics, write_metrics
from engine.study.paths import StudyPaths
from tests.helpers.growth import make_arms
from tests.helpers.screens import press, screen_text, settle
from tests.helpers.studies import write_study
from tui.app.app import NondetApp
from tui.app.schemes import arm_style
from tui.app.screens.results import ResultsScreen
from tui.app.screens.results_answer import Evidence

Make = Callable[..., NondetApp]


def write_grown(store: Path) -> StudyPaths:
    arms = make_arms()
    paths = write_study(store / "grown", arms={arm.name: ["bit"] for arm in arms}, done=3, running=0)
    known = find_metrics(paths.metrics)
    assert known is not None
    write_metrics(paths.metrics, StudyMeasures(study=known.study, arms=tuple(arms)))
    return paths


async def test_the_picture_behind_a_sentence_is_whole_and_in_the_colours_of_the_arms(
    make_app: Make, store: Path
) -> None:
    paths = write_grown(store)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.open_results(paths)
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, ResultsScreen)
        assert screen.measured is not None
        await press(pilot, *"j" * [answer.page for answer in screen.measured.answers].index("growth"))
        behind = screen_text(app).partition("Behind it: net: relative distance of the weights from the unmoved run")[2]
        assert any(row.endswith(" step") for row in behind.splitlines()[:-1]), "its axis is seen"
        drawn = screen.query_one(Evidence).lines
        colours = {str(span.style) for line in drawn for span in line.text.spans}
        assert {str(arm_style(number, app.theme)) for number in (1, 2, 3)} <= colours


@pytest.mark.slow
async def test_a_sentence_about_growth_leads_to_its_picture(make_app: Make, store: Path) -> None:
    paths = write_grown(store)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app.open_results(paths)
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, ResultsScreen)
        assert screen.measured is not None
        said = [answer.page for answer in screen.measured.answers]
        await press(pilot, *"j" * said.index("growth"))
        behind = screen_text(app)
        assert "relative to their size" in behind
        assert "4 ulp" in behind.partition("Behind it")[2], "the picture is behind the sentence"
        await press(pilot, "enter")
        assert screen.page == "time"
        shown = screen_text(app)
        for part in ("net: relative distance of the weights", "step", "doubles in", "3/3", "hardly depends on how far"):
            assert part in " ".join(shown.split())
