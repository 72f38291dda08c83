"""Every tab of the results opens, whatever a study's predictions are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.study.paths import StudyPaths
from engine.training.commands.importing import ImportRequest, import_study
from tests.helpers.screens import Make, press, screen_text, settle
from tui.app.screens.results import ResultsScreen
from tui.commands.measuring import refresh_metrics

RNG = np.random.default_rng(2)
LABELS = RNG.integers(3, size=20)
SCORES = "run,step,f1\n1,1,0.5\n1,2,0.7\n2,1,0.52\n2,2,0.71\n3,1,0.49\n3,2,0.69\n"


def write(folder: Path, kind: str) -> dict[str, str]:
    """Write two arms of a kind, and return their files by name."""
    files: dict[str, str] = {}
    for arm in ("One", "Two"):
        file = folder / f"{arm}.{'csv' if kind == 'scores' else 'npy'}"
        if kind == "scores":
            file.write_text(SCORES)
        else:
            logits = RNG.normal(size=(4, 20, 3)) + 2 * np.eye(3)[LABELS]
            np.save(file, logits.argmax(2) if kind == "classes" else logits.astype(np.float32))
        files[arm] = str(file)
    return files


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["scores", "classes", "logits"])
async def test_every_tab_opens(make_app: Make, store: Path, tmp_path: Path, kind: str) -> None:
    np.save(tmp_path / "labels.npy", LABELS)
    labels = None if kind == "scores" else str(tmp_path / "labels.npy")
    paths = StudyPaths(store / "taken")
    import_study(ImportRequest(folder=str(paths.folder), arms=write(tmp_path, kind), kind=kind, labels=labels))
    refresh_metrics(paths)
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app.open_results(paths)
        await settle(pilot)
        assert isinstance(app.screen, ResultsScreen)
        for tab in "1234567890":
            await press(pilot, tab)
        await press(pilot, "9")
        shown = screen_text(app)
        assert "files of One" in shown
        assert ("Data and networks" in shown) == (kind != "scores")
