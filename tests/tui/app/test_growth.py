"""The growth of moved bits in the app: the sentence leads to its picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.study.metrics_record import StudyMeasures, find_metrics, write_metrics
from tests.helpers.growth import make_arms
from tests.helpers.screens import press, screen_text, settle
from tests.helpers.studies import write_study
from tui.app.app import NondetApp
from tui.app.screens.results import ResultsScreen

Make = Callable[..., NondetApp]


async def test_a_sentence_about_growth_leads_to_its_picture(make_app: Make, store: Path) -> None:
    arms = make_arms()
    paths = write_study(store / "grown", arms={arm.name: ["bit"] for arm in arms}, done=3, running=0)
    known = find_metrics(paths.metrics)
    assert known is not None
    write_metrics(paths.metrics, StudyMeasures(study=known.study, arms=tuple(arms)))
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
