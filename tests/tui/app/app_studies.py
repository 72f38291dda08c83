"""Studies made of files alone, and the app on top of them."""

from __future__ import annotations

import contextlib
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.worker import WorkerCancelled

from engine.study.epochs import EpochRecord, append_epoch, read_epochs
from engine.study.files import make_folder, read_json, write_json
from engine.study.paths import StudyPaths
from engine.study.processes import current_owner
from tui.app.app import NondetApp
from tui.app.settings import Locations, Settings
from tui.app.terminal import Terminal

SIZES = [(80, 24), (120, 40)]
TERMINAL = Terminal(glyphs="braille", remote=False, tmux=False, few_colours=False)
HOSTILE = "[red]all[/] \x1b[31mx"


def write_study(
    folder: Path,
    *,
    arms: dict[str, list[str]] | None = None,
    replicas: int = 3,
    epochs: int = 8,
    done: int = 2,
    running: int = 1,
    failed: int = 0,
) -> StudyPaths:
    """A study in the middle of its life: of each arm some runs are done, running, failed and queued."""
    rng = random.Random(1)
    paths = StudyPaths(folder)
    arms = arms or {"Control": [], "Parameter Initialization": ["init"], HOSTILE: ["init", "shuffle"]}
    order: list[str] = []
    entries = []
    session = "s"
    for number, (name, vary) in enumerate(arms.items()):
        runs = [f"{number:08x}{replica:08x}" for replica in range(replicas)]
        order += runs
        entries.append(
            {"name": name, "vary": vary, "runs": runs, "empty": {}, "group": 1, "onset": None, "crossed": []}
        )
        for replica, run in enumerate(runs):
            if replica < done:
                write_run(paths, run, epochs, rng, session, state="done")
            elif replica < done + running:
                write_run(paths, run, epochs // 2, rng, session, state="running")
            elif replica < done + running + failed:
                write_run(paths, run, 1, rng, session, state="failed")
            else:
                make_folder(paths.run(run).attempts)
    dispatch = {"devices": "cpu", "slots_per_device": 2, "keep_weights": True, "checkpoint_s": 60}
    make_folder(paths.control)
    write_json(paths.plan, {
        "v": 1, "study": folder.name, "device": "cpu", "text": False, "arms": entries, "order": order,
        "epochs": dict.fromkeys(order, epochs), "forks": {}, "reuses": {}, "data_root": "/x", "search_path": [],
        "dispatch": dispatch, "provenance": {}, "reference": "table1",
        "metrics": {"bootstrap": 0, "cka": False, "cka_examples": 10},
    })  # fmt: skip
    slots = [
        {"name": "cpu:0", "state": "training", "message": None},
        {"name": "cpu:1", "state": "idle", "message": None},
    ]
    supervisor = {"v": 1, "owner": current_owner().to_dict(), "session": session, "state": "running", "slots": slots}
    write_json(paths.supervisor, supervisor | {"failure": None})
    write_json(paths.metrics, {"v": 1, "study": folder.name, "arms": [measured(n, v, done) for n, v in arms.items()]})
    return paths


def write_run(paths: StudyPaths, run: str, epochs: int, rng: random.Random, session: str, *, state: str) -> None:
    attempt = paths.run(run).attempt(1)
    make_folder(attempt.folder)
    owner = {"owner": current_owner().to_dict(), "session": session, "slot": "cpu:0"}
    write_json(attempt.attempt, {"v": 1} | owner)
    attempt.log.write_text("first line\nneedle in it\n\x1b[31mred?\x1b[0m [bold]not markup[/bold]\n" * 30)
    write_json(paths.run(run).spec, {"v": 1, "run": run, "recipe": {}})
    lift = rng.gauss(0, 0.5)
    for epoch in range(1, epochs + 1):
        accuracy = 98 - 60 / epoch + lift
        append_epoch(attempt.epochs, EpochRecord(
            epoch=epoch, train_loss=1.0, test_accuracy=accuracy, test_cross_entropy=(1 + lift / 9) / epoch, lr=0.1,
            seconds=0.5,
        ))  # fmt: skip
    if state == "done":
        paths.run(run).predictions.write_bytes(b"x")
        result = {"v": 1, "run": run, "attempt": 1, "epochs": epochs, "test_accuracy": 98.0 + lift, "diverged": False}
        write_json(paths.run(run).result, result | {"test_cross_entropy": 0.1, "weights_sha256": run, "seconds": 1.0})
    if state == "failed":
        write_json(attempt.exit, {"v": 1, "outcome": "failed", "kind": "fault", "reason": "ValueError: [bad] input"})


def diverge(paths: StudyPaths, run: str, *, epoch: int) -> None:
    """Make a finished run one that diverged in an epoch."""
    epochs = paths.run(run).attempt(1).epochs
    kept = read_epochs(epochs).records[: epoch - 1]
    epochs.unlink()
    lost = EpochRecord(
        epoch=epoch, train_loss=math.nan, test_accuracy=9.91, test_cross_entropy=math.nan, lr=0.1, seconds=0.5
    )
    for record in (*kept, lost):
        append_epoch(epochs, record)
    result = {"diverged": True, "diverged_epoch": epoch, "epochs": epoch, "test_accuracy": 9.91}
    write_json(paths.run(run).result, (read_json(paths.run(run).result) or {}) | result)


def measured(name: str, vary: list[str], n: int) -> dict[str, Any]:
    return {
        "name": name, "vary": vary, "text": False, "planned": 3, "finished": n, "n": n, "diverged": 0, "damaged": 0,
        "accuracy_mean": 97.5, "accuracy_sd": 0.5 if vary else 0.0, "accuracy_sd_error": 0.1 if vary else 0.0,
        "cross_entropy_mean": 0.1, "cross_entropy_sd": 0.01, "cross_entropy_sd_error": 0.002, "disagreement": 3.1,
        "disagreement_ci": [2.5, 3.7], "correlation": 0.87, "correlation_ci": [0.8, 0.94], "ensemble_delta": 0.4,
        "ensemble_delta_ci": [0.2, 0.6], "identical_weights": not vary, "reasons": {}, "ensemble_size": 1,
        "diagnostics": {"test_set_sd": 0.4, "independent_sd": 0.3, "true_sd": 0.2, "true_sd_ci": [0.0, 0.4],
                        "error": 2.5, "sd_ratio": 7.25},
    }  # fmt: skip


PROTOCOL = """\
# A comment that stays.
[protocol]
name = "mine"          # and this one
replicas = 3

[data]
preset = "digits"

[model]
preset = "linear"

[train]
epochs = 4
warmup_epochs = 1
batch_size = 100

[[arm]]
name = "Parameter Initialization"
vary = ["init"]
"""


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


async def settle(pilot: Pilot[None]) -> None:
    """Until threads have read what there is, and what they brought has been acted on, which may start others."""
    for _ in range(3):
        with contextlib.suppress(WorkerCancelled):
            await pilot.app.workers.wait_for_complete()
        await pilot.pause()


def screen_text(app: NondetApp) -> str:
    """What stands on the screen, row by row."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


def read_requests(paths: StudyPaths) -> list[tuple[str, Any]]:
    files = sorted(paths.control.glob("*.json"))
    return [(content["verb"], content["runs"]) for content in (json.loads(file.read_text()) for file in files)]
