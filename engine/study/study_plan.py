"""A study's plan.json: what was planned, as one frozen record."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import ClassVar

import msgspec

from engine.errors import StoreForbiddenError, StudyError
from engine.plan.records import PlannedArm, SelfTest
from engine.protocol.faults import show_path
from engine.study.choices import Chosen
from engine.study.decision_record import CompareSettings, DecisionRecord, cut_arms, read_decision
from engine.study.opening import find_obstacle, is_there
from engine.study.paths import StudyPaths, enter_path, find_store
from engine.study.plan_check import check_arms, check_bootstrap, check_runs
from engine.study.records import MEGABYTE, Damage, Record, read_record

VOLATILE = ("created", "provenance", "protocol", "dispatch")
"""Fields of a plan that say nothing about what is trained and measured."""


class ProtocolOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """The protocol that a study was planned from."""

    file: str
    """Path as the user gave it."""
    overrides: tuple[str, ...]
    """The KEY=VALUE texts that were applied on top of it."""


class SlurmSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The settings that say what each job of Slurm asks for; empty where the cluster decides."""

    partition: str = ""
    account: str = ""
    qos: str = ""
    time: str = ""
    gres: str = ""
    cpus: int = 1
    mem: str = ""
    setup: tuple[str, ...] = ()
    """Lines of shell that run before the worker."""
    extra: tuple[str, ...] = ()
    """Further options for sbatch."""


class DispatchSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The settings that say where and how a study's runs are trained, and what was measured for those that are auto."""

    executor: str
    """Name of what starts the workers."""
    devices: tuple[str, ...] | str
    slots_per_device: int | str
    keep_weights: bool
    checkpoint_s: float
    graphs: bool
    """Whether steps are recorded and replayed on CUDA."""
    chosen: Chosen
    stall_s: float | None = None
    """Seconds for which a training may stand still before it is ended; 0 for no end, None for what its pace says."""
    workers: int = 1
    """Jobs of Slurm that train at once."""
    slurm: SlurmSettings = SlurmSettings()
    side_by_side: int | str = "auto"
    """Single runs that one worker trains at once on a GPU; "auto" for as many as its memory holds."""
    require_same_device: bool = False
    """Whether all runs of an arm are trained on one model of GPU or processor."""

    def fill_in(self) -> DispatchSettings:
        """Return the settings with what was chosen in the place of what the protocol leaves to a measurement."""
        return msgspec.structs.replace(self, slots_per_device=self.chosen.slots_per_device or self.slots_per_device)


class MeasuringSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The settings that say what is measured of a study's runs beside the diversity of their predictions."""

    cka: bool
    """Whether the inner layers of an arm's replicas are compared."""
    cka_examples: int
    """The number of test examples that layers are compared on."""
    bootstrap: int
    """Resamples behind the error of an SD."""
    sketches: int = 0
    """Notes of where a run's weights are in one epoch; 0 for none."""


class GpuRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU of the machine that a study was planned on."""

    index: int
    uuid: str
    name: str


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """The versions of the software and the machine with which a study was planned."""

    versions: dict[str, str]
    git_commit: str | None
    machine: str
    host: str
    gpus: tuple[GpuRecord, ...]


class CommandSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Says how a user's own program is run: what no recipe holds of it."""

    folder: str
    """Where it is started."""
    python: str
    """What {python} stands for."""
    epochs: int
    timeout_s: float
    """0 is no limit."""
    kind: str
    """What it leaves: logits, probabilities, classes or scores."""
    resume: tuple[str, ...] = ()
    """Words that a later attempt gets, where one may go on."""
    titles: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    """What [sources] calls its sources."""
    git_commit: str | None = None
    """Of its folder, with "+changes" where files differ from it; None outside a checkout."""


class StudyPlan(Record, frozen=True, kw_only=True, tag=1):
    """plan.json: every run of a study, and the settings and provenance that no recipe holds."""

    max_bytes: ClassVar[int] = 32 * MEGABYTE

    study: str
    device: str
    """The kind of device that all runs are planned for."""
    text: bool
    """Whether the runs are language models."""
    own_process: bool
    """Whether each run or pack is trained in a process of its own: a user's code may keep state between runs."""
    created: str
    """Time with zone, ISO 8601."""
    protocol: ProtocolOrigin
    data_root: str
    search_path: tuple[str, ...]
    """Folders in which the user's functions are looked for."""
    dispatch: DispatchSettings
    metrics: MeasuringSettings
    reference: str | None
    """Published table whose rows are shown beside the arms."""
    provenance: Provenance
    arms: tuple[PlannedArm, ...]
    order: tuple[str, ...]
    """Every run id once, in training order."""
    epochs: dict[str, int]
    """Run id → epochs that its training takes."""
    forks: dict[str, tuple[str, int]]
    """Run id → the id of its common beginning and its onset, for runs that have one."""
    reuses: dict[str, str]
    """Run id → the run whose weights it evaluates otherwise, for runs that have such a twin in this plan."""
    trusted: tuple[str, ...] = ()
    """Modules from elsewhere that the user's functions may be taken from."""
    packs: dict[str, str]
    """Run id → a key that runs share which may be trained at once; runs that are trained alone are not in it."""
    command: CommandSettings | None = None
    """The user's own program; None where this program trains."""
    selftest: SelfTest | None = None
    """The runs that test that program before all others."""
    kind: str = "logits"
    """What predictions are: logits, probabilities, classes; or scores, where there are none."""
    origin: str | None = None
    """import, of predictions that were there before; None of runs that this program has started."""
    compare: CompareSettings | None = None
    """The two arms that are compared; None where nobody asked for that."""

    def __post_init__(self) -> None:
        """Refuse a plan whose parts do not fit each other; see `engine.study.plan_check`."""
        check_runs(self.order, self.epochs, self.forks, self.reuses)
        check_arms(self.arms, self.order)
        check_bootstrap(self.metrics.bootstrap)
        if self.selftest is not None and not set(self.order).issuperset(self.selftest.runs):
            raise ValueError("the self-test has a run that is not planned")

    @property
    def work(self) -> str:
        """Digest of what is trained and measured.

        Equal for plans that differ in nothing but when, by which versions, on which devices and from which file they
        were made.
        """
        content: dict[str, object] = msgspec.to_builtins(self)
        lasting = {key: value for key, value in content.items() if key not in VOLATILE}
        return hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()

    @property
    def search_folders(self) -> tuple[Path, ...]:
        """The folders in which the user's functions are looked for, as paths."""
        return tuple(map(Path, self.search_path))

    def cut(self, decision: DecisionRecord | None) -> StudyPlan:
        """Return the plan with the replicas that count, and the runs that these need."""
        if decision is None:
            return self
        arms = cut_arms(self.arms, decision)
        needed = {run for arm in arms for run in arm.runs}
        needed.update(() if self.selftest is None else self.selftest.runs)
        dropped = {run for arm in self.arms for run in arm.runs} - needed
        return msgspec.structs.replace(
            self,
            arms=arms,
            order=tuple(run for run in self.order if run not in dropped),
            epochs={run: epochs for run, epochs in self.epochs.items() if run not in dropped},
            forks={run: fork for run, fork in self.forks.items() if run not in dropped},
            reuses={run: twin for run, twin in self.reuses.items() if dropped.isdisjoint((run, twin))},
            packs={run: key for run, key in self.packs.items() if run not in dropped},
        )


def read_plan(paths: StudyPaths) -> StudyPlan:
    """Read a study's plan as it holds now: where its comparison is decided, with the replicas that count alone.

    Raises:
        StoreForbiddenError: If the file system does not let the plan be read now.
        StudyError: If the folder is no study or its plan is damaged or of another version.
    """
    whole = read_whole_plan(paths)
    return whole.cut(read_decision(paths, whole.arms, whole.compare))


def read_whole_plan(paths: StudyPaths) -> StudyPlan:
    """Read a study's plan as it was written, with the most replicas that there may be.

    Raises:
        StoreForbiddenError: If the file system does not let the plan be read now.
        StudyError: If the folder is no study or its plan is damaged or of another version.
    """
    found = read_record(paths.plan, StudyPlan)
    if isinstance(found, StudyPlan):
        return found
    again = "run the protocol again to write it anew"
    if isinstance(found, Damage) and found.withheld:
        raise StoreForbiddenError(f"{found}: check the folder's owner and mount")
    if isinstance(found, Damage):
        remedy = "" if found.later else f": {again}"
        raise StudyError(f"{paths.folder}: cannot be read as a study: {found}{remedy}")
    remedy = again if is_there(paths.folder) else "`nondet-tui ls` lists the studies"
    raise StudyError(f"{paths.plan}: does not exist, so {paths.folder} cannot be read as a study: {remedy}")


def refuse_unwritten(paths: StudyPaths) -> None:
    """Refuse a folder that is about to become a study: its runs are written before its plan.

    Raises:
        StudyError: That says what to do.
    """
    if is_there(paths.start_lock):
        raise StudyError(
            f"{show_path(paths.folder)}: has no plan yet: a command is writing this study, or was ended while it did: "
            "try again in a moment, or give that command again"
        )


def find_study(name: str, *, store: str | None) -> StudyPaths:
    """Find the study of a name in the store, or the study folder at a path.

    Raises:
        StudyError: If there is none; names the studies that there are nearby.
    """
    root = find_store(store)
    given = StudyPaths(enter_path(name or "."))  # before any look at the disk: it refuses names that are too long
    candidates = [StudyPaths(root / name)] if name and "/" not in name and name not in (".", "..") else []
    candidates.append(given)
    for paths in candidates:
        obstacle = find_obstacle(paths.plan)
        if obstacle is not None:
            raise StudyError(
                f"{paths.folder}: cannot be looked into as a study ({obstacle}): check its owner and mount"
            )
        if is_there(paths.plan):
            return StudyPaths(paths.folder.resolve())
        refuse_unwritten(paths)
    if name.endswith(".toml") and given.folder.is_file():
        raise StudyError(
            f"{show_path(name)}: is a protocol file: name its study, which is what protocol.name says; "
            "`nondet-tui ls` lists the studies"
        )
    raise StudyError(
        f"'{show_path(name)}': no study of this name in {show_path(root)} and no study folder at this path: "
        f"`nondet-tui ls --store DIR` lists a store's studies"
    )
