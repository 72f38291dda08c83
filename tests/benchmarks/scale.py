"""5,000 runs, 2,000 runs and a million epochs: what lists, viewers, a supervisor's look and a first report cost.

Processor time is measured, not time on the clock, so that whatever else the machine does decides little.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from measurement import Measurement

from engine.dispatch.supervisor import TICK_S
from engine.study.paths import StudyPaths
from engine.study.view import StudyView
from tests.helpers.large_store import Size, write_large_store, write_large_study
from tests.helpers.terminal_process import AppProcess

STUDIES = 200
STORE = Size(replicas=25, epochs=20, done=25)
LARGE = Size(arms=50, replicas=100, epochs=20, done=100)
HALF = Size(arms=20, replicas=100, epochs=50, done=50, running=1)
"""2,000 runs, of which 1,000 are done, 20 running and the others queued."""
MILLION = Size(arms=20, replicas=100, epochs=500, done=98, running=2)
PROGRAM = "import sys, tui.cli; tui.cli.main()"
MEASURING = "import sys, engine.metrics.__main__; engine.metrics.__main__.main()"
TELL_PEAK = """
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")), file=sys.stderr)
"""
FOLLOWED_S = 10.0
"""How long the app is watched."""


@dataclass(frozen=True)
class Figure:
    """One figure with its budget."""

    what: str
    value: float
    budget: float
    unit: str


def measure() -> Measurement:
    with tempfile.TemporaryDirectory() as name:
        figures = measure_all(Path(name))
    text = "\n    ".join(f"{f.what}: {f.value:.3g} of {f.budget:g} {f.unit}" for f in figures)
    over = [f.what for f in figures if round(f.value, 6) > f.budget]
    return Measurement(text, "as above" + (f"; over: {', '.join(over)}" if over else ""), not over)


def measure_all(folder: Path) -> list[Figure]:
    store = write_large_store(folder / "store", studies=STUDIES, size=STORE)
    large = write_large_study(folder / "large", LARGE)
    half = write_large_study(folder / "half", HALF)
    million = write_large_study(folder / "million", MILLION)
    listed_s, listed_mb = run(PROGRAM, "ls", "--store", str(store))
    opened_s, _, app_mb = watch(folder, "--store", str(store), until=b"200 studies")
    _, viewing, viewer_mb = watch(folder, str(half.folder), until=b"2000 runs")
    look_s, supervising = look(half)
    status_s, status_mb = run(PROGRAM, "status", str(million.folder))
    report_s, report_mb = run(MEASURING, str(large.folder))
    return [
        Figure("`ls` of 5,000 runs in 200 studies", listed_s, 1.0, "s"),
        Figure("memory of `ls`", listed_mb, 150, "MB"),
        Figure("the app opens on them", opened_s, 1.0, "s"),
        Figure("memory of the app's list", app_mb, 150, "MB"),
        Figure("a supervisor's look at 2,000 runs", 1000 * look_s, 50, "ms"),
        Figure("a supervisor of them", 100 * supervising, 2, "% of a core"),
        Figure("the app on them", 100 * viewing, 2, "% of a core"),
        Figure("memory of the app's monitor", viewer_mb, 150, "MB"),
        Figure("`status` of a million epochs", status_s, 5, "s"),
        Figure("memory of `status`", status_mb, 150, "MB"),
        Figure("first report of 5,000 runs, on one core", report_s, 10, "s"),
        Figure("memory of the report", report_mb, 500, "MB"),
    ]


def run(program: str, *arguments: str) -> tuple[float, float]:
    """Processor time in seconds and peak memory in MB of a program; the peak that wait4 tells is that of its parent."""
    command = [sys.executable, "-P", "-c", program + TELL_PEAK, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process.stderr:
        said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime, int(said.split()[-1]) / 1024


def watch(folder: Path, *arguments: str, until: bytes) -> tuple[float, float, float]:
    """Processor time until something is shown, then share of a core, and peak memory in MB of the app."""
    with AppProcess(*arguments, folder=folder, size=(120, 40), SSH_TTY="/dev/pts/9") as app:
        app.wait_for(until)
        opened_s = processor_s(app.pid)
        app.read(4.0)
        before, started = processor_s(app.pid), time.monotonic()
        app.read(FOLLOWED_S)
        share = (processor_s(app.pid) - before) / (time.monotonic() - started)
        lines = Path(f"/proc/{app.pid}/status").read_text().splitlines()
    peak = next(line.split()[1] for line in lines if line.startswith("VmHWM"))
    return opened_s, share, int(peak) / 1024


def look(paths: StudyPaths) -> tuple[float, float]:
    """Processor time of a supervisor's look, and the share of a core that looking takes with the rests between."""
    view = StudyView(paths, measures=())
    view.refresh()
    time.sleep(2.5)  # folders that have just been made are not yet told by their times
    view.refresh()
    costs: list[tuple[float, float]] = []
    for _ in range(5):
        view.refresh()
        costs.append((view.pace.cpu_s, view.pace.rest_s(TICK_S)))
    cpu_s, rest_s = min(costs)
    return cpu_s, cpu_s / (cpu_s + rest_s)


def processor_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
