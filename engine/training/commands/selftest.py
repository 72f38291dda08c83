"""Judges a user's own program by the study's first runs: does it repeat itself, does each source change something?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from engine.catalog.placeholders import name_argument
from engine.errors import NondetError
from engine.plan.records import SelfTest
from engine.study.control import Control
from engine.study.paths import StudyPaths
from engine.study.records import find_record, write_record
from engine.study.run_records import ResultRecord, read_recipe
from engine.study.run_state import read_result, read_state
from engine.study.selftest_record import Floor, ResumeTest, SelfTestRecord, SourceTest


@dataclass(frozen=True)
class Verdict:
    """Says what is known of a self-test by now."""

    decided: bool
    """Whether its runs have ended, one way or the other."""
    refusal: str | None = None
    """Why the other runs are not to be trained."""


NOT_NEEDED = Verdict(decided=True)


def judge(paths: StudyPaths, selftest: SelfTest | None, *, control: Control, session: str) -> Verdict:
    """Return how a self-test stands, and write down what it has found once all of its runs are done.

    Args:
        paths: The study.
        selftest: Its runs; None where there is nothing to test.
        control: Requests that hold.
        session: The session whose retries are counted.
    """
    if selftest is None:
        return NOT_NEEDED
    known = find_record(paths.selftest, SelfTestRecord)
    results: dict[str, ResultRecord] = {}
    unresumed = ""
    for run in selftest.runs:
        result = read_result(paths.run(run))
        if result is not None:
            results[run] = result
            continue
        state = read_state(paths.run(run), control=control, session=session, run_id=run, deciding=True)
        if state.status == "running" or state.retriable:
            return Verdict(decided=False)
        if run == selftest.resumed:
            unresumed = state.reason or state.status
            continue
        reason = f"run {run} of the self-test failed ({state.reason or state.status})"
        return Verdict(decided=True, refusal=reason)
    found = compare_runs(paths, selftest, results)
    found = msgspec.structs.replace(found, resume=_compare_resumed(found, selftest, results, unresumed))
    if found != known:
        write_record(paths.selftest, found)
    refusal = found.refusal
    return Verdict(decided=True, refusal=None if refusal is None else f"self-test: {refusal}")


def compare_runs(paths: StudyPaths, selftest: SelfTest, results: dict[str, ResultRecord]) -> SelfTestRecord:
    """Compare the results of a self-test's runs."""
    one, other = (results[run] for run in selftest.control)
    recipe = read_recipe(paths.run(selftest.control[0]), selftest.control[0]).command
    if recipe is None:
        raise NondetError(f"{paths.run(one.run).spec}: is no command's")
    tests: list[SourceTest] = []
    for source, runs in selftest.sources.items():
        digests = tuple(results[run].predictions_sha256 for run in runs)
        argument = name_argument(recipe.words, dict(recipe.environment), source)
        differs = len(set(digests)) > 1
        tests.append(SourceTest(source=source, argument=argument, differs=differs, digests=digests))
    return SelfTestRecord(
        runs=selftest.runs,
        repeats=one.predictions_sha256 == other.predictions_sha256,
        digests=(one.predictions_sha256, other.predictions_sha256),
        floor=_measure_floor(paths, one, other),
        sources=tuple(tests),
    )


def _compare_resumed(
    found: SelfTestRecord, selftest: SelfTest, results: dict[str, ResultRecord], unresumed: str
) -> ResumeTest | None:
    """Tell whether the run that was cut went on to the control's predictions; `unresumed` is how it failed."""
    if selftest.resumed is None:
        return None
    result = results.get(selftest.resumed)
    if result is None:
        return ResumeTest(identical=False, reason=f"the run that was cut failed ({unresumed})")
    if result.resumption is None or result.resumption.fault:
        return ResumeTest(identical=False, reason=result.resumption.fault if result.resumption else "it was not cut")
    if not found.repeats:
        return ResumeTest(identical=False, reason="the program does not repeat itself, so that nothing can prove it")
    if result.predictions_sha256 == found.digests[0]:
        return ResumeTest(identical=True)
    digests = f"SHA-256 {result.predictions_sha256[:12]}… instead of {found.digests[0][:12]}…"
    hint = "a checkpoint holds the state of random generators, optimiser, schedule and data order too"
    return ResumeTest(identical=False, reason=f"the run that went on gives other predictions ({digests}): {hint}")


def _measure_floor(paths: StudyPaths, one: ResultRecord, other: ResultRecord) -> Floor:
    accuracies = (one.test_accuracy, other.test_accuracy)
    chosen = None if None in accuracies else [_choose(paths, result) for result in (one, other)]
    return Floor(
        accuracy=None if accuracies[0] is None or accuracies[1] is None else abs(accuracies[0] - accuracies[1]),
        disagreement=None if chosen is None else _compare(chosen),
        scores={name: abs(value - other.scores[name]) for name, value in one.scores.items() if name in other.scores},
    )


def _choose(paths: StudyPaths, result: ResultRecord) -> np.ndarray:
    """Return the class that a run predicts for each test example."""
    values = np.load(paths.run(result.run).predictions, allow_pickle=False)
    return values if values.ndim == 1 else np.nan_to_num(values, nan=-np.inf).argmax(axis=1)


def _compare(chosen: Sequence[np.ndarray]) -> float | None:
    one, other = chosen
    return 100.0 * float(np.mean(one != other)) if one.shape == other.shape else None
