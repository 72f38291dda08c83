"""Disturbs studies on a simulated cluster, one at a time and in one way each, and counts what came of that."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from engine.dispatch.executors.slurm import name_jobs
from engine.study.paths import StudyPaths
from tests.helpers.equal_numbers import CLAIMS, claim_side_by_side
from tests.helpers.real_study import COMMAND, HEAD, Study, kill, protocol_text, stop_everything
from tests.helpers.slurm_cluster import Cluster

EPOCHS = 60
PATIENCE_S = 240.0
AWAY_S = 20.0
"""How long Slurm's controller is away."""
CLOSED_S = 10.0
"""How long the store takes no writes."""
OFF_S = 3600
"""By how much a wrong clock is wrong."""

SHIFTED_CLOCK = f"import time\n_real = time.time\ntime.time = lambda: _real() + {OFF_S}\n"
"""A module that Python imports at its start: clocks of processes cannot be told apart otherwise on one kernel."""

SETTINGS = """\
executor = "slurm"
workers = 3
[slurm]
cpus = 4
time = "30"
"""


@dataclass
class Outcome:
    """Holds what one drill left."""

    drill: str
    lost: int = 0
    """Runs without a result."""
    doubled: int = 0
    """Runs that two attempts trained to their last epoch."""
    mixed: int = 0
    """Runs whose files are not those of an undisturbed study, or not of one attempt."""
    noticed_s: float | None = None
    """Seconds from the disturbance until the study knew of it."""
    attempts: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


@dataclass
class Drill:
    """A study on a cluster, and the commands that follow it."""

    cluster: Cluster
    folder: Path
    viewers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def study(self) -> Study:
        return Study(self.folder / "small.toml", self.folder / "store")

    def write(self) -> None:
        self.folder.mkdir(parents=True)
        head = HEAD.replace("slots_per_device = 1\n", "").replace("epochs = 4", f"epochs = {EPOCHS}")
        self.study.file.write_text(protocol_text("Control", "Init", head=head + SETTINGS))

    def start(self, *, host: str | None = None, shifted: bool = False) -> None:
        """Follow the study from a machine of a name; its leases are its own, as those of a machine are."""
        environment = dict(os.environ) | self.cluster.environment
        environment["NONDET_LEASES"] = str(self.folder / f"leases-{host}")
        if shifted:
            (self.folder / "clock").mkdir()
            (self.folder / "clock" / "sitecustomize.py").write_text(SHIFTED_CLOCK)
            environment["PYTHONPATH"] = f"{self.folder / 'clock'}:{environment.get('PYTHONPATH', '')}"
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"', host] if host else []
        command = [*named, *COMMAND, "--batch", str(self.study.file), "--store", str(self.study.store)]
        with (self.folder / f"batch-{len(self.viewers)}.txt").open("wb") as output:
            started = subprocess.Popen(
                command, stdout=output, stderr=output, start_new_session=True, env=environment, cwd="/"
            )
        self.viewers.append(started)

    def attempts(self) -> dict[Path, dict[str, Any]]:
        files = sorted(self.study.folder.glob("runs/*/attempts/[0-9]*/attempt.json"))
        return {file.parent: json.loads(file.read_text()) for file in files}

    def pick(self) -> tuple[Path, dict[str, Any]]:
        """Wait for three workers at work; return an attempt of one of them that has begun to train."""

        def find() -> tuple[Path, dict[str, Any]] | None:
            made = self.attempts()
            busy = [
                one
                for one in made.items()
                if not (one[0].parents[1] / "result.json").exists() and (one[0] / "epochs.jsonl").exists()
            ]
            hosts = {record["owner"]["host"] for record in made.values()}
            return busy[0] if busy and len(hosts) == 3 else None

        return self.wait_for(find)

    def wait_for(self, condition: Callable[[], Any], timeout_s: float = PATIENCE_S) -> Any:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if value := condition():
                return value
            time.sleep(0.02)
        raise TimeoutError(f"not seen within {timeout_s:.0f} s; see {self.folder}")

    def read_supervisor(self) -> str:
        """Return what the supervisor says of its places."""
        return json.dumps(self.study.read("supervisor.json"))

    def notice(self, attempt: Path) -> float:
        """Return the seconds until somebody knows that an attempt has ended."""
        began = time.monotonic()
        run = attempt.parents[1]
        known = (attempt / "lost.json", attempt / "exit.json", run / "result.json")
        self.wait_for(lambda: any(file.exists() for file in known))
        return time.monotonic() - began

    def measure_first_claim(self) -> float:
        """Return the seconds from the first job in the queue to the first claim of a run."""
        self.wait_for(
            lambda: any(job[2] == name_jobs(StudyPaths(self.study.folder)) for job in self.cluster.list_jobs())
        )
        submitted = time.monotonic()
        self.wait_for(self.attempts)
        return time.monotonic() - submitted

    def finish(self, outcome: Outcome) -> None:
        for viewer in self.viewers:
            status = viewer.wait(PATIENCE_S)
            if status:
                outcome.notes.append(f"exit code {status}")

    def close(self) -> None:
        for viewer in self.viewers:
            if viewer.poll() is None:
                viewer.kill()
                viewer.wait()
        stop_everything(self.study)


def kill_worker(drill: Drill, outcome: Outcome) -> None:
    attempt, record = drill.pick()
    kill([record["owner"]["pid"]])
    outcome.noticed_s = drill.notice(attempt)


def kill_supervisor(drill: Drill, outcome: Outcome) -> None:
    drill.pick()
    first = drill.study.supervisor()
    kill([first])
    began = time.monotonic()
    drill.wait_for(lambda: drill.study.supervisor() not in (None, first))
    outcome.noticed_s = time.monotonic() - began


def kill_node(drill: Drill, outcome: Outcome) -> None:
    """The process that trains is an orphan: nobody ends it until the node's daemon is back."""
    attempt, record = drill.pick()
    node = record["owner"]["host"]
    drill.cluster.kill(f"slurmd-{node}")
    outcome.noticed_s = drill.notice(attempt)
    drill.cluster.start_node(node)


def lose_node(drill: Drill, outcome: Outcome) -> None:
    """The orphan is halted until its run was given to another worker, and goes on then: it has to write nothing."""
    attempt, record = drill.pick()
    node = record["owner"]["host"]
    halt(record)
    drill.cluster.kill(f"slurmd-{node}")
    outcome.noticed_s = drill.notice(attempt)
    if not (attempt / "lost.json").exists():
        outcome.notes.append("not given up")
    again = attempt.parent / "02"
    drill.wait_for((again / "epochs.jsonl").exists)
    halt(record, go_on=True)
    drill.cluster.start_node(node)


def preempt(drill: Drill, outcome: Outcome) -> None:
    attempt, record = drill.pick()
    node = record["owner"]["host"]
    script = f"#!/bin/bash\n#SBATCH -p urgent -w {node} -c 4 -o /dev/null\nsleep 3\n"
    drill.cluster.run("sbatch", text=script)
    outcome.noticed_s = drill.notice(attempt)


def reach_limit(drill: Drill, outcome: Outcome) -> None:
    """A worker is halted so that its run cannot end first; Slurm lets it go on as it asks it to end."""
    attempt, record = drill.pick()
    halt(record)
    end = datetime.now() + timedelta(seconds=2)
    drill.cluster.run("scontrol", "update", f"JobId={job_of(record)}", f"EndTime={end:%Y-%m-%dT%H:%M:%S}")
    time.sleep(2.0)
    outcome.noticed_s = drill.notice(attempt)


def halt(record: dict[str, Any], *, go_on: bool = False) -> None:
    os.kill(record["owner"]["pid"], signal.SIGCONT if go_on else signal.SIGSTOP)


def job_of(record: dict[str, Any]) -> str:
    return record["job"].partition(".")[0]


def cancel_job(drill: Drill, outcome: Outcome) -> None:
    attempt, record = drill.pick()
    drill.cluster.run("scancel", job_of(record))
    outcome.noticed_s = drill.notice(attempt)


def stop_controller(drill: Drill, outcome: Outcome) -> None:
    drill.pick()
    began = time.monotonic()
    drill.cluster.kill("slurmctld")
    try:
        drill.wait_for(lambda: "does not answer" in drill.read_supervisor(), AWAY_S)
        outcome.noticed_s = time.monotonic() - began
        time.sleep(max(0.0, AWAY_S - outcome.noticed_s))
    finally:
        drill.cluster.start_controller()


def close_store(drill: Drill, outcome: Outcome) -> None:
    """Lay a read-only mount over the store: a remount would be refused for the logs that workers keep open."""
    attempt, _ = drill.pick()
    began, store = time.monotonic(), str(drill.study.store)
    subprocess.run(["mount", "--bind", store, store], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", store], check=True)
        drill.wait_for(lambda: "waiting for it" in (attempt / "log.txt").read_text(), CLOSED_S)
        outcome.noticed_s = time.monotonic() - began
        time.sleep(max(0.0, CLOSED_S - outcome.noticed_s))
    finally:
        subprocess.run(["umount", "--lazy", store], check=True)


def start_twice(drill: Drill, outcome: Outcome) -> None:
    drill.start(host="login2")
    drill.pick()
    claims = list(drill.study.folder.glob("supervisors/[0-9]*"))
    if len(claims) != 1:
        outcome.notes.append(f"{len(claims)} supervisors")


def do_nothing(drill: Drill, outcome: Outcome) -> None:
    drill.pick()


@dataclass(frozen=True)
class Kind:
    """A way to disturb a study, and how it is started for that."""

    disturb: Callable[[Drill, Outcome], None]
    host: str | None = None
    shifted: bool = False


KINDS = {
    "kill a worker": Kind(kill_worker),
    "kill the supervisor": Kind(kill_supervisor),
    "kill a node's daemon": Kind(kill_node),
    "a lost node's worker goes on": Kind(lose_node),
    "preempt": Kind(preempt),
    "time limit": Kind(reach_limit),
    "scancel": Kind(cancel_job),
    "controller down 20 s": Kind(stop_controller),
    "store read-only for 10 s": Kind(close_store),
    "two login nodes": Kind(start_twice, host="login1"),
    "clock off by an hour": Kind(do_nothing, host="login1", shifted=True),
}

EQUAL_NUMBERS = "equal process numbers"
"""A drill that needs no cluster; see `run_equal_numbers`."""


def run_drill(name: str, cluster: Cluster, folder: Path, reference: dict[str, tuple[str, str]]) -> Outcome:
    """Disturb one study in a way, wait for its end, and count."""
    outcome, kind = Outcome(name), KINDS[name]
    drill, began = Drill(cluster, folder), time.monotonic()
    drill.write()
    try:
        drill.start(host=kind.host, shifted=kind.shifted)
        kind.disturb(drill, outcome)
        drill.finish(outcome)
    except (TimeoutError, subprocess.SubprocessError) as error:
        outcome.notes.append(str(error))
    finally:
        drill.close()
    outcome.seconds = time.monotonic() - began
    count(drill.study, reference, outcome)
    return outcome


def run_equal_numbers(folder: Path) -> Outcome:
    """Let two processes of one number, in containers of their own, make the same claims at the same moments."""
    outcome, began = Outcome(EQUAL_NUMBERS), time.monotonic()
    won = claim_side_by_side(folder)
    outcome.seconds, outcome.attempts = time.monotonic() - began, sum(map(len, won))
    outcome.doubled = len(won[0] & won[1])
    outcome.lost = CLAIMS - len(won[0] | won[1])
    outcome.mixed = sum(
        json.loads((folder / f"{number:04}" / "attempts" / "01" / "attempt.json").read_text())["slot"] != str(side)
        for side, own in enumerate(won)
        for number in own
    )
    outcome.notes.append(f"{len(won[0])} and {len(won[1])}")
    return outcome


def count(study: Study, reference: dict[str, tuple[str, str]], outcome: Outcome) -> None:
    """Compare what a study left with an undisturbed one."""
    outcome.attempts = len(list(study.folder.glob("runs/*/attempts/[0-9]*")))
    for run, digests in reference.items():
        folder = study.folder / "runs" / run
        if not (folder / "result.json").exists():
            outcome.lost += 1
            continue
        result = json.loads((folder / "result.json").read_text())
        found = tuple(
            hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in ("model.safetensors", "predictions.npy")
        )
        told = (result["weights_sha256"], result["predictions_sha256"])
        outcome.mixed += not found == told == tuple(digests)
        ends = [read_last_epoch(file) for file in folder.glob("attempts/[0-9]*/epochs.jsonl")]
        outcome.doubled += sum(epoch == EPOCHS for epoch in ends) > 1


def read_last_epoch(file: Path) -> int:
    lines = file.read_text().splitlines()
    return json.loads(lines[-1])["epoch"] if lines else 0


@contextmanager
def without_hangup() -> Generator[None]:
    """Let the drill go on when its terminal goes."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
