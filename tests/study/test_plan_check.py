"""A plan whose parts do not fit each other is damage, whoever wrote it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StudyError
from engine.study.study_plan import read_plan
from tests.helpers.studies import write_study

Change = Callable[[dict[str, Any]], object]

CHANGES: dict[str, Change] = {
    "is no id of a run": lambda plan: plan["order"].__setitem__(0, "../../../outside/x"),
    "is no id": lambda plan: plan["forks"].update({plan["order"][0]: ["../x", 1]}),
    "planned twice": lambda plan: plan["order"].append(plan["order"][0]),
    "epochs are not": lambda plan: plan["epochs"].popitem(),
    "is named that is not planned": lambda plan: plan["reuses"].update({plan["order"][0]: "none"}),
    "has a run that is not planned": lambda plan: plan["arms"][0]["runs"].append("none"),
    "none from 1 to 100000": lambda plan: plan["epochs"].update({plan["order"][0]: 2_000_000_000}),
    "a number of epochs": lambda plan: plan["forks"].update({plan["order"][0]: ["x", -1]}),
    "has ensembles of 0": lambda plan: plan["arms"][0].update(group=0),
    "two arms are named": lambda plan: plan["arms"].append(plan["arms"][0]),
    "crosses": lambda plan: plan["arms"][0].update(crossed=[["init", 2], ["shuffle", 2]]),
    "metrics.bootstrap is": lambda plan: plan["metrics"].update(bootstrap=10**15),
}


@pytest.mark.parametrize("said", CHANGES)
def test_plan_that_is_impossible_is_named(tmp_path: Path, said: str) -> None:
    paths = write_study(tmp_path / "study")
    content = json.loads(paths.plan.read_text())
    CHANGES[said](content)
    paths.plan.write_text(json.dumps(content))
    with pytest.raises(StudyError, match=said):
        read_plan(paths)
