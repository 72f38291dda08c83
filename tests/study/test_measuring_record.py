"""How far measuring is: written seldom, believed as long as its writer lives."""

from __future__ import annotations

import os
from dataclasses import replace

from engine.study.beats import CLOCK, LOST_S
from engine.study.measuring_record import PERIOD_S, MeasuringRecord, Teller, describe_measuring
from engine.study.paths import StudyPaths
from engine.study.processes import current_owner
from engine.study.records import find_record, write_record


def test_it_is_written_once_a_second_at_most(study: StudyPaths) -> None:
    now = 100.0
    teller = Teller(study, clock=lambda: now)
    found: list[int] = []
    for done in range(30):
        teller.tell(done, 30)
        record = find_record(study.measuring, MeasuringRecord)
        found.append(-1 if record is None else record.done)
        now += PERIOD_S / 8
    assert sorted(set(found)) == [0, 8, 16, 24]
    assert describe_measuring(study) == "24 of 30 arms"
    teller.end()
    assert describe_measuring(study) is None
    assert not study.measuring.exists()


def test_what_another_process_tells_is_left_alone(study: StudyPaths) -> None:
    other = MeasuringRecord(owner=replace(current_owner(), pid=os.getppid()), done=1, total=1)
    write_record(study.measuring, other)
    Teller(study).end()
    assert find_record(study.measuring, MeasuringRecord) == other


def test_process_that_is_gone_measures_nothing(study: StudyPaths) -> None:
    write_record(study.measuring, MeasuringRecord(owner=replace(current_owner(), start_ticks=1), done=1, total=2))
    assert describe_measuring(study) is None


def test_process_of_another_machine_measures_as_long_as_it_says_so(study: StudyPaths) -> None:
    write_record(study.measuring, MeasuringRecord(owner=replace(current_owner(), host="elsewhere"), done=1, total=1))
    assert describe_measuring(study) == "1 of 1 arm"
    sign, seen = CLOCK.seen[study.measuring]
    CLOCK.seen[study.measuring] = (sign, seen - LOST_S)
    assert describe_measuring(study) is None
