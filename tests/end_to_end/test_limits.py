"""Every command under the limits of shells, administrators and clusters: it works, or says in one message why not.

Output that is closed, full or not UTF-8, and an unset HOME, are tested beside the command line.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.helpers.real_study import COMMAND, HEAD, Study, make_once, protocol_text, stop_everything

pytestmark = pytest.mark.slow

NOWHERE = "/proc/nowhere"
"""No user, root neither, can make a folder of this name."""

SHORT = HEAD.replace("epochs = 4", "epochs = 1").replace("warmup_epochs = 1", "warmup_epochs = 0")
TINY = protocol_text("Init", head=SHORT.replace("replicas = 3", "replicas = 2"))


@dataclass(frozen=True)
class Limit:
    """What a process is started with."""

    shell: str = ""
    """Said to the shell that becomes the program."""
    environment: dict[str, str] = field(default_factory=dict[str, str])
    refusals: dict[str, str] = field(default_factory=dict[str, str])
    """Command → what it says where it cannot work; the others work."""


FOLDERS = ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")

LIMITS = {
    "few files, little address space": Limit("ulimit -n 64\nulimit -v 2097152"),
    "small files": Limit(
        "ulimit -f 20",
        refusals={
            "export": "ulimit -f unlimited",
            "batch": "larger than the limit on the size of files that holds here: raise it with `ulimit -f unlimited`",
        },
    ),
    "no files": Limit("ulimit -f 0", refusals=dict.fromkeys(("check", "export", "batch"), "ulimit -f unlimited")),
    "full folder for temporary files": Limit(environment={"TMPDIR": "/dev/full"}),
    "closed input and errors": Limit("exec <&- 2>&-"),
    "no folders, no locale, no room": Limit(
        environment=dict.fromkeys((*FOLDERS, "TMPDIR"), NOWHERE)
        | {"LANG": "C", "LC_ALL": "C", "COLUMNS": "1", "LINES": "1"}
    ),
}

COMMANDS = {
    "check": ["check", "{file}"],
    "ls": ["ls"],
    "status": ["status", "small"],
    "report": ["report", "small"],
    "export": ["report", "small", "--out", "{out}"],
    "batch": ["--batch", "{file}"],
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of two runs, trained once."""
    folder = make_once(tmp_path_factory, "limits", train_tiny)
    return Study(folder / "small.toml", folder / "studies")


def train_tiny(folder: Path) -> None:
    study = Study(folder / "small.toml", folder / "studies")
    study.file.write_text(TINY)
    done = study.run()
    assert done.returncode == 0, done.stderr


def run(limit: Limit, arguments: list[str], store: Path) -> subprocess.CompletedProcess[str]:
    lines = [line for line in (limit.shell, 'exec "$@"') if line]
    environment = dict(os.environ) | {"NONDET_STORE": str(store)} | limit.environment
    if "TMPDIR" in limit.environment:
        environment.pop("NONDET_LEASES", None)
    return subprocess.run(
        ["/bin/sh", "-c", "\n".join(lines), "sh", *COMMAND, *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        env=environment,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", LIMITS)
def test_command_works_or_says_why_not(tmp_path: Path, finished: Study, name: str, command: str) -> None:
    limit, store = LIMITS[name], tmp_path / "studies"
    if command != "batch":
        shutil.copytree(finished.store, store)
    study = Study(finished.file, store)
    arguments = [part.format(file=finished.file, out=tmp_path / "out") for part in COMMANDS[command]]
    try:
        done = run(limit, arguments, store)
    finally:
        stop_everything(study)
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    refusal = limit.refusals.get(command)
    if refusal is None:
        assert done.returncode == 0, said
        assert said.strip() or "2>&-" in limit.shell
    else:
        assert done.returncode in (1, 2), said
        assert refusal in said
        assert len(done.stderr.strip().splitlines()) <= 8, said


def test_compiled_modules_are_not_kept_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python keeps what a limit on the size of files leaves of one, and would fail at it ever after."""
    kept, store = tmp_path / "compiled", tmp_path / "studies"
    store.mkdir()
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(kept))
    subprocess.run([sys.executable, "-c", ""], check=True)  # what Python itself starts with is there already
    for limit in (LIMITS["small files"], Limit()):
        assert not list(kept.rglob("listing.*.pyc"))
        done = run(limit, ["ls"], store)
        assert (done.returncode, done.stderr) == (0, "")
    assert list(kept.rglob("listing.*.pyc")), "without the limit they are kept"
