"""A study's plan.json: what was planned, as one frozen record."""

from __future__ import annotations

import hashlib
import json

import msgspec

from engine.catalog import presets
from engine.errors import StudyError
from engine.plan.plan import Plan
from engine.protocol.sections import Metrics
from engine.study.choices import Chosen
from engine.study.paths import StudyPaths, enter_path, find_store
from engine.study.records import Damage, Record, read_record

VOLATILE = ("created", "provenance", "protocol", "dispatch")
"""Fields of a plan that say nothing about what is trained and measured."""

PACK_KEY_LENGTH = 16
"""Hexadecimal digits that tell a study's packs apart."""


class StudyArm(msgspec.Struct, frozen=True, kw_only=True):
    """One arm of a study and the runs of its replicas; see `engine.plan.plan.PlannedArm`."""

    name: str
    vary: tuple[str, ...]
    runs: tuple[str, ...]
    empty: dict[str, str]
    group: int
    """Members of each ensemble; 1 where replicas are single runs."""
    onset: int | None
    crossed: tuple[tuple[str, int], ...]


class ProtocolOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """The protocol that a study was planned from."""

    file: str
    """Path as the user gave it."""
    overrides: tuple[str, ...]
    """The KEY=VALUE texts that were applied on top of it."""


class DispatchSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The settings that say where and how a study's runs are trained, and what was measured for those that are auto."""

    executor: str
    """Name of what starts the workers."""
    devices: tuple[str, ...] | str
    slots_per_device: int | str
    keep_weights: bool
    checkpoint_s: float
    graphs: bool
    """Whether a pack's step is recorded and replayed on CUDA."""
    chosen: Chosen
    stall_s: float | None = None
    """Seconds for which a training may stand still before it is ended; 0 for no end, None for what its pace says."""

    def fill_in(self) -> DispatchSettings:
        """Return the settings with what was chosen in the place of what the protocol leaves to a measurement."""
        return msgspec.structs.replace(self, slots_per_device=self.chosen.slots_per_device or self.slots_per_device)


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


class StudyPlan(Record, frozen=True, kw_only=True, tag=1):
    """plan.json: every run of a study, and the settings and provenance that no recipe holds."""

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
    metrics: Metrics
    reference: str | None
    """Published table whose rows are shown beside the arms."""
    provenance: Provenance
    arms: tuple[StudyArm, ...]
    order: tuple[str, ...]
    """Every run id once, in training order."""
    epochs: dict[str, int]
    """Run id → epochs that its training takes."""
    forks: dict[str, tuple[str, int]]
    """Run id → the id of its common beginning and its onset, for runs that have one."""
    reuses: dict[str, str]
    """Run id → the run whose weights it evaluates otherwise, for runs that have such a twin in this plan."""
    packs: dict[str, str]
    """Run id → a key that runs share which may be trained at once; runs that are trained alone are not in it."""

    @property
    def work(self) -> str:
        """Digest of what is trained and measured.

        Equal for plans that differ in nothing but when, by which versions, on which devices and from which file they
        were made.
        """
        content: dict[str, object] = msgspec.to_builtins(self)
        lasting = {key: value for key, value in content.items() if key not in VOLATILE}
        return hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()


def make_study_plan(
    plan: Plan,
    *,
    created: str,
    protocol: ProtocolOrigin,
    data_root: str,
    search_path: tuple[str, ...],
    dispatch: DispatchSettings,
    metrics: Metrics,
    reference: str | None,
    provenance: Provenance,
) -> StudyPlan:
    """Return what plan.json holds of a plan, with the settings and provenance that no recipe holds."""
    recipes = plan.recipes
    return StudyPlan(
        study=plan.study,
        device=plan.device,
        text=any(recipe.data.preset in presets.LANGUAGE for recipe in recipes.values()),
        own_process=any(recipe.runs_user_code for recipe in recipes.values()),
        created=created,
        protocol=protocol,
        data_root=data_root,
        search_path=search_path,
        dispatch=dispatch,
        metrics=metrics,
        reference=reference,
        provenance=provenance,
        arms=tuple(
            StudyArm(
                name=arm.name,
                vary=arm.vary,
                runs=arm.runs,
                empty=arm.empty,
                group=arm.group,
                onset=arm.onset,
                crossed=arm.crossed,
            )
            for arm in plan.arms
        ),
        order=tuple(recipes),
        epochs={run: recipe.train.epochs for run, recipe in recipes.items()},
        forks={run: (r.prefix.id, r.onset.epoch) for run, r in recipes.items() if r.onset is not None},
        reuses={run: r.trained.id for run, r in recipes.items() if r.trained.id in recipes and r.trained != r},
        packs={run: key[:PACK_KEY_LENGTH] for run, r in recipes.items() if (key := r.companions) is not None},
    )


def read_plan(paths: StudyPaths) -> StudyPlan:
    """Read a study's plan.

    Raises:
        StudyError: If the folder is no study or its plan is damaged or of another version.
    """
    found = read_record(paths.plan, StudyPlan)
    if isinstance(found, StudyPlan):
        return found
    again = "run the protocol again to write it anew"
    if isinstance(found, Damage):
        remedy = "" if found.later else f": {again}"
        raise StudyError(f"{paths.folder}: cannot be read as a study: {found}{remedy}")
    remedy = again if paths.folder.is_dir() else "`nondet-tui ls` lists the studies"
    raise StudyError(f"{paths.plan}: does not exist, so {paths.folder} cannot be read as a study: {remedy}")


def find_study(name: str, *, store: str | None) -> StudyPaths:
    """Find the study of a name in the store, or the study folder at a path.

    Raises:
        StudyError: If there is none; names the studies that there are nearby.
    """
    root = find_store(store)
    candidates = [StudyPaths(root / name)] if name and "/" not in name and name not in (".", "..") else []
    candidates.append(StudyPaths(enter_path(name or ".")))
    for paths in candidates:
        if paths.plan.exists():
            return StudyPaths(paths.folder.resolve())
    raise StudyError(
        f"{name!r}: no study of this name in {root} and no study folder at this path: "
        f"`nondet-tui ls --store DIR` lists a store's studies"
    )
