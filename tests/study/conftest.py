"""A study folder that tests fill by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.plan.plan import Plan, make_plan
from engine.protocol.load import parse_protocol
from engine.study.files import make_folder
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from tests.helpers.records import make_plan_record


@pytest.fixture
def plan(protocol_text: str) -> Plan:
    return make_plan(parse_protocol(protocol_text, file="tiny.toml"), device="cpu")


@pytest.fixture
def study(tmp_path: Path, plan: Plan) -> StudyPaths:
    paths = StudyPaths(tmp_path / "store" / "tiny")
    for run_id in plan.recipes:
        make_folder(paths.run(run_id).attempts)
    write_record(paths.plan, make_plan_record(plan))
    return paths
