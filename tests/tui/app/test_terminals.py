"""The app on real terminals: what it refuses, what it survives, what it sends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from engine.study.epochs import EpochRecord, append_epoch
from engine.study.paths import StudyPaths
from tests.helpers.studies import write_study
from tests.helpers.terminal_process import COMMAND, AppProcess

pytestmark = pytest.mark.slow

MOUSE_ON = b"\x1b[?1000h"


@pytest.fixture
def study(tmp_path: Path) -> StudyPaths:
    return write_study(tmp_path / "studies" / "live", replicas=6, epochs=20)


@pytest.mark.parametrize(
    ("environment", "said"),
    [({"TERM": "dumb"}, "TERM=dumb cannot place characters"), ({"PYTHONIOENCODING": "ascii"}, "LC_ALL=C.UTF-8")],
)
def test_terminals_without_means_get_a_hint(environment: dict[str, str], said: str, tmp_path: Path) -> None:
    with AppProcess(folder=tmp_path, size=(80, 24), **environment) as app:
        app.wait_for(said.encode())
        app.wait_for(lambda: app.poll() is not None)
        assert app.status == 2
        assert b"--batch" in app.output
        assert b"Traceback" not in app.output


def test_pipe_instead_of_a_terminal_gets_a_hint(tmp_path: Path) -> None:
    done = subprocess.run(COMMAND, capture_output=True, text=True, cwd=tmp_path, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr
    done = subprocess.run([*COMMAND, "--json"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "--json: goes with --batch" in done.stderr
    done = subprocess.run([*COMMAND, "locate"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "config" in done.stdout


def test_path_that_is_neither_protocol_nor_study_is_refused(tmp_path: Path) -> None:
    with AppProcess("absent", folder=tmp_path) as app:
        app.wait_for(b"no protocol file, no study folder")
        app.wait_for(lambda: app.poll() is not None)
        assert app.status == 2


def test_faulty_settings_are_named_and_nothing_is_shown(tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text('theme = "pink"\n')
    with AppProcess(folder=tmp_path, NONDET_CONFIG=str(config)) as app:
        app.wait_for(b'theme = "pink": must be one of auto, dark, light, contrast, ansi')
        app.wait_for(lambda: app.poll() is not None)
        assert app.status == 2


@pytest.mark.parametrize(("options", "wanted"), [((), True), (("--no-mouse",), False)])
def test_mouse_is_asked_for_only_where_it_is_wanted(options: tuple[str, ...], wanted: bool, tmp_path: Path) -> None:
    with AppProcess(*options, folder=tmp_path) as app:
        app.wait_for(b"No study yet")
        app.send(b"q")
        app.wait_for(lambda: app.poll() is not None)
        assert app.status == 0
        assert (MOUSE_ON in app.output) is wanted


def test_no_colour_and_few_colours_send_no_others(study: StudyPaths, tmp_path: Path) -> None:
    truecolour = re.compile(rb"\x1b\[[0-9;]*[34]8;2;")
    with AppProcess(str(study.folder), folder=tmp_path) as app:
        app.wait_for(b"18 runs")
        assert truecolour.search(app.output)
    with AppProcess(str(study.folder), folder=tmp_path, TERM="xterm", COLORTERM="") as app:
        app.wait_for(b"18 runs")
        assert not truecolour.search(app.output)
    with AppProcess(str(study.folder), folder=tmp_path, NO_COLOR="1") as app:
        app.wait_for(b"18 runs")
        colours = re.findall(rb"\x1b\[[0-9;]*[34]8;2;(\d+);(\d+);(\d+)", app.output)
        assert all(len(set(colour)) == 1 for colour in colours), "greys alone"


def test_locale_c_is_sent_ascii_alone(study: StudyPaths, tmp_path: Path) -> None:
    with AppProcess(str(study.folder), folder=tmp_path, LC_ALL="C") as app:
        app.wait_for(b"18 runs")
        app.send(b"?")
        app.wait_for(b"Keys of this screen")
        assert app.output.isascii()
    with AppProcess("ls", folder=tmp_path, LC_ALL="C") as listing:
        listing.wait_for(b"live")
        listing.wait_for(lambda: listing.poll() is not None)
        assert listing.output.isascii()


def test_stray_mouse_bytes_do_not_end_it(study: StudyPaths, tmp_path: Path) -> None:
    """As after a tmux reattach: an X10 mouse report at column 150 holds a byte that is no UTF-8."""
    with AppProcess(str(study.folder), folder=tmp_path, size=(200, 50)) as app:
        app.wait_for(b"18 runs")
        app.send(b"\x1b[M" + bytes([32, 32 + 150, 32 + 10]) + b"\xff\xfe")
        app.read(0.5)
        assert app.poll() is None
        app.send(b"\x1b")
        app.read(0.6)
        before = len(app.output)
        app.send(b"?")
        app.read(0.6)
        assert app.poll() is None
        assert len(app.output) > before, "it still answers keys"


def test_stalled_terminal_is_survived_and_caught_up_with(study: StudyPaths, tmp_path: Path) -> None:
    with AppProcess(str(study.folder), folder=tmp_path, size=(120, 40)) as app:
        app.wait_for(b"18 runs")
        grow(study, seconds=4.0)  # nobody reads the terminal
        app.resize(121, 40)  # everything is drawn anew
        app.wait_for(b"20/20")
        assert app.poll() is None


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL, signal.SIGTERM])
def test_end_of_the_app_touches_no_study(study: StudyPaths, number: signal.Signals, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in study.folder.rglob("*") if path.is_file()}
    with AppProcess(str(study.folder), folder=tmp_path) as app:
        app.wait_for(b"18 runs")
        os.kill(app.pid, number)
        app.wait_for(lambda: app.poll() is not None)
    assert {path: path.read_bytes() for path in study.folder.rglob("*") if path.is_file()} == before


DEAF_SHELL = ["/bin/sh", "-c", 'trap "" HUP; "$@"; exit 1', "sh"]


@pytest.mark.parametrize(("ignored", "below"), [(False, ()), (True, ()), (True, DEAF_SHELL)])
def test_app_ends_with_its_terminal(ignored: bool, below: list[str], tmp_path: Path) -> None:
    """Also where hang-ups are ignored, as below nohup: a viewer that nobody can see would take a core for ever."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)  # inherited
    try:
        app = AppProcess(folder=tmp_path, below=below)
    finally:
        signal.signal(signal.SIGHUP, before)
    with app:
        app.wait_for(b"No study yet")
        app.hang_up()
        end = time.monotonic() + 10
        while app.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        assert app.poll() is not None


def grow(study: StudyPaths, seconds: float) -> None:
    """One epoch more for every running replica, ten times over some seconds."""
    running = [f for f in study.runs.glob("*/attempts/01/epochs.jsonl") if not (f.parents[2] / "result.json").exists()]
    for step in range(10):
        for path in running:
            epoch = 11 + step
            append_epoch(path, EpochRecord(
                epoch=epoch, train_loss=1.0, test_accuracy=90.0 + step, test_cross_entropy=0.1, lr=0.1,
                seconds=1.0,
            ))  # fmt: skip
        time.sleep(seconds / 10)


def test_nothing_is_sent_while_nothing_changes(study: StudyPaths, tmp_path: Path) -> None:
    with AppProcess(str(study.folder), folder=tmp_path, size=(120, 40), SSH_TTY="/dev/pts/9") as app:
        app.wait_for(b"18 runs")
        app.read(3.0)
        quiet = app.read(4.0)
        assert len(quiet) < 400, quiet[:300]
