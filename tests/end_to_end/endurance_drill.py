"""A day of a large study in minutes: `python tests/end_to_end/endurance_drill.py --runs 2000 --kill-every 20`.

Trains a study of many tiny runs while the app shows it in a terminal. Every few seconds a worker, now and then the
supervisor, is killed. Prints the memory, open files and processor time of the supervisor and of the app as they go on,
and exits with 1 where a result was lost, changed or trained twice, or where the app or the last supervisor has grown.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.crash_drill import Disturbance, Tally, send, start_viewer, supervisors
from tests.helpers.real_study import Study, stop_everything
from tests.helpers.terminal_process import AppProcess

ARMS = 4

PROTOCOL = """
[protocol]
name = "small"
replicas = {replicas}
[data]
preset = "digits"
train_size = 200
[model]
preset = "linear"
[train]
epochs = {epochs}
batch_size = 20
lr = 0.1
warmup_epochs = 1
[metrics]
bootstrap = 200
[dispatch]
devices = "cpu"
slots_per_device = 2
pack = 1
[[arm]]
name = "Init"
vary = ["init"]
[[arm]]
name = "Shuffle"
vary = ["shuffle"]
[[arm]]
name = "Order"
vary = ["lowlevel"]
[[arm]]
name = "All"
vary = ["init", "shuffle", "lowlevel"]
"""

SUPERVISORS = 0.2
"""Share of the kills that meet the supervisor."""

WARM_RUNS = 0.1
"""Share of the runs after which the first figures are taken: until then a process still loads what it needs."""

MOST_GROWTH = 1.25
"""How much larger than at its first figures a process may be at the end."""


@dataclass(frozen=True)
class Use:
    """What a process holds at a moment."""

    pid: int
    memory_mb: float
    files: int
    cpu_s: float

    def __str__(self) -> str:
        """One cell of the table."""
        return f"{self.memory_mb:6.1f} MB {self.files:3} files {self.cpu_s:6.1f} s"


def look_at(pid: int) -> Use | None:
    """Return what a process holds; None where it has gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        files = len(os.listdir(f"/proc/{pid}/fd"))
        ticks = sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    except OSError:
        return None
    memory = next((line for line in status.splitlines() if line.startswith("VmRSS")), None)
    if memory is None:
        return None
    return Use(pid, int(memory.split()[1]) / 1024, files, ticks / os.sysconf("SC_CLK_TCK"))


@dataclass
class Course:
    """The first and the latest figures of a process, or of those that took its place."""

    first: Use | None = None
    latest: Use | None = None

    def note(self, use: Use | None) -> None:
        if use is None:
            return
        if self.first is None or use.pid != self.first.pid:
            self.first = use
        self.latest = use

    @property
    def growth(self) -> float:
        if self.first is None or self.latest is None:
            return float("inf")  # it was never seen
        return max(self.latest.memory_mb / self.first.memory_mb, self.latest.files / max(1, self.first.files))


def endure(root: Path, *, runs: int, epochs: int, kill_every_s: float, generator: random.Random) -> list[str]:
    """Train the study to its end, and return what went wrong."""
    file = root / "small.toml"
    file.write_text(PROTOCOL.format(replicas=runs // ARMS, epochs=epochs))
    study, tally, log = Study(file, root / "store"), Tally(), root / "viewer.log"
    disturbance = Disturbance(study, study, tally, start_viewer(study, log), log)
    while (
        not (study.folder / "plan.json").exists() and disturbance.viewer.poll() is None
    ):  # thousands of runs are written first
        time.sleep(0.1)
    disturbance.wait_for_supervisor()
    app_course, supervisor_course, kills, started = Course(), Course(), 0, time.monotonic()
    try:
        with AppProcess(str(study.folder), folder=root, size=(120, 40)) as app:
            while not disturbance.ended_well():
                due = time.monotonic() + kill_every_s
                while time.monotonic() < due and disturbance.viewer.poll() is None:
                    app.read(0.5)
                    app.output = app.output[-1000:]
                disturbance.look()
                done, found = len(disturbance.seen), supervisors(study, 0)
                app_use, supervisor_use = look_at(app.pid), look_at(found[0]) if found else None
                if done >= WARM_RUNS * runs:
                    app_course.note(app_use)
                    supervisor_course.note(supervisor_use)
                print(
                    f"{time.monotonic() - started:6.0f} s {done:5} done {kills:4} kills | app {app_use} | "
                    f"supervisor {supervisor_use}",
                    flush=True,
                )
                if app.poll() is not None:
                    tally.faults.append(f"the app has ended: {app.status}: {app.output.decode(errors='replace')}")
                    break
                victims = found if generator.random() < SUPERVISORS else study.workers()[:1]
                kills += send(victims, "KILL")
        missing = set(study.attempts()) - set(study.results())
        if missing:
            named = f"{', '.join(sorted(missing)[:5])}{' …' if len(missing) > 5 else ''}"
            tally.faults.append(f"without a result: {len(missing)} runs: {named}")
    finally:
        disturbance.viewer.kill()
        disturbance.viewer.wait()
        stop_everything(study)
    for name, course in (("app", app_course), ("supervisor", supervisor_course)):
        print(f"{name}: {course.first} → {course.latest}")
        if course.growth > MOST_GROWTH:
            tally.faults.append(f"the {name} has grown to {course.growth:.2f} of what it was")
    return tally.faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=60, help="of each run")
    parser.add_argument("--kill-every", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=1, help="of victims")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="endurance-") as root:
        faults = endure(
            Path(root),
            runs=options.runs,
            epochs=options.epochs,
            kill_every_s=options.kill_every,
            generator=random.Random(options.seed),
        )
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
