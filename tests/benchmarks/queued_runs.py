"""A thousand queued runs on eight places of executor slurm: what claims and the supervisor cost beside the training.

Slurm's commands are answered by scripts, and a worker rests where it would train, so that claiming is all that costs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from measurement import Measurement

from engine.study.paths import StudyPaths
from engine.study.processes import read_cpu_s
from engine.study.records import write_record
from engine.study.study_plan import read_plan
from tests.helpers.large_store import Size, write_large_study

RUNS, PLACES, REST_S = 1000, 8, 1.0
BUDGET_MS, MOST_CALLS = 50.0, 6.0
ROOT = Path(__file__).parents[2]

SBATCH = """\
#!/bin/sh
number=$(( $(ls {jobs} | wc -l) + 1 ))
set -- $(sed -n 's/.* --slot \\([^ ]*\\) --session \\([^ ]*\\) .*/\\1 \\2/p')
cd {root}
setsid {python} -m tests.helpers.quick_worker {study} "$1" "$2" {rest_s} </dev/null >/dev/null 2>&1 &
echo $! > {jobs}/$number
echo $number
"""

SQUEUE = """\
#!/bin/sh
echo >> {calls}
for job in {jobs}/*; do
  [ -d /proc/$(cat $job) ] && state=RUNNING || state=COMPLETED
  echo "$(basename $job)|$state|None|node1|0|0|"
done
"""


def write_scripts(folder: Path, study: Path) -> None:
    """Write what answers as sbatch, squeue and scancel do; nothing here is ever cancelled."""
    (folder / "bin").mkdir()
    (folder / "jobs").mkdir()
    values = {"jobs": folder / "jobs", "calls": folder / "calls", "root": ROOT, "python": sys.executable,
              "study": study, "rest_s": REST_S}  # fmt: skip
    for name, text in (("sbatch", SBATCH), ("squeue", SQUEUE), ("scancel", "#!/bin/sh\n")):
        file = folder / "bin" / name
        file.write_text(text.format(**values))
        file.chmod(0o755)


def write_study(folder: Path) -> StudyPaths:
    paths = write_large_study(folder, Size(replicas=RUNS, done=0, epochs=1))
    paths.supervisor.unlink()
    plan = read_plan(paths)
    dispatch = msgspec.structs.replace(plan.dispatch, executor="slurm", devices="cpu", workers=PLACES)
    write_record(paths.plan, msgspec.structs.replace(plan, dispatch=dispatch))
    return paths


def measure() -> Measurement:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_study(folder / "study")
        write_scripts(folder, paths.folder)
        path = f"{folder / 'bin'}:{os.environ['PATH']}"
        environment = dict(os.environ) | {
            "PATH": path,
            "PYTHONPATH": str(ROOT),
            "NONDET_LEASES": str(folder / "leases"),
        }
        began, cpu_s = time.monotonic(), 0.0
        supervisor = subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.dispatch", str(paths.folder)], env=environment
        )
        while supervisor.poll() is None:
            cpu_s = read_cpu_s(supervisor.pid) or cpu_s
            time.sleep(0.1)
        seconds = time.monotonic() - began
        claims = [one for file in paths.jobs.glob("claims-*") for one in json.loads(file.read_text())]
        calls = len((folder / "calls").read_text().splitlines())
        done = len(list(paths.runs.glob("*/result.json")))
    assert done == RUNS, f"{done} of {RUNS} runs are done"
    claim_ms, waited_ms = (1000 * sum(one[kind] for one in claims) / RUNS for kind in (0, 1))
    supervisor_ms = 1000 * cpu_s / RUNS
    a_minute = calls / (seconds / 60)
    return Measurement(
        f"{RUNS} runs on {PLACES} places in {seconds:.0f} s: the claims of a run take {claim_ms:.1f} ms of a core "
        f"({waited_ms:.1f} ms by the clock), the supervisor {supervisor_ms:.1f} ms; squeue was asked "
        f"{a_minute:.1f} times a minute",
        f"{BUDGET_MS:.0f} ms a run together, squeue {MOST_CALLS:.0f} times a minute",
        claim_ms + supervisor_ms <= BUDGET_MS and a_minute <= MOST_CALLS,
    )
