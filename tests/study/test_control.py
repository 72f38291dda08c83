"""Requests add up in the order in which they were made."""

from __future__ import annotations

import os
import random
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.study import control as module
from engine.study.control import Control, ControlReader, Verb, find_obeyed, read_control, request, request_retry
from engine.study.paths import StudyPaths


@pytest.mark.parametrize(
    ("verbs", "expected"),
    [
        ([], Control()),
        (["cancel"], Control(cancelled=True)),
        (["pause"], Control(paused=True)),
        (["pause", "cancel"], Control(cancelled=True, paused=True)),
        (["cancel", "resume"], Control()),
        (["cancel", "resume", "cancel"], Control(cancelled=True)),
    ],
)
def test_requests_for_the_study(study: StudyPaths, verbs: list, expected: Control) -> None:
    for verb in verbs:
        request(study, verb)
    assert read_control(study) == expected


def test_requests_for_runs_are_separate_from_the_studys(study: StudyPaths) -> None:
    request(study, "cancel", runs=["a", "b"])
    request(study, "pause", runs=["c"])
    request(study, "resume", runs=["b"])
    control = read_control(study)
    assert control.stops("a")
    assert not control.stops("b")
    assert control.holds("c")
    assert not control.cancelled
    request(study, "resume")
    assert read_control(study) == Control()


@pytest.mark.parametrize("moved_s", [-1e6, 1e6])
def test_clock_that_moves_changes_no_order(study: StudyPaths, moved_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    request(study, "cancel")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + moved_s)
    monkeypatch.setattr(time, "time_ns", lambda: int((now + moved_s) * 1e9))
    request(study, "resume")
    assert read_control(study) == Control()
    monkeypatch.undo()
    request(study, "cancel")
    assert read_control(study) == Control(cancelled=True)


def test_request_with_a_huge_number_cannot_block_later_ones(study: StudyPaths) -> None:
    study.control.mkdir()
    (study.control / f"{time.time_ns() * 10:020d}.json").write_text('{"v": 1, "verb": "cancel", "runs": null}')
    assert read_control(study).cancelled
    request(study, "resume")
    assert not read_control(study).cancelled


def test_requests_at_once_all_count(study: StudyPaths) -> None:
    runs = [f"r{number}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda run: request(study, "pause", runs=[run]), runs))
    assert read_control(study).paused_runs == set(runs)
    assert len(list(study.control.iterdir())) == len(runs)


def test_damaged_requests_count_for_nothing(study: StudyPaths) -> None:
    request(study, "pause")
    (study.control / "99999997.json").write_bytes(b'{"verb": "resu')
    (study.control / "99999998.json").write_bytes(b'{"verb": "explode"}')
    (study.control / "99999999.json").write_bytes(b'{"verb": "cancel", "runs": 5}')
    (study.control / "\u00b2.json").write_bytes(b'{"verb": "resume", "runs": null}')
    (study.control / "readme.txt").write_text("resume")
    assert read_control(study) == Control(paused=True)


def test_retry_holds_for_the_attempts_that_were_there(study: StudyPaths) -> None:
    request(study, "cancel", runs=["a", "b"])
    request(study, "pause", runs=["a"])
    for _ in range(2):
        request_retry(study, "a", attempt=2)
    wanted = Control(cancelled_runs=frozenset("b"), retried={"a": 2})
    assert read_control(study) == wanted
    assert len(find_obeyed(study)) == 1, "once says as much as twice"
    request_retry(study, "a", attempt=1)
    assert read_control(study) == wanted, "a request that comes late asks for nothing"
    request(study, "resume")
    assert read_control(study) == Control(retried={"a": 2}), "only an attempt obeys it"


REQUESTS = st.tuples(
    st.sampled_from(["cancel", "pause", "resume", "retry"]),
    st.one_of(st.none(), st.frozensets(st.sampled_from("abc"), min_size=1)),
    st.booleans(),
)
"""Verb, runs, and whether it was made long ago."""


def age(paths: StudyPaths) -> None:
    """Make every request that is there one of long ago."""
    for file in paths.control.glob("*.json"):
        os.utime(file, (1.0, 1.0))


@given(st.lists(REQUESTS, max_size=9), st.randoms(use_true_random=False))
def test_clearing_any_part_of_what_is_obeyed_changes_nothing(
    requests: list[tuple[Verb | Literal["retry"], frozenset[str] | None, bool]], order: random.Random
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = StudyPaths(Path(folder))
        for verb, runs, old in requests:
            if verb == "retry":
                request_retry(paths, min(runs or "a"), attempt=len(runs or "") + 1)
            else:
                request(paths, verb, runs=runs)
            if old:
                age(paths)
        before, reader = read_control(paths), ControlReader(paths)
        obeyed = find_obeyed(paths)
        order.shuffle(obeyed)
        for path in obeyed:
            path.unlink()
            assert read_control(paths) == reader() == before


def test_thousands_of_requests_are_cleared_once_a_later_one_has_taken_them_back(study: StudyPaths) -> None:
    for number in range(200):
        request(study, ("cancel", "pause")[number % 2], runs=[f"run-{number % 7}"] if number % 3 else None)
    kept = {path.name for path in study.control.iterdir()} - {path.name for path in find_obeyed(study)}
    assert len(kept) <= 2 + 2 * 7, "one of each kind says as much as all"
    request(study, "resume")
    assert {path.name for path in find_obeyed(study)}.isdisjoint(kept), "a reader may be at the earlier ones"
    age(study)
    assert len(find_obeyed(study)) == 200


def test_requests_are_read_once(study: StudyPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ControlReader(study)
    request(study, "pause")
    assert reader().paused
    monkeypatch.setattr(module, "find_record", None)
    assert reader().paused
