"""The models of device behind an arm are counted from the attempts that gave its results."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine.metrics.devices import count_devices
from engine.study.records import find_record, write_record
from engine.study.run_records import AttemptRecord
from engine.study.study_plan import read_plan
from tests.helpers.large_store import Size, write_large_study


def test_devices_of_finished_runs_are_counted(tmp_path: Path) -> None:
    paths = write_large_study(tmp_path / "study", Size(replicas=5, done=4))
    runs = read_plan(paths).arms[0].runs
    for run, device in zip(runs, ("H100", "A100", "H100", "0,1"), strict=False):
        file = paths.run(run).attempt(1).attempt
        made = find_record(file, AttemptRecord)
        assert made is not None
        write_record(file, msgspec.structs.replace(made, device=device))
    assert count_devices(paths, [*runs, *runs]) == {"H100": 2, "A100": 1}, "each run once, numbers of GPUs not at all"
    assert count_devices(paths, ["none"]) == {}
