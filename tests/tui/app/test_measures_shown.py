"""Which measure a study opens on, what is said while it is measured, and what copies of its table are called."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.screens import SIZES, Make, screen_text, settle
from tests.helpers.studies import write_study
from tui.app.screens.monitor import MonitorScreen
from tui.app.screens.start import StartScreen


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "suffix"), [("markdown", "md"), ("latex", "tex"), ("csv", "csv"), ("json", "json")])
async def test_copies_are_called_after_their_format(make_app: Make, store: Path, kind: str, suffix: str) -> None:
    paths = write_study(store / "live")
    app = make_app()
    names: list[str] = []
    app.copy = lambda text, name: names.append(name)
    async with app.run_test(size=(120, 40)) as pilot:
        app.open_results(paths)
        await settle(pilot)
        await app.run_action(f"copy('{kind}')", default_namespace=app.screen)
        await settle(pilot)
        assert names == [f"live.{suffix}"]


@pytest.mark.slow
async def test_study_of_text_opens_on_perplexity_and_stays_where_it_is_put(make_app: Make, store: Path) -> None:
    paths = write_study(store / "live")
    for file in paths.runs.glob("*/attempts/01/epochs.jsonl"):
        lines = [json.loads(line) | {"test_perplexity": 48.0} for line in file.read_text().splitlines()]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, MonitorScreen)
        assert screen.measure == "perplexity"
        screen.measure = "accuracy"
        screen.look()
        await settle(pilot)
        assert screen.measure == "accuracy"


@pytest.mark.slow
async def test_results_say_what_is_measured_until_it_is(make_app: Make, store: Path, monkeypatch: Any) -> None:
    let_go = threading.Event()
    monkeypatch.setattr("tui.app.screens.results.refresh_metrics", lambda paths: let_go.wait(20) and None)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.open_results(write_study(store / "live", done=2))
        await pilot.pause(0.3)
        assert "measuring …" in screen_text(app)
        assert "Measuring 6 finished runs of 9:" in screen_text(app)
        await pilot.press("6")
        await pilot.pause(0.1)
        assert "How far the replicas' test accuracies scatter" in screen_text(app), "that needs no figures"
        await pilot.press("escape")
        await pilot.pause(0.1)
        assert isinstance(app.screen, StartScreen)
        app.open_results(write_study(store / "live", done=2))
        let_go.set()
        await settle(pilot)
        assert "measuring" not in screen_text(app).lower()
        assert "6 of 9 replicas" in screen_text(app)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_explanations_scroll_to_the_last_measure(make_app: Make, store: Path, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        app.open_results(write_study(store / "live", done=2))
        await settle(pilot)
        await pilot.press("6")
        await settle(pilot)
        top = screen_text(app)
        assert "R is the number of replicas" in top
        await pilot.press("G")
        await settle(pilot)
        assert "mean over pairs of Pearson's correlation of the N·C logits" in screen_text(app)
        await pilot.press("g")
        await settle(pilot)
        assert screen_text(app) == top
