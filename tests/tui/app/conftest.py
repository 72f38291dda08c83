"""Fixtures of the app's tests: a store, and the app on top of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.studies import PROTOCOL
from tui.app.app import NondetApp
from tui.app.settings import Locations, Settings
from tui.app.terminal import Terminal

TERMINAL = Terminal(glyphs="braille", remote=False, tmux=False, few_colours=False)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store, and a working folder with one protocol; nothing of the user's is looked at."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "protocols").mkdir()
    (tmp_path / "protocols" / "mine.toml").write_text(PROTOCOL)
    monkeypatch.setattr("tui.app.screens.results.refresh_metrics", lambda paths: None)
    monkeypatch.setattr("tui.app.listed_files.shipped_folder", lambda: None)
    return tmp_path / "studies"


@pytest.fixture
def make_app(store: Path, tmp_path: Path) -> Callable[..., NondetApp]:
    def make(**arguments: Any) -> NondetApp:
        locations = Locations(tmp_path / "c" / "config.toml", tmp_path / "s" / "recent", tmp_path / "s" / "copies")
        options: dict[str, Any] = {"settings": Settings(refresh_s=0.2), "terminal": TERMINAL}
        return NondetApp(**({"store": str(store), "locations": locations} | options | arguments))

    return make
