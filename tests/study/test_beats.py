"""Signs of life: silence is counted by a steady clock, never by comparing two machines' clocks."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from engine.study.beats import (
    BEAT_BYTES,
    FIRST_EPOCH_S,
    LOST_S,
    STALL_S,
    BeatRecord,
    Clock,
    Silence,
    make_beat,
    read_file_silence,
    read_silence,
    write_beat,
)
from engine.study.processes import read_boot_id
from engine.study.records import find_record


def make_silence(still_s: float, *, epochs: int = 0, slowest_s: float = 0.0) -> Silence:
    beat = BeatRecord(boot_id="here", beaten=0.0, moved=0.0, epochs=epochs, slowest_s=slowest_s)
    return Silence(dead_s=0.0, still_s=still_s, beat=beat)


def test_beat_is_read_as_it_was_written_and_keeps_its_length(tmp_path: Path) -> None:
    file = tmp_path / "beat.json"
    assert write_beat(file, make_beat(moved=1.0, steps=3, place="ü" * 1000))
    assert file.stat().st_size == BEAT_BYTES
    assert write_beat(file, make_beat(moved=2.0, steps=4, epochs=1, slowest_s=0.5))
    assert file.stat().st_size == BEAT_BYTES
    found = find_record(file, BeatRecord)
    assert found is not None
    assert (found.moved, found.steps, found.epochs, found.slowest_s, found.place) == (2.0, 4, 1, 0.5, None)


def test_beat_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    assert not write_beat(tmp_path / "no folder" / "beat.json", make_beat(moved=0.0))


def test_silence_of_this_machine_is_counted_by_its_steady_clock(tmp_path: Path) -> None:
    file, now = tmp_path / "beat.json", time.monotonic()
    write_beat(file, BeatRecord(boot_id=read_boot_id(), beaten=now - 30.0, moved=now - 90.0))
    os.utime(file, (0, 0))
    found = read_silence(file, clock=Clock())
    assert found is not None
    assert found.dead_s == pytest.approx(30.0, abs=1.0)
    assert found.still_s == pytest.approx(90.0, abs=1.0)


@pytest.mark.parametrize("boot_id", ["another", read_boot_id()])
def test_times_of_the_future_end_as_soon_as_the_reader_has_waited(boot_id: str, tmp_path: Path) -> None:
    """A forged or foreign clock: what counts is how long this reader has seen the same sign."""
    file, clock = tmp_path / "beat.json", Clock()
    write_beat(file, BeatRecord(boot_id=boot_id, beaten=time.monotonic() + 1e6, moved=0.0))
    later_s = time.time() + 1e6
    os.utime(file, (later_s, later_s))
    first = read_silence(file, clock=clock)
    assert first is not None
    assert first.dead_s < 1.0
    sign, seen = clock.seen[file]
    clock.seen[file] = (sign, seen - LOST_S)
    waited = read_silence(file, clock=clock)
    assert waited is not None
    assert waited.dead_s >= LOST_S
    write_beat(file, BeatRecord(boot_id=boot_id, beaten=time.monotonic() + 2e6, moved=0.0))
    again = read_silence(file, clock=clock)
    assert again is not None
    assert again.dead_s < 1.0


def test_process_without_beats_is_silent_since_its_files_changed(tmp_path: Path) -> None:
    file = tmp_path / "epochs.jsonl"
    file.touch()
    earlier_s = time.time() - 50.0
    os.utime(file, (earlier_s, earlier_s))
    found = read_file_silence((tmp_path / "absent", file), clock=Clock())
    assert found.dead_s == pytest.approx(50.0, abs=2.0)
    assert read_file_silence((tmp_path / "absent",), clock=Clock()).dead_s == float("inf")


@pytest.mark.parametrize(
    ("silence", "stall_s", "ended"),
    [
        (make_silence(11.0), 10.0, True),
        (make_silence(9.0), 10.0, False),
        (make_silence(1e9), 0.0, False),
        (make_silence(FIRST_EPOCH_S - 1), None, False),
        (make_silence(FIRST_EPOCH_S), None, True),
        (make_silence(STALL_S, epochs=1), None, True),
        (make_silence(STALL_S, epochs=1, slowest_s=31.0), None, False),
        (make_silence(20 * 31.0, epochs=1, slowest_s=31.0), None, True),
        (Silence(dead_s=1e9, still_s=1e9, beat=None), None, False),
    ],
)
def test_training_may_stand_still_for_as_long_as_is_set_or_as_its_pace_says(
    silence: Silence, stall_s: float | None, *, ended: bool
) -> None:
    assert silence.exceeds(stall_s) is ended
