"""Fixtures of the app's tests: a store, and the app on top of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.study.pairs_record import ArmPairs
from tests.helpers.comparisons import make_pair
from tests.helpers.studies import PROTOCOL
from tui.app.app import NondetApp
from tui.app.settings import Locations, Settings
from tui.app.terminal import Terminal

TERMINAL = Terminal(glyphs="braille", remote=False, tmux=False, few_colours=False)


PAIRS = ArmPairs(
    replicas=(1, 2, 3), runs=("a", "b", "c"), order=(0, 1, 2), left_out=0,
    disagreement=((0.0, 2.0, 3.0), (2.0, 0.0, 6.0), (3.0, 6.0, 0.0)),
)  # fmt: skip
"""What a process would answer of any arm."""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store, and a working folder with one protocol; nothing of the user's is looked at."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "protocols").mkdir()
    (tmp_path / "protocols" / "mine.toml").write_text(PROTOCOL)
    monkeypatch.setattr("tui.app.screens.results.refresh_metrics", lambda paths: None)
    monkeypatch.setattr("tui.app.screens.results_pairs.find_pairs", lambda paths, arm: PAIRS)
    monkeypatch.setattr("tui.app.screens.compare_data.compare_pair", make_pair)
    monkeypatch.setattr("tui.app.listed_files.shipped_folder", lambda: None)
    monkeypatch.setattr("tui.app.screens.draft.TIMING_DELAY_S", 3600.0)  # timing trains, which takes seconds
    return tmp_path / "studies"


@pytest.fixture
def make_app(store: Path, tmp_path: Path) -> Callable[..., NondetApp]:
    def make(**arguments: Any) -> NondetApp:
        locations = Locations(tmp_path / "c" / "config.toml", tmp_path / "s" / "recent", tmp_path / "s" / "copies")
        options: dict[str, Any] = {"settings": Settings(refresh_s=0.2), "terminal": TERMINAL}
        return NondetApp(**({"store": str(store), "locations": locations} | options | arguments))

    return make
