"""Places in words: how many, where, and what they wait for, each thing said once."""

from __future__ import annotations

from engine.study.supervisor_record import SlotRecord
from tui.text.places import count_places, count_training, list_places, list_reasons, list_waits

FULL = "waiting: the partition is full"


def test_places_are_counted_and_the_first_are_named() -> None:
    assert count_places(["cpu:0"]) == "1 slot (cpu:0)"
    assert count_places(["cpu:0", "cpu:1", "cpu:2"]) == "3 slots (cpu:0, cpu:1 …)"
    assert count_places(["cpu:0", "cpu:1"], counts=(1, 2)) == "1 to 2 slots, as auto chooses"
    assert count_places(["slurm:0", "slurm:1"]) == "2 jobs of Slurm, waiting in its queue not counted"


def test_place_with_a_job_is_shown_with_its_machine() -> None:
    slots = [
        SlotRecord("cpu:0", "training"),
        SlotRecord("slurm:0", "training", host="node1", job="12"),
        SlotRecord("slurm:1", "waiting", FULL, job="13"),
    ]
    assert list_places(slots) == ["slurm:0: training on node1, job 12", "slurm:1: waiting, job 13"]


def test_jobs_are_not_called_slots() -> None:
    states = ("training", "waiting", "training")
    assert count_training([SlotRecord(f"cpu:{n}", state) for n, state in enumerate(states)]) == "2 of 3 slots"
    assert count_training([SlotRecord(f"slurm:{n}", state) for n, state in enumerate(states)]) == "2 of 3 jobs"


def test_places_that_wait_for_the_same_share_a_line() -> None:
    slots = [SlotRecord(f"slurm:{number}", "waiting", FULL) for number in range(5)]
    held = SlotRecord("cpu:0", "waiting", "the slot is held")
    assert list_reasons([*slots, held]) == [FULL, "the slot is held"]
    assert list_waits([*slots, held]) == [
        f"jobs slurm:0, slurm:1, slurm:2 and 2 more: {FULL}",
        "slot cpu:0: the slot is held",
    ]
