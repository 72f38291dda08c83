"""Slots in the monitor: what a study waits for, what trains on without its supervisor, jobs of a cluster."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from engine.study.paths import StudyPaths
from engine.study.records import write_record
from engine.study.supervisor_record import SlotRecord
from tests.helpers.records import make_supervisor
from tests.helpers.screens import Make, screen_text, settle
from tests.helpers.studies import write_run, write_study


def set_slots(paths: StudyPaths, *slots: SlotRecord) -> None:
    write_record(paths.supervisor, make_supervisor(slots=slots))


@pytest.mark.slow
async def test_all_slots_held_by_another_study_is_a_state(make_app: Make, store: Path) -> None:
    paths = write_study(store / "s", done=0, running=0)
    held = "the slot is held by study other (process 33)"
    set_slots(paths, SlotRecord("cpu:0", "waiting", held), SlotRecord("cpu:1", "waiting", held))
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        heading = screen_text(app).splitlines()[0]
        assert f"◌ waiting: {held}   0 of 9 runs" in heading
        assert "running" not in heading
        set_slots(paths, SlotRecord("cpu:0", "training"), SlotRecord("cpu:1", "waiting", held))
        await pilot.pause(0.5)
        await settle(pilot)
        assert "● running   0 of 9 runs   1 of 2 slots" in screen_text(app).splitlines()[0]


@pytest.mark.slow
async def test_workers_of_a_killed_supervisor_are_nothing_to_wait_for(make_app: Make, store: Path) -> None:
    paths = write_study(store / "s", done=1, running=0)
    held = [SlotRecord(f"cpu:{n}", "waiting", f"the slot is held by study s (process {33 + n})") for n in range(2)]
    set_slots(paths, *held)
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        heading = screen_text(app).splitlines()[0]
        assert "waiting: the slot is held by study s (process 33), and 1 more" in heading
    write_run(paths, f"{0:08x}{2:08x}", 5, random.Random(1), state="running")
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        heading = screen_text(app).splitlines()[0]
        assert "● running" in heading
        assert "waiting" not in heading


@pytest.mark.slow
async def test_jobs_of_a_cluster_are_shown_with_their_machines_in_the_place_of_this_one(
    make_app: Make, store: Path
) -> None:
    paths = write_study(store / "s", done=1, running=0)
    never = "will never start: slurm.time is over the partition's limit"
    set_slots(
        paths,
        SlotRecord("slurm:0", "training", host="node-07", job="4711"),
        SlotRecord("slurm:1", "waiting", never, job="4712"),
    )
    app = make_app(opened=paths.folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        shown = screen_text(app)
        assert "1 of 2 jobs" in shown.splitlines()[0]
        assert "slurm:0: training on node-07, job 4711" in " ".join(re.sub(r"[│\s]+", " ", shown).split())
        assert "job slurm:1: will never start" in shown
        assert "cores" not in shown
