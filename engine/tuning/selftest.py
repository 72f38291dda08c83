"""Runs the first runs of a user's own program, which test it, in the foreground; they are kept as the study's runs."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager

from engine.dispatch.executors.registry import open_executor
from engine.dispatch.jobs import selftest_job
from engine.errors import StudyError
from engine.plan.records import SelfTest
from engine.protocol.definition import Protocol
from engine.study.paths import StudyPaths
from engine.study.records import find_record
from engine.study.run_records import ExitRecord
from engine.study.run_state import read_result
from engine.study.selftest_record import SelfTestRecord

PERIOD_S = 0.5
"""How often it is looked which run is trained."""


def run_selftest(
    protocol: Protocol, paths: StudyPaths, selftest: SelfTest, *, tell: Callable[[str], None] = lambda text: None
) -> SelfTestRecord:
    """Return what the self-test of a study has found; what is missing of it is run now, on one slot.

    Args:
        protocol: The protocol.
        paths: Its study.
        selftest: The runs.
        tell: Is told which run has begun, from another thread.

    Raises:
        StudyError: If one of its runs fails.
    """
    known = find_record(paths.selftest, SelfTestRecord)
    if known is not None and known.runs == selftest.runs:
        return known
    executor = open_executor(protocol.dispatch)
    with _telling(paths, selftest, tell):
        output = executor.run_job(selftest_job(paths, uuid.uuid4().hex), "")
    found = find_record(paths.selftest, SelfTestRecord)
    if found is not None and found.runs == selftest.runs:
        return found
    for run_id in selftest.runs:
        run = paths.run(run_id)
        if read_result(run) is not None:
            continue
        attempts = run.list_attempts()
        ended = find_record(attempts[-1].exit, ExitRecord) if attempts else None
        reason = "it was not run" if ended is None else ended.reason
        where = f" ({attempts[-1].log})" if attempts else ""
        raise StudyError(f"{paths.folder}: the self-test failed, and nothing more is trained: {reason}{where}")
    raise StudyError(f"{paths.folder}: the self-test left no outcome: {output.errors[-1000:]}")


@contextmanager
def _telling(paths: StudyPaths, selftest: SelfTest, tell: Callable[[str], None]) -> Generator[None]:
    """Tell of each run that begins, as long as the context lasts."""
    ended = threading.Event()

    def watch() -> None:
        told = ""
        while not ended.wait(PERIOD_S):
            text = describe_progress(paths, selftest)
            if text not in ("", told):
                tell(text)
                told = text

    thread = threading.Thread(target=watch, name="self-test", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def describe_progress(paths: StudyPaths, selftest: SelfTest) -> str:
    """Say which run of a self-test is trained, and what it is for; an empty text where none is."""
    for number, run_id in enumerate(selftest.runs, start=1):
        run = paths.run(run_id)
        if read_result(run) is None:
            begun = bool(run.list_attempts())
            return f"run {number} of {len(selftest.runs)}: {describe_part(selftest, run_id)}" if begun else ""
    return ""


def describe_part(selftest: SelfTest, run_id: str) -> str:
    """Say what one run of a self-test is for."""
    if run_id == selftest.resumed:
        return "once more, killed at its first checkpoint, to go on from there"
    if run_id in selftest.control:
        return "as it is" if run_id == selftest.control[0] else "once more: does it repeat itself?"
    for source, (held, *_) in selftest.sources.items():
        if run_id in selftest.sources[source]:
            return "the seeds as they are, with other arguments" if run_id == held else f"another seed of {source}"
    return "a run"
