"""Requests add up in the order in which they were made."""

from __future__ import annotations

import pytest

from engine.store.control import Control, read_control, request
from engine.store.paths import StudyPaths


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


def test_damaged_requests_count_for_nothing(study: StudyPaths) -> None:
    request(study, "pause")
    (study.control / "99999999999999999999-1-resume.json").write_bytes(b'{"verb": "resu')
    (study.control / "99999999999999999999-2-x.json").write_bytes(b'{"verb": "explode"}')
    (study.control / "readme.txt").write_text("resume")
    assert read_control(study).paused
