"""A study folder that tests fill by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.plan.plan import Plan, make_plan
from engine.protocol.load import parse_protocol
from engine.study.files import make_folder, write_json
from engine.study.paths import StudyPaths
from engine.study.study_plan import plan_content

EXTRAS = {
    "created": "2026-01-01T00:00:00+00:00",
    "protocol": {"file": "tiny.toml", "overrides": []},
    "data_root": "/data",
    "search_path": ["/"],
    "dispatch": {"devices": "cpu", "slots_per_device": 1, "keep_weights": True, "checkpoint_s": 60.0},
    "metrics": {"bootstrap": 100},
    "provenance": {},
}


@pytest.fixture
def plan(protocol_text: str) -> Plan:
    return make_plan(parse_protocol(protocol_text, file="tiny.toml"), device="cpu")


@pytest.fixture
def study(tmp_path: Path, plan: Plan) -> StudyPaths:
    paths = StudyPaths(tmp_path / "store" / "tiny")
    for run_id in plan.recipes:
        make_folder(paths.run(run_id).attempts)
    write_json(paths.plan, plan_content(plan, EXTRAS))
    return paths
