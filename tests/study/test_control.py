"""Requests add up in the order in which they were made."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.study.control import Control, read_control, request
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
