"""What keeps the event loop free: when all objects are collected, what is imported in advance."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tui.app import upkeep
from tui.app.upkeep import AT_LATEST, DUE_AFTER, REST_S, Upkeep


@pytest.fixture
def collector() -> Iterator[None]:
    """Leave the interpreter's collections as they were."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@pytest.mark.parametrize(
    ("since", "rested_s", "due"),
    [
        (DUE_AFTER - 1, 10 * REST_S, False),
        (DUE_AFTER, REST_S - 0.1, False),
        (DUE_AFTER, REST_S, True),
        (AT_LATEST, 0.0, True),
    ],
)
def test_all_objects_are_collected_while_nobody_types(
    monkeypatch: pytest.MonkeyPatch, since: int, rested_s: float, due: bool
) -> None:
    collected: list[None] = []
    monkeypatch.setattr(gc, "get_count", lambda: (0, 0, since))
    monkeypatch.setattr(gc, "collect", lambda: collected.append(None))
    now = 1000.0
    keeper = Upkeep(clock=lambda: now)
    keeper.touch()
    now += rested_s
    assert keeper.collect() is due
    assert len(collected) == due


@pytest.mark.usefixtures("collector")
def test_interpreter_leaves_full_collections_to_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "import_screens", lambda: None)
    before = gc.get_threshold()
    Upkeep().begin()
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold()[:2] == before[:2], "young ones go on as they did"
    assert gc.get_threshold()[2] > 1000 * before[2]


@pytest.mark.slow
def test_screens_are_there_before_they_are_opened() -> None:
    code = (
        "import sys, tui.app.app; from tui.app.upkeep import import_screens; before = set(sys.modules); "
        "import_screens(); names = [m for m in set(sys.modules) - before if m.startswith('tui.app.screens.')]; "
        "print(*(name.rpartition('.')[2] for name in names)); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True)
    assert {"builder", "monitor", "results", "runs"} <= set(done.stdout.split())
