"""Decides which runs of a protocol are trained in packs, and in which packs.

For some networks that is known at once. For a user's own network, and for `pack = "auto"`, it is found out by trying;
the caller hands in what was found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace

from engine.catalog import presets
from engine.catalog.sources import SOURCES
from engine.plan.records import Packing, Packings
from engine.protocol.definition import Arm, Protocol
from engine.recipe import NO_SEEDS, Compiled, PackRecipe, Recipe


def shows_rounding(vary: Collection[str]) -> bool:
    """Tell whether an arm shows rounding alone, so that a run's slot in a pack must not change its bits.

    That holds for controls, for arms that vary a bit, and for arms that vary low-level operations alone.
    """
    return "bit" in vary or set(vary) <= {"lowlevel"}


@dataclass(frozen=True, kw_only=True)
class Stacking:
    """The way in which an arm's runs are trained: in packs, or one by one."""

    pack_key: str | None
    """Equal for runs that may share a pack; None where a setting rules packs out."""
    shared_batch: bool = False
    """Whether they see the same batches."""
    pack: PackRecipe | None = None
    alone: str | None = None
    """Why they are trained one by one although packs are asked for; None where they are not."""


NOT_STACKED = Stacking(pack_key=None)


def stack_arm(protocol: Protocol, arm: Arm, recipe: Recipe, varying: set[str], packings: Packings) -> Stacking:
    """Decide how an arm's runs are trained.

    The answer is the same for all of its replicas: an arm never mixes runs whose kernels round differently.

    Args:
        protocol: The protocol with its settings of packs.
        arm: Not an ensemble.
        recipe: The recipe of one of its replicas, without a pack.
        varying: Its sources that are not empty.
        packings: What was found out.
    """
    dispatch = protocol.dispatch
    if dispatch.pack == 1:
        return NOT_STACKED
    obstacle = _find_obstacle(arm, recipe, varying)
    if obstacle is not None:
        return Stacking(pack_key=None, alone=obstacle)
    shared = not any(SOURCES[source].own_batches for source in varying)
    pack_key = _make_pack_key(recipe, shared_batch=shared)
    found = packings.get(pack_key)
    if found is None and dispatch.pack == "auto":
        return Stacking(pack_key=pack_key, shared_batch=shared)
    if found is None:
        found = Packing(size=int(dispatch.pack), channels_last=dispatch.memory_format == "channels-last")
    if found.size == 1:
        return Stacking(pack_key=pack_key, shared_batch=shared, alone=found.reason)
    pack = PackRecipe(
        size=found.size, shared_batch=shared, channels_last=found.channels_last, compiled=dispatch.compile
    )
    return Stacking(pack_key=pack_key, shared_batch=shared, pack=pack)


def choose_compiled(protocol: Protocol, recipe: Recipe, pack: PackRecipe | None) -> Compiled | None:
    """Choose what is compiled of runs that are trained alone; None where nothing is.

    Segments of a text have many lengths, and each would be compiled by itself.
    """
    if not protocol.dispatch.compile or pack is not None or recipe.train.bptt is not None:
        return None
    return "step" if _is_one_program(recipe) else True


def _is_one_program(recipe: Recipe) -> bool:
    """Tell whether whole steps can be compiled: those of fully connected presets on a CPU, with plain SGD in fp32."""
    train = recipe.train
    plain = train.optimizer == "sgd" and not train.clip_grad_norm and not train.weight_noise
    plain = plain and train.averaging != "aswa"  # which looks at the weights after each step
    known = recipe.model.preset in presets.MODELS and presets.MODELS[recipe.model.preset].flat
    return recipe.device == "cpu" and known and plain and train.precision != "bf16"


def _find_obstacle(arm: Arm, recipe: Recipe, varying: set[str]) -> str | None:
    """Return the first reason that rules packs out without a trial; None where there is no such reason."""
    text = recipe.data.preset in presets.LANGUAGE
    obstacles = {
        "free kernels need a process of their own for each run": recipe.lowlevel == "kernels",
        "a late onset goes on from a beginning that was trained alone": arm.onset > 0 or arm.listed_onset is not None,
        "averaged weights are not available in packs": recipe.train.averaging is not None,
        "noise on the weights is not available in packs": recipe.train.weight_noise is not None,
        "test-time views look at the weights of a run that was trained alone": recipe.evaluate is not None,
        "text is cut into segments by stochastic, and a pack reads the same ones": text and "stochastic" in varying,
    }
    return next((reason for reason, holds in obstacles.items() if holds), None)


def _make_pack_key(recipe: Recipe, *, shared_batch: bool) -> str:
    """Return a key that is equal for runs that are alike in everything but seeds and bits."""
    alike = replace(recipe, seeds=NO_SEEDS, bit=None, repeat=None, pack=None)
    return hashlib.sha256(f"{alike.canonical_json()} {shared_batch}".encode()).hexdigest()[:16]
