"""Runs one of the processes that train (worker), compare (similarity) or try out (probe, race, rival).

The command line is `python -P -m engine.training` and one of

    worker STUDY --slot NAME [--lease KEY] --session ID [--time-left TIME]   claims and trains runs of a study
    selftest STUDY [--lease KEY] --session ID             runs a user's own program as its self-test wants
    import                                                reads a request, makes a study of predictions that are there
    diverge                                               reads a request, trains two runs again to see where they part
    similarity STUDY                                      compares the replicas' inner layers
    probe                                                 reads a request on stdin, answers on stdout, in JSON
    race                                                  reads a request, starts rivals, answers how fast they were
    rival                                                 trains beside others at every line on stdin
    devices                                               says in JSON which GPUs torch can use

A worker takes its slot's lease before it imports torch: while it waits for one it costs next to nothing. Without a
lease its place is its own from the start.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from engine.dispatch.executors.slurm_script import parse_duration
from engine.dispatch.leases import Lease, describe_holder
from engine.errors import EXIT_USAGE, NondetError
from engine.study.control import read_control
from engine.study.paths import StudyPaths
from engine.study.processes import end_with_parent
from engine.study.run_state import read_state
from engine.study.study_plan import read_plan
from engine.training.allocator import keep_freed_memory
from engine.training.time_left import TimeLeft

COMPUTE_ENVIRONMENT = {
    # Each run has one thread: for small networks more slots are faster, and rounding depends on the threads.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_DYNAMIC": "FALSE",
    "MKL_DYNAMIC": "FALSE",
    # cuBLAS is repeatable only with a fixed workspace, read when its context is made.
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}
"""What each of the processes sets for itself before it imports torch, wherever it was started."""

LEASE_PERIOD_S = 0.5
"""How often a waiting worker tries to get its slot."""


def main() -> int:  # noqa: PLR0911 - a return for each of the processes
    """Run one of the processes."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends as at SIGTERM: a traceback would tell nobody anything
    arguments = make_parser().parse_args()
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", level=logging.INFO)
    # This is set here, before torch is imported, so that no executor has to remember it.
    os.environ.update(COMPUTE_ENVIRONMENT)
    keep_freed_memory()
    try:
        require_temporary_folder()
        if arguments.command == "worker":
            limit_s = parse_duration(arguments.time_left)
            return run_worker(
                StudyPaths(arguments.study), arguments.slot, arguments.lease, arguments.session, limit_s=limit_s
            )
        end_with_parent()
        if arguments.command == "selftest":
            from engine.training.commands.worker import work  # noqa: PLC0415 - only for such studies

            paths = StudyPaths(arguments.study)
            wait_for_slot(paths, arguments.lease, lambda: True)
            return work(paths, slot="self-test", session=arguments.session, selftest_only=True)
        if arguments.command == "import":
            from engine.training.commands.importing import answer_request  # noqa: PLC0415 - loads numpy

            return answer_request()
        if arguments.command == "similarity":
            import_torch()
            from engine.training.similarity import measure_similarity  # noqa: PLC0415 - imports torch

            return measure_similarity(StudyPaths(arguments.study))
        if arguments.command == "diverge":
            import_torch()
            from engine.training.divergence.finding import answer_request  # noqa: PLC0415 - imports torch

            return answer_request()
        if arguments.command == "probe":
            import_torch()
            from engine.training.trials.facts import answer_request  # noqa: PLC0415 - imports torch

            return answer_request()
        if arguments.command == "race":
            from engine.training.trials.race import answer_request  # noqa: PLC0415 - as the others do

            return answer_request()
        if arguments.command == "devices":
            import_torch()
            from engine.training.device_count import answer_request  # noqa: PLC0415 - imports torch

            return answer_request()
        import_torch()
        from engine.training.trials.side_by_side import answer  # noqa: PLC0415 - imports torch

        return answer()
    except NondetError as error:
        logging.error("%s", error)
        return EXIT_USAGE


def require_temporary_folder() -> None:
    """Look for a folder that takes temporary files, without which torch cannot be imported.

    Raises:
        NondetError: If none does.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise NondetError(
            f"no folder takes a temporary file ({error.strerror}): name one with room in TMPDIR, or raise the limit on "
            "the size of files with `ulimit -f unlimited`"
        ) from error


def import_torch() -> None:
    """Import torch without looking for garbage among the objects that it makes.

    They stay to the process's end, and looking through them takes a tenth of the seconds that the import takes.
    """
    gc.disable()
    try:
        import_module("torch")
    finally:
        gc.freeze()
        gc.enable()


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line, which `engine.dispatch.jobs` writes."""
    parser = argparse.ArgumentParser(prog="python -P -m engine.training")
    commands = parser.add_subparsers(dest="command", required=True)
    worker = commands.add_parser("worker")
    worker.add_argument("study", type=Path)
    worker.add_argument("--slot", required=True)
    worker.add_argument("--lease")
    worker.add_argument("--session", required=True)
    worker.add_argument("--time-left", default="")
    selftest = commands.add_parser("selftest")
    selftest.add_argument("study", type=Path)
    selftest.add_argument("--session", required=True)
    selftest.add_argument("--lease")
    similarity = commands.add_parser("similarity")
    similarity.add_argument("study", type=Path)
    for name in ("import", "diverge", "probe", "race", "rival", "devices"):
        commands.add_parser(name)
    return parser


def run_worker(
    paths: StudyPaths, slot: str, lease_key: str | None, session: str, *, limit_s: float | None = None
) -> int:
    """Wait for the slot where it is leased, then train in it until nothing is left to claim, or no time for it.

    Returns:
        The process's exit status.
    """
    time_left = TimeLeft.begin(limit_s)
    if not wait_for_slot(paths, lease_key, lambda: has_work(paths, session)):
        return 0
    if read_plan(paths).command is not None:
        from engine.training.commands.worker import work as run_programs  # noqa: PLC0415 - only for such studies

        return run_programs(paths, slot=slot, session=session, time_left=time_left)
    import_torch()
    from engine.training.worker import work  # noqa: PLC0415 - imports torch, which only a worker with a slot pays for

    return work(paths, slot=slot, session=session, time_left=time_left)


def wait_for_slot(paths: StudyPaths, lease_key: str | None, is_wanted: Callable[[], bool]) -> bool:
    """Wait for the slot where it is leased, which is this process's to its end; False where it is wanted no more."""
    lease, holder = None if lease_key is None else Lease(lease_key), describe_holder(paths)
    while lease is not None and not lease.acquire(holder):
        if not is_wanted():
            return False
        time.sleep(LEASE_PERIOD_S)
    return True


def has_work(paths: StudyPaths, session: str) -> bool:
    """Tell whether a run of the study could be claimed now."""
    control = read_control(paths)
    plan = read_plan(paths)
    states = (
        read_state(paths.run(run), control=control, session=session, run_id=run, deciding=True) for run in plan.order
    )
    return any(state.retriable and state.status != "running" for state in states)


if __name__ == "__main__":
    # A user's code may have left threads behind that never end: this process waits for none.
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
