"""Studies whose processes are killed again and again, and what must hold of each afterwards.

A disturbed study is started, hit at random moments by random signals, and started again by the same command whenever
that has ended, until it is done. Then every result that was there at any moment is there unchanged, no finished run
has got a further attempt, its table and digests are those of the undisturbed study, and no process is left.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers.real_study import HEAD, Study, all_pids, command_line, protocol_text, stop_everything

MIXED = """
[[arm]]
name = "Late"
vary = ["shuffle"]
onset = [0, 3]
[[arm]]
name = "Late bit"
vary = ["bit"]
onset = 2
[[arm]]
name = "Snapshot"
vary = ["init", "shuffle"]
train = { schedule = "snapshot", cycles = 2 }
[[arm]]
name = "Averaged"
vary = ["init"]
train = { averaging = "swa" }
[[arm]]
name = "Views"
vary = ["init"]
evaluate = { flip = true, crops = 1 }
[[arm]]
name = "Ensemble"
ensemble = { of = "Init", size = 2 }
"""

LONGER = HEAD.replace("epochs = 4", "epochs = 6").replace("slots_per_device = 1", "slots_per_device = 2")

PACKED = (
    LONGER.replace('preset = "resnet6"\nwidth = 0.25', 'preset = "hidden-fc"')
    .replace("checkpoint_s = 0", "checkpoint_s = 0\npack = 4")
    .replace("replicas = 3", "replicas = 6")
)

KINDS = {
    "mixed": protocol_text("Control", "Init", "Bit", head=LONGER.replace("replicas = 3", "replicas = 4")) + MIXED,
    "packs": protocol_text(head=PACKED),
}
"""The protocols that are disturbed, by name: every kind of arm one by one, and replicas trained four at once."""

CONTINUED, KILLED = "STOP+CONT", "STOP+KILL"
SIGNALS = ("KILL", "TERM", "HUP", "INT", "SEGV", CONTINUED, KILLED)

STOPPED_S = 0.5
"""How long a process that will go on is stopped."""

HUNTED_S = 20.0
"""How long a short-lived process is waited for."""

PAUSE_S = (0.1, 3.0)
"""Between two hits, at random."""

SHARE_IN_TRAINING = 0.85
"""Of the hits that wait until the study has a supervisor; the others may meet the start."""

FRAME = re.compile(r'File ".*/(engine|tui)/.*", line \d+, in (?!<module>)')
"""A line of a traceback through a function of ours. While Python starts and imports, it is Python that answers."""

PATIENCE_S = 240.0
"""After the last hit a study that is not done within this time is stuck."""


def find_processes(study: Study, command: str) -> list[int]:
    """Pids of the study's processes whose command line has the words."""
    folder = str(study.folder)
    return [pid for pid in all_pids() if command in (line := command_line(pid)) and folder in line]


@dataclass(frozen=True)
class Victim:
    """Whom a hit is for: who that is at a moment, and whether one waits for it to appear."""

    find: Callable[[Study, int], list[int]]
    short_lived: bool = False


def supervisors(study: Study, _viewer: int) -> list[int]:
    return find_processes(study, "engine.dispatch")


def measurers(study: Study, _viewer: int) -> list[int]:
    return find_processes(study, "engine.metrics")


def everything(study: Study, viewer: int) -> list[int]:
    return [viewer, *find_processes(study, "engine.")]


def probes(study: Study, viewer: int) -> list[int]:
    """Return the processes that the command has started to find out what the protocol leaves open."""
    return [pid for pid in all_pids() if "engine.training" in command_line(pid) and parent(pid) == viewer]


def parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


VICTIMS = {
    "probe": Victim(probes),
    "supervisor": Victim(supervisors),
    "worker": Victim(lambda study, viewer: study.workers()[:1]),
    "all workers": Victim(lambda study, viewer: study.workers()),
    "supervisor and workers": Victim(lambda study, viewer: [*supervisors(study, viewer), *study.workers()]),
    "viewer": Victim(lambda study, viewer: [viewer]),
    "measures": Victim(measurers, short_lived=True),
    "everything": Victim(everything),
}


@dataclass
class Tally:
    """What was hit, and what went wrong; both stay after a failure."""

    hits: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """By victim and signal."""
    processes: int = 0
    starts: int = 0
    faults: list[str] = field(default_factory=list[str])


def send(pids: list[int], name: str) -> int:
    """Send each process the signal, or the two of them; return how many were there to get it."""
    first, _, second = name.partition("+")
    reached = [pid for pid in pids if signal_process(pid, first)]
    if second == "CONT":
        time.sleep(STOPPED_S)
    if second:
        for pid in reached:
            signal_process(pid, second)
    return len(reached)


def signal_process(pid: int, name: str) -> bool:
    try:
        os.kill(pid, signal.Signals[f"SIG{name}"])
    except ProcessLookupError:
        return False
    return True


def make_study(folder: Path, kind: str) -> Study:
    """Return a study of the kind that is not begun, in a folder of its own."""
    folder.mkdir(parents=True)
    file = folder / "small.toml"
    file.write_text(KINDS[kind])
    return Study(file, folder / "store")


def train_reference(folder: Path, kind: str) -> Study:
    """Train the study without disturbance."""
    study = make_study(folder, kind)
    done = study.run()
    assert done.returncode == 0, done.stderr
    return study


@dataclass
class Disturbance:
    """One study, the command that trains it, and what has been seen of its results."""

    study: Study
    reference: Study
    tally: Tally
    viewer: subprocess.Popen[str]
    log: Path
    seen: dict[str, str] = field(default_factory=dict[str, str])
    """Run → digest of its result."""
    tried: dict[str, int] = field(default_factory=dict[str, int])
    """Finished run → its attempts when it was first seen finished."""

    def look(self) -> None:
        """Remember what is finished, and compare it with what was finished before."""
        results = self.study.results()
        for run, digest in self.seen.items():
            if results.get(run) != digest:
                self.tally.faults.append(f"{self.study.folder}: run {run} was lost or changed")
        attempts = self.study.attempts() if (self.study.folder / "runs").is_dir() else {}
        for run in results:
            if attempts.get(run, 0) != self.tried.setdefault(run, attempts.get(run, 0)):
                self.tally.faults.append(f"{self.study.folder}: run {run} was trained again")
        self.seen = results

    def wait_for_supervisor(self) -> None:
        """Wait until the command has come so far, or has ended."""
        deadline = time.monotonic() + HUNTED_S
        while not supervisors(self.study, 0) and self.viewer.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)

    def ended_well(self) -> bool:
        """Start the command again where it has ended and the study is not done."""
        code = self.viewer.poll()
        if code is None:
            return False
        if code == 0:
            return True
        self.viewer = start_viewer(self.study, self.log)
        self.tally.starts += 1
        return False

    def hit(self, generator: random.Random) -> None:
        """Send one of those that are there a signal, or the next that will be there for a short while."""
        there = {name: victim.find(self.study, self.viewer.pid) for name, victim in VICTIMS.items()}
        name = generator.choice([name for name, pids in there.items() if pids or VICTIMS[name].short_lived])
        deadline = time.monotonic() + HUNTED_S
        while not there[name] and time.monotonic() < deadline and self.viewer.poll() is None:
            time.sleep(0.005)
            there[name] = VICTIMS[name].find(self.study, self.viewer.pid)
        signal_name = generator.choice(SIGNALS)
        reached = send(there[name], signal_name)
        if reached:
            self.tally.hits[name, signal_name] += 1
            self.tally.processes += reached

    def judge(self) -> None:
        """Compare the finished study with the undisturbed one, and look for what was left behind."""
        self.look()
        folder = self.study.folder
        if self.study.metrics() != self.reference.metrics():
            self.tally.faults.append(f"{folder}: another table")
        if self.study.digests() != self.reference.digests():
            self.tally.faults.append(f"{folder}: other weights or predictions")
        for file in (self.log, folder / "supervisor.log"):
            if file.exists() and FRAME.search(file.read_text(errors="replace")):
                self.tally.faults.append(f"{file}: a traceback")
        deadline = time.monotonic() + STOPPED_S * 10
        while (left := find_processes(self.study, "engine.")) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.tally.faults += [f"{folder}: process {pid} is left: {command_line(pid)}" for pid in left]


def start_viewer(study: Study, log: Path) -> subprocess.Popen[str]:
    """Start the command in a session of its own; what it prints is added to the log."""
    with log.open("a") as stream:
        return subprocess.Popen(study.command(), stdout=stream, stderr=stream, text=True, start_new_session=True)


def disturb(folder: Path, kind: str, reference: Study, *, kills: int, generator: random.Random, tally: Tally) -> None:
    """Train a study of the kind under at most so many hits, and judge it; faults go into the tally."""
    study, log = make_study(folder, kind), folder / "viewer.log"
    disturbance = Disturbance(study, reference, tally, start_viewer(study, log), log)
    try:
        for _ in range(kills):
            if generator.random() < SHARE_IN_TRAINING:
                disturbance.wait_for_supervisor()
            time.sleep(generator.uniform(*PAUSE_S))
            if disturbance.ended_well():
                break
            disturbance.hit(generator)
            disturbance.look()
        deadline = time.monotonic() + PATIENCE_S
        while not disturbance.ended_well():
            if time.monotonic() > deadline:
                tally.faults.append(f"{folder}: stuck")
                return
            time.sleep(0.1)
        disturbance.judge()
    finally:
        disturbance.viewer.kill()
        disturbance.viewer.wait()
        send(find_processes(study, "engine."), "KILL")
        stop_everything(study)
