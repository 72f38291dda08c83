"""Builders of the records of a study folder: whole ones, of which a test states only what it is about."""

from __future__ import annotations

from typing import Any

from engine.dispatch.launch import make_study_plan
from engine.plan.plan import Plan
from engine.plan.records import PlannedArm
from engine.study.choices import NOTHING
from engine.study.epochs import EpochRecord
from engine.study.processes import Owner, current_owner
from engine.study.run_records import AttemptRecord, BitRecord, ExitRecord, ResultRecord, Versions
from engine.study.study_plan import (
    DispatchSettings,
    MeasuringSettings,
    ProtocolOrigin,
    Provenance,
    StudyPlan,
)
from engine.study.supervisor_record import SlotRecord, SupervisorRecord

SETTINGS: dict[str, Any] = {
    "created": "2026-01-01T00:00:00+00:00",
    "protocol": ProtocolOrigin(file="tiny.toml", overrides=()),
    "data_root": "/data",
    "search_path": ("/",),
    "dispatch": DispatchSettings(
        executor="local",
        devices="cpu",
        slots_per_device=1,
        keep_weights=True,
        checkpoint_s=60.0,
        graphs=True,
        chosen=NOTHING,
    ),
    "metrics": MeasuringSettings(bootstrap=100, cka=False, cka_examples=2048),
    "reference": None,
    "provenance": Provenance(versions={}, git_commit=None, machine="x86_64", host="here", gpus=()),
}


def make_plan_record(plan: Plan, **changes: Any) -> StudyPlan:
    """Return the plan.json of a plan."""
    return make_study_plan(plan, **SETTINGS | changes)


def make_arm(name: str, runs: list[str], **changes: Any) -> PlannedArm:
    """Return an arm of single runs."""
    fields: dict[str, Any] = {"vary": (), "empty": {}, "group": 1, "onset": None, "crossed": ()}
    return PlannedArm(name=name, runs=tuple(runs), **fields | changes)


def make_study(arms: list[PlannedArm], **changes: Any) -> StudyPlan:
    """Return the plan.json of some arms, whose runs take one epoch each."""
    order = tuple(dict.fromkeys(run for arm in arms for run in arm.runs))
    fields: dict[str, Any] = SETTINGS | {
        "study": "study",
        "device": "cpu",
        "text": False,
        "own_process": False,
        "epochs": dict.fromkeys(order, 1),
        "forks": {},
        "reuses": {},
        "packs": {},
    }
    return StudyPlan(arms=tuple(arms), order=order, **fields | changes)


def make_result(**changes: Any) -> ResultRecord:
    """Return the result of a run that did not diverge."""
    fields: dict[str, Any] = {
        "run": "r",
        "attempt": 1,
        "epochs": 1,
        "test_accuracy": 98.0,
        "test_cross_entropy": 0.1,
        "diverged": False,
        "diverged_epoch": None,
        "bit": None,
        "weights_sha256": "0" * 64,
        "predictions_sha256": "0" * 64,
        "labels_sha256": "0" * 64,
        "seconds": 1.0,
        "finished": "2026-01-01T00:00:00+00:00",
    }
    return ResultRecord(**fields | changes)


def make_bit(**changes: Any) -> BitRecord:
    """Return a moved bit."""
    fields: dict[str, Any] = {
        "parameter": "weight",
        "index": 0,
        "old": 0.25,
        "new": 0.25,
        "old_bits": "3e800000",
        "new_bits": "3e800001",
        "ulps": 1,
        "change": 2.0**-25,
    }
    return BitRecord(**fields | changes)


def make_attempt(owner: Owner | None = None, **changes: Any) -> AttemptRecord:
    """Return the claim of a process, this one unless another is given."""
    fields: dict[str, Any] = {
        "session": "s",
        "slot": "cpu:0",
        "started": "2026-01-01T00:00:00+00:00",
        "device": "CPU",
        "versions": Versions(python="3", torch="2", numpy="2"),
        "cpu_capability": "DEFAULT",
        "environment": {},
    }
    return AttemptRecord(owner=owner or current_owner(), **fields | changes)


def make_exit(**changes: Any) -> ExitRecord:
    """Return the end of an attempt that failed by its own fault."""
    fields: dict[str, Any] = {"outcome": "failed", "cause": "fault", "reason": "ValueError: bad input"}
    return ExitRecord(**fields | changes)


def make_supervisor(owner: Owner | None = None, **changes: Any) -> SupervisorRecord:
    """Return what a running supervisor says, this process unless another is given."""
    fields: dict[str, Any] = {"session": "s", "state": "running", "slots": (SlotRecord("cpu:0", "training"),)}
    return SupervisorRecord(owner=owner or current_owner(), **fields | changes)


def make_epoch(epoch: int, **changes: Any) -> EpochRecord:
    """Return the figures of an epoch."""
    fields: dict[str, Any] = {
        "train_loss": 1.0,
        "test_accuracy": 90.0,
        "test_cross_entropy": 1.0,
        "lr": 0.1,
        "seconds": 0.5,
    }
    return EpochRecord(epoch=epoch, **fields | changes)
