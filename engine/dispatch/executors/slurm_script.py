"""Writes what is handed to Slurm: the script of a worker's job, and the command line of another job."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from engine.dispatch.executors.base import SlurmWanted

TRIAL_S = 3600
"""How long a job that only tries something out may take at most: short requests are placed sooner."""

BATCH_ONLY = ("--requeue", "--no-requeue", "--open-mode")
"""Options of sbatch that srun does not have."""


def list_options(wanted: SlurmWanted) -> list[str]:
    """Return the options that say what a job asks for."""
    named = {
        "partition": wanted.partition,
        "account": wanted.account,
        "qos": wanted.qos,
        "time": wanted.time,
        "gres": wanted.gres,
        "mem": wanted.mem,
    }
    asked = [f"--{name}={value}" for name, value in named.items() if value]
    return ["--nodes=1", "--ntasks=1", f"--cpus-per-task={wanted.cpus}", *asked, *wanted.extra]


def write_script(wanted: SlurmWanted, *, name: str, log: Path, command: Sequence[str]) -> str:
    """Return the script of a worker's job.

    A process under srun is told of a preemption at once, and one of the script itself only at the end: so srun it is.
    How much time the job has left only squeue knows; the worker starts no run that cannot end.

    Args:
        wanted: What it asks for.
        name: The job's, by which a later supervisor finds it.
        log: Where its output goes; a % in it stands for what sbatch puts there.
        command: The worker's command line.
    """
    options = [
        f"--job-name={name}",
        f"--output={_quote(log)}",
        "--open-mode=append",
        "--chdir=/",
        *(["--requeue"] if "--no-requeue" not in wanted.extra else []),
        *list_options(wanted),
    ]
    lines = [
        "#!/bin/bash",
        *(f"#SBATCH {option}" for option in options),
        *wanted.setup,
        'left=$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%L 2>/dev/null)',
        f'exec srun --ntasks=1 --cpus-per-task={wanted.cpus} {shlex.join(command)} --time-left "${{left:-UNLIMITED}}"',
    ]
    return "\n".join(lines) + "\n"


def write_run(wanted: SlurmWanted, *, name: str, command: Sequence[str]) -> list[str]:
    """Return the command line that runs another job, such as a trial, on the cluster and waits for it."""
    kept = [one for one in list_options(wanted) if not one.startswith((*BATCH_ONLY, "--time="))]
    limit_s = parse_duration(wanted.time)
    limit = [] if limit_s is None else [f"--time={max(1, min(limit_s, TRIAL_S) // 60)}"]
    body = "\n".join((*wanted.setup, f"exec {shlex.join(command)}"))
    return ["srun", f"--job-name={name}", *kept, *limit, "bash", "-c", body]


def parse_duration(text: str) -> int | None:
    """Return the seconds of a time as Slurm writes it; None for one that has no end, or is none.

    "90" are minutes, "10:00" minutes and seconds, "1-12" a day and 12 hours.
    """
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if found is None:
        return None
    days, first, second, third = (None if part is None else int(part) for part in found.groups())
    if days is not None:
        return days * 86400 + (first or 0) * 3600 + (second or 0) * 60 + (third or 0)
    if third is not None:
        return (first or 0) * 3600 + (second or 0) * 60 + third
    return (first or 0) * 60 + (second or 0)


def _quote(path: Path) -> str:
    """Return a path as a line of sbatch takes it."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def name_log(folder: Path) -> Path:
    """Return where sbatch is to write a job's output in a folder: a file with the job's number."""
    return Path(str(folder).replace("%", "%%")) / "%j.log"
