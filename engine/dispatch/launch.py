"""Writes a protocol's study folder, or brings one that is there up to the protocol."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from engine.catalog import presets
from engine.dispatch.executors.registry import open_executor
from engine.errors import StudyError
from engine.plan.command_files import digest_command, find_command_folder, find_python
from engine.plan.corpora import digest_corpus
from engine.plan.plan import Digest, Plan, make_plan
from engine.plan.records import Packings
from engine.plan.source_files import digest_source
from engine.protocol.definition import Protocol
from engine.protocol.dispatch_section import Slurm
from engine.protocol.load import MAX_FILE_BYTES, find_protocol_folder
from engine.recipe import DataRecipe, ModelRecipe
from engine.study.choices import NOTHING, Chosen
from engine.study.decision_record import CompareSettings, cut_arms, read_decision
from engine.study.files import explain_write_errors, make_folder, write_bytes
from engine.study.opening import is_regular, open_regular, read_exactly
from engine.study.paths import StudyPaths, find_store
from engine.study.records import Damage, read_record, write_record
from engine.study.run_records import write_spec
from engine.study.run_state import read_result
from engine.study.study_plan import (
    CommandSettings,
    DispatchSettings,
    GpuRecord,
    MeasuringSettings,
    ProtocolOrigin,
    Provenance,
    SlurmSettings,
    StudyPlan,
)
from engine.study.supervisor_record import is_supervised

PACKAGES = ("nondet-tui", "torch", "torchvision", "numpy", "scipy")

PACK_KEY_LENGTH = 16
"""Hexadecimal digits that tell a study's packs apart."""


def plan_protocol(protocol: Protocol, packings: Packings = MappingProxyType({})) -> Plan:
    """Return the plan of a protocol on the devices of its executor; see `make_plan`.

    Raises:
        NondetError: Where a device is missing or the arms do not fit it.
    """
    device = open_executor(protocol.dispatch).device
    files = None if protocol.command is None else digest_command(protocol.command, protocol.file)
    return make_plan(protocol, device=device, digest=make_digest(protocol), packings=packings, files_sha256=files)


def make_digest(protocol: Protocol) -> Digest:
    """Make the function that digests the user's targets and corpora, each read once."""
    path, root = search_path(protocol), data_root(protocol)

    @cache
    def digest(part: DataRecipe | ModelRecipe) -> str | None:
        if part.preset in presets.LANGUAGE:
            return digest_corpus(part.preset, root)
        return digest_source(part.target, search_path=path)

    return digest


def search_path(protocol: Protocol) -> tuple[Path, ...]:
    """Return where the user's targets are looked for beside installed packages: the protocol file's folder."""
    return (find_protocol_folder(protocol.file),)


def data_root(protocol: Protocol) -> Path:
    """Return the folder of the data files; a relative one is seen from the protocol file."""
    return (search_path(protocol)[0] / Path(protocol.data_root).expanduser()).resolve()


def find_folder(protocol: Protocol, *, store: str | None) -> StudyPaths:
    """Return the folder of a protocol's study."""
    return StudyPaths(find_store(store) / protocol.name)


def prepare_study(protocol: Protocol, plan: Plan, *, store: str | None, chosen: Chosen = NOTHING) -> StudyPaths:
    """Write a study's folder, or bring an existing one up to this protocol; finished runs stay as they are.

    Args:
        protocol: What is trained.
        plan: Its runs.
        store: The folder of all studies.
        chosen: What was measured, to be kept for the next time.

    Raises:
        StudyError: If the store cannot be written, the study runs at this moment with another plan, or a later version
            of the program has planned it.
    """
    paths = find_folder(protocol, store=store)
    wanted = _plan_study(protocol, plan, chosen)
    known = read_record(paths.plan, StudyPlan)
    if isinstance(known, Damage) and known.later:
        raise StudyError(f"{known}, or choose another --store")
    if isinstance(known, StudyPlan) and known.origin is not None:
        raise StudyError(f"{paths.folder}: was imported, so nothing is trained in it: choose another protocol.name")
    running = is_supervised(paths)
    if isinstance(known, StudyPlan) and _is_same(known, wanted, choices=not running):
        _write_missing_specs(paths, plan)
        return paths
    if running:
        raise StudyError(
            f"{paths.folder}: is being trained with another plan right now: wait for it, or stop it with "
            f"`nondet-tui cancel {paths.name}`"
        )
    for folder in (paths.folder, paths.runs, paths.control):
        make_folder(folder)
    _keep_earlier_protocol(paths, protocol.text)
    _write_missing_specs(paths, plan)
    write_bytes(paths.protocol, protocol.text.encode())
    write_record(paths.plan, wanted)
    return paths


def _is_same(known: StudyPlan, wanted: StudyPlan, *, choices: bool) -> bool:
    """Tell whether two plans differ in nothing but when and by what versions they were made.

    Args:
        known: The plan that is there.
        wanted: The plan that is asked for.
        choices: Whether what was measured for them, such as slots, has to be the same too.
    """
    chosen = wanted.dispatch.chosen if choices else known.dispatch.chosen
    dispatch = msgspec.structs.replace(wanted.dispatch, chosen=chosen)
    return known.work == wanted.work and known.dispatch == dispatch


def _keep_earlier_protocol(paths: StudyPaths, text: str) -> None:
    """Move a different earlier protocol aside: its runs are still there, and so is what they were for."""
    try:
        with open_regular(paths.protocol) as (descriptor, status):
            earlier = read_exactly(descriptor, MAX_FILE_BYTES + 1)
    except OSError:
        return
    if earlier != text.encode():
        make_folder(paths.history)
        stamp = datetime.fromtimestamp(status.st_mtime, UTC).strftime("%Y%m%dT%H%M%SZ")
        with explain_write_errors(paths.history):
            paths.protocol.replace(paths.history / f"protocol-{stamp}.toml")


def _write_missing_specs(paths: StudyPaths, plan: Plan) -> None:
    for run_id, recipe in plan.recipes.items():
        run = paths.run(run_id)
        if not is_regular(run.spec):
            make_folder(run.attempts)
            write_spec(run, recipe)


def _plan_study(protocol: Protocol, plan: Plan, chosen: Chosen) -> StudyPlan:
    dispatch = protocol.dispatch
    return make_study_plan(
        plan,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        protocol=ProtocolOrigin(file=protocol.file, overrides=protocol.overrides),
        data_root=str(data_root(protocol)),
        search_path=tuple(str(folder) for folder in search_path(protocol)),
        trusted=protocol.trusted,
        dispatch=DispatchSettings(
            executor=dispatch.executor,
            devices=dispatch.devices,
            slots_per_device=dispatch.slots_per_device,
            keep_weights=dispatch.keep_weights,
            checkpoint_s=dispatch.checkpoint_s,
            graphs=dispatch.graphs,
            chosen=chosen,
            stall_s=dispatch.allowed_stall_s,
            workers=dispatch.workers,
            slurm=_ask_slurm(dispatch.slurm),
            side_by_side=dispatch.side_by_side,
            require_same_device=dispatch.require_same_device,
        ),
        metrics=MeasuringSettings(
            cka=protocol.metrics.cka,
            cka_examples=protocol.metrics.cka_examples,
            bootstrap=protocol.metrics.bootstrap,
            sketches=protocol.metrics.sketches,
        ),
        reference=protocol.reference,
        provenance=_find_provenance(protocol),
        command=_settle_command(protocol),
        compare=settle_comparison(protocol),
    )


def settle_comparison(protocol: Protocol) -> CompareSettings | None:
    """Return what plan.json says of the two arms that are compared; None where the protocol names none."""
    return None if protocol.compare is None else CompareSettings(**vars(protocol.compare))


def _settle_command(protocol: Protocol) -> CommandSettings | None:
    """Return what plan.json says of a user's own program, with the folder and the interpreter as they are here."""
    command = protocol.command
    if command is None:
        return None
    folder = find_command_folder(command, protocol.file)
    return CommandSettings(
        folder=str(folder),
        python=find_python(command, protocol.file),
        epochs=command.epochs,
        timeout_s=float(command.timeout_s),
        resume=tuple(command.resume),
        kind=command.kind,
        titles=protocol.sources,
        git_commit=_git_commit(folder),
    )


def _ask_slurm(slurm: Slurm) -> SlurmSettings:
    values: dict[str, Any] = vars(slurm) | {"setup": tuple(slurm.setup), "extra": tuple(slurm.extra)}
    return SlurmSettings(**values)


def make_study_plan(
    plan: Plan,
    *,
    created: str,
    protocol: ProtocolOrigin,
    data_root: str,
    search_path: tuple[str, ...],
    trusted: tuple[str, ...] = (),
    dispatch: DispatchSettings,
    metrics: MeasuringSettings,
    reference: str | None,
    provenance: Provenance,
    command: CommandSettings | None = None,
    compare: CompareSettings | None = None,
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
        trusted=trusted,
        dispatch=dispatch,
        metrics=metrics,
        reference=reference,
        provenance=provenance,
        arms=plan.arms,
        order=tuple(recipes),
        epochs={run: recipe.train.epochs if command is None else command.epochs for run, recipe in recipes.items()},
        forks={run: (r.prefix.id, r.onset.epoch) for run, r in recipes.items() if r.onset is not None},
        reuses={run: r.trained.id for run, r in recipes.items() if r.trained.id in recipes and r.trained != r},
        packs={run: key[:PACK_KEY_LENGTH] for run, r in recipes.items() if (key := r.companions) is not None},
        command=command,
        compare=compare,
        selftest=plan.selftest,
        kind="logits" if command is None else command.kind,
    )


def _find_provenance(protocol: Protocol) -> Provenance:
    gpus = open_executor(protocol.dispatch).gpus
    return Provenance(
        versions={name: metadata.version(name) for name in PACKAGES} | {"python": platform.python_version()},
        git_commit=_git_commit(Path(__file__).parent),
        machine=platform.machine(),
        host=platform.node(),
        gpus=tuple(GpuRecord(index=gpu.index, uuid=gpu.uuid, name=gpu.name) for gpu in gpus),
    )


def _git_commit(folder: Path) -> str | None:
    """Return the commit of the code, with "+changes" where files differ from it; None outside a checkout."""
    # `git describe --dirty` locks the repository, and leaves that behind where it is killed.
    status = ["git", "--no-optional-locks", "-C", str(folder), "status", "--porcelain=v2", "--branch", "-uno"]
    try:
        done = subprocess.run(status, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.splitlines()
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid ")), "(initial)")
    changed = any(not line.startswith("#") for line in lines)
    return None if commit == "(initial)" else commit + "+changes" * changed


def done_runs(paths: StudyPaths, plan: Plan) -> set[str]:
    """Return the plan's runs that the study folder already holds the complete results of."""
    return {run_id for run_id in plan.recipes if read_result(paths.run(run_id)) is not None}


def cut_plan(paths: StudyPaths, plan: Plan, settings: CompareSettings | None) -> Plan:
    """Return a protocol's plan; where the study's comparison is decided, with the arms and runs that count alone."""
    arms = cut_arms(plan.arms, read_decision(paths, plan.arms, settings))
    dropped = {run for arm in plan.arms for run in arm.runs} - {run for arm in arms for run in arm.runs}
    recipes = {run: recipe for run, recipe in plan.recipes.items() if run not in dropped}
    return replace(plan, arms=arms, recipes=recipes)
