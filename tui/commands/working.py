"""`worker`: one worker of a study in this process, for any other scheduler, or a second machine on the same store.

It claims runs as all workers do, and needs no supervisor: it takes the place of this process, so that whoever started
the command sees its end, and signals reach it.
"""

from __future__ import annotations

import os
import socket
import uuid
from typing import NoReturn

from engine.dispatch.executors.slurm_script import parse_duration
from engine.dispatch.jobs import worker_job
from engine.errors import NondetError
from engine.study.control import read_control
from engine.study.study_plan import find_study, read_plan
from engine.study.supervisor_record import find_supervisor


def start_worker(study: str, *, store: str | None, time_left: str) -> NoReturn:
    """Start a worker of a study in the place of this process; its attempts count as tries of the latest supervisor.

    Args:
        study: Its name in the store, or the path of its folder.
        store: The folder of all studies.
        time_left: How long it may train, as Slurm writes times; empty for as long as there is something.

    Raises:
        NondetError: If the study cannot be read, was cancelled, or the time is none.
    """
    paths = find_study(study, store=store)
    read_plan(paths)
    if time_left and parse_duration(time_left) is None and time_left != "UNLIMITED":
        raise NondetError(
            f"--time-left {time_left!r}: is no time: write HH:MM:SS or DAYS-HH:MM:SS, e.g. --time-left 08:00:00"
        )
    if read_control(paths).cancelled:
        raise NondetError(f"{paths.folder}: was cancelled: run its protocol again first, with --batch")
    supervisor = find_supervisor(paths)
    session = uuid.uuid4().hex if supervisor is None else supervisor.session
    command = worker_job(paths, session, place=f"{socket.gethostname()}:{os.getpid()}").command
    os.chdir("/")
    os.execv(command[0], [*command, *(["--time-left", time_left] if time_left else [])])
