"""From the default store and from a relative one: every command, and the app's whole way by keys."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.helpers.real_study import COMMAND
from tests.helpers.terminal_process import AppProcess

pytestmark = pytest.mark.slow

STORES = {"default": ((), "studies"), "relative": (("--store", "./a/../some"), "some")}
"""Options on the command line, and the folder that they mean, seen from the working directory."""

SETTINGS = {"default": "", "relative": '[dispatch]\ndevices = "cpu"\nslots_per_device = 1\npack = 1\n'}
"""Nothing is tried out for the second study, which starts fewer processes."""


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path, protocol_text: str) -> tuple[Path, Sequence[str], Path]:
    """A user's folder with a protocol in it, the options of a store, and where the study will be."""
    options, store = STORES[request.param]
    folder = tmp_path / "user"
    (folder / "a").mkdir(parents=True)
    (folder / "tiny.toml").write_text(protocol_text + SETTINGS[request.param])
    return folder, options, folder / store / "tiny"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "NONDET_STORE"}
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=100
    )


@pytest.mark.timeout(300)
def test_every_command_and_the_app_find_a_study_by_a_relative_store(place: tuple[Path, Sequence[str], Path]) -> None:
    folder, store, study = place
    trained = run(folder, "--batch", "tiny.toml", *store, "--json")
    assert trained.returncode == 0, trained.stderr
    assert [arm["n"] for arm in json.loads(trained.stdout)["arms"]] == [2, 2]
    commands = {
        ("check", "tiny.toml"): "0 to train, 4 already done",
        ("ls",): "4/4",
        ("status", "tiny"): "2/2",
        ("cancel", "tiny"): "is not running",
        ("report", "tiny"): "Init",
        ("report", "tiny", "--format", "csv"): "tiny,Init,measured",
        ("report", "tiny", "--out", "out"): "table.csv",
        ("report", os.path.relpath(study, folder)): "Init",
        ("locate",): f"store      {folder}/",
        ("--batch", "tiny.toml"): "already done",
    }
    for arguments, expected in commands.items():
        done = run(folder, *arguments, *store)
        assert done.returncode == 0, (arguments, done.stderr)
        assert expected in done.stdout + done.stderr, arguments
        assert "Traceback" not in done.stderr
    assert (folder / "out" / "table.tex").is_file()
    (next(study.glob("runs/*/result.json"))).unlink()
    _walk_through_the_app(folder, store, study)


def _walk_through_the_app(folder: Path, store: Sequence[str], study: Path) -> None:
    """Open the list, a study's results, export them, continue the study: by keys, on a terminal."""
    with AppProcess(*store, folder=folder, size=(120, 40)) as app:
        app.wait_for(b"incomplete")
        app.send(b"t")
        app.wait_for(b"3 of 4 replicas")
        app.send(b"x")
        app.wait_for(b"Export into folder")
        app.send(b"\r")
        app.wait_for((study / "report" / "table.csv").is_file)
        app.wait_for(b"exported", timeout_s=40.0)
        app.send(b"\x1b")
        app.wait_for(lambda: b"Studies" in app.output)
        app.read(0.5)
        app.send(b"r")
        app.wait_for(b"1 of 4 runs is left")
        app.send(b"y")
        app.wait_for(lambda: len(list(study.glob("runs/*/result.json"))) == 4, timeout_s=60.0)
        shown = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", app.output)
        for fault in (b"missing or damaged", b"did not start", b"does not exist", b"Traceback"):
            assert fault not in shown
