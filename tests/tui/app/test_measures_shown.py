"""Which measure a study opens on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.screens import Make, settle
from tests.helpers.studies import write_study
from tui.app.screens.monitor import MonitorScreen


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
        screen.reading.ask()
        await settle(pilot)
        assert screen.measure == "accuracy"
