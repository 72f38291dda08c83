"""Runs the first runs of a user's own program, which test it, in the foreground; they are kept as the study's runs."""

from __future__ import annotations

import uuid

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


def run_selftest(protocol: Protocol, paths: StudyPaths, selftest: SelfTest) -> SelfTestRecord:
    """Return what the self-test of a study has found; what is missing of it is run now, on one slot.

    Raises:
        StudyError: If one of its runs fails.
    """
    known = find_record(paths.selftest, SelfTestRecord)
    if known is not None and known.runs == selftest.runs:
        return known
    executor = open_executor(protocol.dispatch)
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
