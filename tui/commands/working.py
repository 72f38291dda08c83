"""`worker`: one worker of a study in this process, for any other scheduler, or a second machine on the same store.

It claims runs as all workers do, and needs no supervisor: it takes the place of this process, so that whoever started
the command sees its end, and signals reach it.
"""

from __future__ import annotations

import os
import socket
import uuid
from typing import NoReturn

from rich.console import Console

from engine.dispatch.executors.slurm_script import parse_duration
from engine.dispatch.jobs import worker_job
from engine.errors import EXIT_OK, NondetError
from engine.study.control import read_control
from engine.study.paths import StudyPaths
from engine.study.run_state import read_result
from engine.study.study_plan import find_study, read_plan
from engine.study.supervisor_record import find_supervisor
from tui.commands.output import print_text
from tui.text.counts import all_of, be, plural


def start_worker(study: str, *, store: str | None, time_left: str) -> int:
    """Start a worker of a study in the place of this process; its attempts count as tries of the latest supervisor.

    Args:
        study: Its name in the store, or the path of its folder.
        store: The folder of all studies.
        time_left: How long it may train, as Slurm writes times; empty for as long as there is something.

    Returns:
        0 where nothing is left to train; otherwise a worker takes the place of this process.

    Raises:
        NondetError: If the study cannot be read, was cancelled, or the time is none.
    """
    paths = find_study(study, store=store)
    order, console = read_plan(paths).order, Console(stderr=True, highlight=False)
    if time_left and parse_duration(time_left) is None and time_left != "UNLIMITED":
        raise NondetError(
            f"--time-left {time_left!r}: is no time: write HH:MM:SS or DAYS-HH:MM:SS, e.g. --time-left 08:00:00"
        )
    if read_control(paths).cancelled:
        raise NondetError(f"{paths.folder}: was cancelled: run its protocol again first, with --batch")
    left = sum(read_result(paths.run(run)) is None for run in order)
    if left == 0:
        total = len(order)
        print_text(console, f"{paths.folder}: nothing is left to train, {all_of(total, 'run')} {be(total)} done")
        return EXIT_OK
    runs = f"{plural(left, 'run')} {be(left)} left"
    print_text(console, f"{paths.folder}: {runs}: trains here until none is; Ctrl-C ends it")
    return become_worker(paths, time_left)


def become_worker(paths: StudyPaths, time_left: str) -> NoReturn:
    """Let a worker of a study take the place of this process."""
    supervisor = find_supervisor(paths)
    session = uuid.uuid4().hex if supervisor is None else supervisor.session
    command = worker_job(paths, session, place=f"{socket.gethostname()}:{os.getpid()}").command
    os.chdir("/")
    os.execv(command[0], [*command, *(["--time-left", time_left] if time_left else [])])
