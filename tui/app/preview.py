"""Reads what the start screen shows of the thing under the cursor: what a protocol would train, what a study found.

It is read in a thread; nothing of a protocol is run for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from engine.dispatch.executors.base import Executor
from engine.dispatch.launch import cut_plan, data_root, find_folder, settle_comparison
from engine.errors import NondetError
from engine.plan.data_presence import MissingData, find_missing
from engine.plan.plan import Plan
from engine.protocol.compare_section import Comparing
from engine.protocol.definition import Protocol
from engine.protocol.faults import ProtocolError, printable
from engine.protocol.load import load_protocol, read_text
from engine.study.choices import Chosen
from engine.study.curves_record import find_curves
from engine.study.decision_record import read_decision
from engine.study.instability import SpreadSeries, select_spreads
from engine.study.metrics_record import ArmMeasures, find_metrics
from engine.study.paths import StudyPaths
from engine.study.run_records import read_arm_recipes
from engine.study.run_state import read_result
from engine.study.study_plan import read_plan
from engine.study.summary import StudySummary
from engine.tuning.choice import name_devices, open_chosen, plan_known, recall
from tui.app.listed_files import read_head
from tui.text.answers.listing import list_answers
from tui.text.answers.sentences import Answer, Found
from tui.text.format import UNICODE, format_seconds
from tui.text.places import count_places

FIRST_FIGURES = ("accuracy", "perplexity")
"""The figures whose spread is drawn first, where a study has them."""


@dataclass(frozen=True)
class ArmPreview:
    """Says what an arm would train."""

    name: str
    vary: tuple[str, ...]
    runs: int
    group: int
    """Runs behind each replica of an ensemble; 1 for runs of its own."""


@dataclass(frozen=True)
class ProtocolPreview:
    """Says what a protocol would train."""

    name: str
    description: str
    arms: tuple[ArmPreview, ...] = ()
    workload: str = ""
    """Which networks are trained on which data."""
    runs: int = 0
    epochs: tuple[int, int] = (0, 0)
    """The fewest and the most of a run."""
    finished: frozenset[str] = frozenset()
    """The runs that are done."""
    places: tuple[str, ...] = ()
    counts: tuple[int, int] | None = None
    """The fewest and the most places that there will be, where how many is tried out before the training."""
    devices: str = ""
    """The devices that the protocol names, which that is tried out on."""
    undecided: Comparing | None = None
    """The comparison that it trains pairs of replicas for until it is decided; None where all are trained, or it is."""
    seconds: float | None = None
    """How long what is missing will take at most, at the pace of the runs that are done; None where none is."""
    missing: tuple[MissingData, ...] = ()
    """Data that are not there."""
    own_data: bool = False
    """Whether a function of the user's makes data, of which nobody knows beforehand whether they are there."""
    code: tuple[str, ...] = ()
    """Functions of the user's that training runs."""
    faults: tuple[str, ...] = ()
    """Why nothing could be trained."""
    text: str = ""
    """What its file says."""

    @property
    def obstacles(self) -> tuple[str, ...]:
        """Return why it cannot be trained: its faults, and data that nobody fetches."""
        return self.faults or tuple(one.text for one in self.missing if not one.fetched)

    @property
    def done(self) -> int:
        """Return how many runs are done."""
        return len(self.finished)

    @property
    def left(self) -> int:
        """Return how many runs are to be trained."""
        return self.runs - self.done

    @property
    def side_by_side(self) -> int:
        """Return how many runs are trained at once, at least."""
        return max(1, min(len(self.places) if self.counts is None else self.counts[0], self.left or self.runs))


@dataclass(frozen=True)
class StudyPreview:
    """Says what a study has found so far."""

    summary: StudySummary
    arms: tuple[ArmMeasures, ...] = ()
    question: str = ""
    """The description of its protocol."""
    answers: tuple[Answer, ...] = ()
    """What it says, the most important first."""
    spread: tuple[SpreadSeries, ...] = ()
    """The SD over replicas of the first of its figures, by epoch."""
    figure: str = ""
    """The name of that figure, a key of EPOCH_FIGURES."""


Preview = ProtocolPreview | StudyPreview


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


def describe_work(preview: ProtocolPreview) -> list[str]:
    """Say how many runs a protocol has, where they would be trained, for how long, and what would hinder that."""
    few, many = preview.epochs
    epochs = f"{few}" if few == many else f"{few} to {many}"
    most = "" if preview.undecided is None else "at most "
    done = f", {preview.done} of them done" if preview.done else ""
    rows = [f"{most}{preview.runs} runs of {epochs} epochs{done}"]
    if preview.undecided is not None:
        rows.append(
            f"in pairs, until {printable(preview.undecided.a)} and {printable(preview.undecided.b)} are told apart"
        )
    if preview.left == 0:
        rows.append("nothing is left to train")
    else:
        where = f"on {count_places(preview.places, counts=preview.counts)}"
        at_most = "" if preview.counts is None else "at most "
        pace = "for how long is known once a run is done; t in the builder times an epoch"
        took = pace if preview.seconds is None else f"{at_most}about {format_seconds(preview.seconds)}"
        rows.append(f"{where}: {took}")
    if preview.code:
        rows.append(f"{UNICODE.lost} runs your code: {', '.join(map(printable, preview.code))}")
    rows += [f"{UNICODE.lost} {printable(one.text)}" for one in preview.missing]
    if not preview.missing and not preview.own_data:
        rows.append(f"{UNICODE.done} its data are there")
    return rows
