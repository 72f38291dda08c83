"""Reads what the start screen shows of the thing under the cursor: what a protocol would train, what a study found.

It is read in a thread; nothing of a protocol is run for it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.dispatch.executors.base import Executor
from engine.dispatch.launch import cut_plan, data_root, find_folder, settle_comparison
from engine.errors import NondetError
from engine.plan.data_presence import MissingData, find_missing
from engine.plan.plan import Plan
from engine.protocol.definition import Protocol
from engine.protocol.faults import ProtocolError, printable
from engine.protocol.load import load_protocol, read_text
from engine.study.choices import Chosen
from engine.study.curves_record import find_curves
from engine.study.decision_record import read_decision
from engine.study.instability import select_spreads
from engine.study.metrics_record import ArmMeasures, find_metrics
from engine.study.paths import StudyPaths
from engine.study.run_records import read_arm_recipes
from engine.study.run_state import read_result
from engine.study.study_plan import read_plan
from engine.study.summary import StudySummary
from engine.tuning.choice import name_devices, open_chosen, plan_known, recall
from tui.app.listed_files import read_head
from tui.app.previewed import ArmPreview, ProtocolPreview, StudyPreview
from tui.text.answers.listing import list_answers
from tui.text.answers.sentences import Answer, Found

FIRST_FIGURES = ("accuracy", "perplexity")
"""The figures whose spread is drawn first, where a study has them."""


def preview_study(summary: StudySummary) -> StudyPreview:
    """Read what a study has found so far."""
    metrics = find_metrics(summary.paths.metrics)
    head = read_head(summary.paths.protocol, "")
    question = "" if head is None else head.description
    if metrics is None or summary.fault is not None:
        return StudyPreview(summary, question=question)
    spreads = select_spreads(find_curves(summary.paths.curves))
    figure = next((one for one in FIRST_FIGURES if one in spreads), next(iter(spreads), ""))
    return StudyPreview(
        summary, metrics.arms, question, answers=_find_answers(summary.paths, metrics.arms),
        spread=tuple(spreads.get(figure, ())), figure=figure,
    )  # fmt: skip


def _find_answers(paths: StudyPaths, arms: tuple[ArmMeasures, ...]) -> tuple[Answer, ...]:
    """Return what a study says; nothing where its plan cannot be read."""
    try:
        plan = read_plan(paths)
    except NondetError:
        return ()
    empty = {arm.name: arm.empty for arm in plan.arms}
    recipes = read_arm_recipes(paths, plan.arms)
    decision = read_decision(paths, plan.arms, plan.compare)
    return tuple(list_answers(Found(arms, recipes, empty, plan.reference, len(plan.order), decision, plan.compare)))


def preview_protocol(path: Path, *, name: str, description: str, store: Path) -> ProtocolPreview:
    """Plan a protocol as it would be trained now.

    Args:
        path: Its file.
        name: Its name, where the file cannot be read as a protocol.
        description: Its description, likewise.
        store: The store, whose study of this name would be continued.
    """
    try:
        protocol = load_protocol(path)
        plan = plan_known(protocol, recall(protocol, store=str(store)), store=str(store))
        return replace(preview_plan(protocol, plan, store), text=_read_text(path))
    except ProtocolError as error:
        faults = tuple(line for fault in error.faults for line in fault.format().splitlines())
        return ProtocolPreview(name, description, faults=faults, text=_read_text(path))
    except NondetError as error:
        return ProtocolPreview(name, description, faults=tuple(str(error).splitlines()))


def _read_text(path: Path) -> str:
    """Return what a file says; nothing where it cannot be read, which the faults say."""
    try:
        return read_text(path)
    except (OSError, NondetError):
        return ""


def preview_plan(protocol: Protocol, plan: Plan, store: Path) -> ProtocolPreview:
    """Say what a plan would train now.

    Args:
        protocol: What was planned.
        plan: Its plan.
        store: The store, whose study of this name would be continued.

    Raises:
        NondetError: Where there is no device to train on.
    """
    chosen = recall(protocol, store=str(store))
    executor = open_chosen(protocol, chosen)
    paths = find_folder(protocol, store=str(store))
    counted = cut_plan(paths, plan, settle_comparison(protocol)).recipes
    results = {run: result for run in counted if (result := read_result(paths.run(run))) is not None}
    pace_s = sum(result.seconds for result in results.values()) / len(results) if results else None
    command = protocol.command
    epochs = [recipe.train.epochs if command is None else command.epochs for recipe in plan.recipes.values()]
    left = len(counted) - len(results)
    found = ProtocolPreview(
        protocol.name,
        protocol.description,
        arms=tuple(ArmPreview(arm.name, tuple(arm.vary), len(arm.runs), arm.group) for arm in plan.arms),
        workload=_name_workload(plan),
        runs=len(counted),
        undecided=protocol.compare if protocol.compare and protocol.compare.until_decided and left else None,
        epochs=(min(epochs), max(epochs)),
        finished=frozenset(results),
        places=tuple(executor.places),
        counts=_count_slots(protocol, chosen, executor),
        devices=name_devices(protocol),
        missing=_find_missing(plan, protocol),
        own_data=command is not None or any(recipe.data.target is not None for recipe in plan.recipes.values()),
        code=_name_code(plan),
    )
    return found if pace_s is None else replace(found, seconds=pace_s * left / found.side_by_side)


def _count_slots(protocol: Protocol, chosen: Chosen, executor: Executor) -> tuple[int, int] | None:
    """Return the fewest and the most slots that there will be; None where their number is settled."""
    left_open = protocol.dispatch.slots_per_device == "auto" and protocol.command is None
    if not left_open or chosen.slots_per_device is not None or executor.most_slots == 1:
        return None
    devices = 1 if executor.device == "cpu" else len(executor.places)
    return devices, devices * executor.most_slots


def _name_workload(plan: Plan) -> str:
    """Name the networks and the data of a plan."""
    programs = {" ".join(recipe.command.words) for recipe in plan.recipes.values() if recipe.command is not None}
    if programs:
        return printable(f"your program: {', '.join(programs)}")
    models, data = (
        list(dict.fromkeys(names))
        for names in (
            (_name_model(recipe.model.name, recipe.model.width) for recipe in plan.recipes.values()),
            (recipe.data.name for recipe in plan.recipes.values()),
        )
    )
    return f"{', '.join(models)} on {', '.join(data)}"


def _name_model(name: str, width: float) -> str:
    return name if width == 1.0 else f"{name} x{width:g}"


def _name_code(plan: Plan) -> tuple[str, ...]:
    parts = [part.target for recipe in plan.recipes.values() for part in (recipe.data, recipe.model)]
    return tuple(dict.fromkeys(target for target in parts if target is not None))


def _find_missing(plan: Plan, protocol: Protocol) -> tuple[MissingData, ...]:
    presets = dict.fromkeys(recipe.data.preset for recipe in plan.recipes.values() if recipe.data.preset is not None)
    found = (find_missing(preset, data_root(protocol)) for preset in presets)
    return tuple(one for one in found if one is not None)
