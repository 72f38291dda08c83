"""A study's plan.json: what was planned, read back as frozen values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from engine.catalog import presets
from engine.errors import StudyError
from engine.plan.plan import Plan
from engine.study.choices import Chosen
from engine.study.files import read_json
from engine.study.paths import StudyPaths, enter_path, find_store

FORMAT = 1

VOLATILE = {"created", "provenance", "protocol", "dispatch"}
"""Keys of plan.json that say nothing about what is trained and measured."""


@dataclass(frozen=True, kw_only=True)
class StudyArm:
    """One arm of a study and the runs of its replicas."""

    name: str
    vary: tuple[str, ...]
    runs: tuple[str, ...]
    empty: dict[str, str]
    group: int = 1
    """Members of each ensemble; 1 where replicas are single runs."""


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """What plan.json says."""

    study: str
    device: str
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
    data_root: str
    search_path: tuple[str, ...]
    executor: str
    """Name of what starts the workers."""
    devices: tuple[str, ...] | str
    slots_per_device: int | str
    """What was chosen, where the protocol leaves that to a measurement."""
    keep_weights: bool
    checkpoint_s: float
    own_process: bool
    """Whether each run or pack is trained in a process of its own: a user's code may keep state between runs."""
    graphs: bool
    """Whether a pack's step is recorded and replayed on CUDA."""
    provenance: dict[str, Any]
    text: bool = False
    """Whether the runs are language models."""
    cka: bool = False
    cka_examples: int = 2048
    reference: str | None = None
    """Published table whose rows are shown beside the arms."""
    work: str = ""
    """Digest of everything that is trained and measured; see `digest_work`."""


def plan_content(plan: Plan, extras: dict[str, Any]) -> dict[str, Any]:
    """The content of plan.json.

    Args:
        plan: The runs.
        extras: The settings and provenance that no recipe holds: created, protocol, data_root, search_path,
            dispatch, metrics, provenance.
    """
    arms = [
        {
            "name": arm.name,
            "vary": list(arm.vary),
            "runs": list(arm.runs),
            "empty": arm.empty,
            "group": arm.group,
            "onset": arm.onset,
            "crossed": [list(pair) for pair in arm.crossed],
        }
        for arm in plan.arms
    ]
    reuses = {run: r.trained.id for run, r in plan.recipes.items() if r.trained.id in plan.recipes and r.trained != r}
    forks = {run: [r.prefix.id, r.onset.epoch] for run, r in plan.recipes.items() if r.onset is not None}
    packs = {run: key[:16] for run, recipe in plan.recipes.items() if (key := recipe.companions) is not None}
    epochs = {run: recipe.train.epochs for run, recipe in plan.recipes.items()}
    text = any(recipe.data.preset in presets.LANGUAGE for recipe in plan.recipes.values())
    own_process = any(recipe.runs_user_code for recipe in plan.recipes.values())
    head = {"v": FORMAT, "study": plan.study, "device": plan.device, "text": text, "own_process": own_process}
    runs = {"order": list(plan.recipes), "epochs": epochs, "forks": forks, "reuses": reuses, "packs": packs}
    return head | extras | {"arms": arms} | runs


def digest_work(content: dict[str, Any]) -> str:
    """Digest what a plan.json has trained and measured.

    Equal for plans that differ in nothing but when, by which versions, on which devices and from which file they were
    made.
    """
    lasting = {key: value for key, value in content.items() if key not in VOLATILE}
    return hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()


def read_plan(paths: StudyPaths) -> StudyPlan:
    """Read a study's plan.

    Raises:
        StudyError: If the folder is no study or its plan is damaged or of another version.
    """
    content = read_json(paths.plan)
    if content is None:
        found = "is empty or damaged" if paths.plan.exists() else "does not exist"
        remedy = (
            "run the protocol again to write it anew" if paths.folder.is_dir() else "`nondet-tui ls` lists the studies"
        )
        raise StudyError(f"{paths.plan}: {found}, so {paths.folder} cannot be read as a study: {remedy}")
    if content.get("v") != FORMAT:
        raise StudyError(f"{paths.plan}: format {content.get('v')!r}, this version of nondet-tui reads {FORMAT}")
    try:
        return _parse(content)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        remedy = "run the protocol again to write it anew"
        raise StudyError(f"{paths.plan}: damaged at {error}: {remedy}") from error


def _parse(content: dict[str, Any]) -> StudyPlan:
    dispatch = content["dispatch"]
    chosen = Chosen.from_dict(dispatch.get("chosen", {}))
    devices = dispatch["devices"]
    return StudyPlan(
        study=content["study"],
        device=content["device"],
        arms=tuple(
            StudyArm(
                name=arm["name"],
                vary=tuple(arm["vary"]),
                runs=tuple(arm["runs"]),
                empty=dict(arm["empty"]),
                group=arm.get("group", 1),
            )
            for arm in content["arms"]
        ),
        order=tuple(content["order"]),
        epochs=dict(content["epochs"]),
        forks={run: (prefix, epoch) for run, (prefix, epoch) in content.get("forks", {}).items()},
        reuses=dict(content.get("reuses", {})),
        packs=dict(content.get("packs", {})),
        data_root=content["data_root"],
        search_path=tuple(content["search_path"]),
        executor=dispatch.get("executor", "local"),
        devices=tuple(devices) if isinstance(devices, list) else devices,
        slots_per_device=chosen.slots_per_device or dispatch["slots_per_device"],
        own_process=content.get("own_process", False),
        graphs=dispatch.get("graphs", True),
        keep_weights=dispatch["keep_weights"],
        checkpoint_s=dispatch["checkpoint_s"],
        provenance=content["provenance"],
        text=content.get("text", False),
        cka=content["metrics"].get("cka", False),
        cka_examples=content["metrics"].get("cka_examples", 2048),
        reference=content.get("reference"),
        work=digest_work(content),
    )


def find_study(name: str, *, store: str | None) -> StudyPaths:
    """The study of a name in the store, or the study folder at a path.

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
