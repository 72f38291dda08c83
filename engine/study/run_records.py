"""The records of one run's folder: what it is, who tries it, how a try ended, and its result."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

import msgspec

from engine.errors import NondetError, StoreForbiddenError, StudyError
from engine.plan.records import PlannedArm
from engine.recipe import RECIPE_VERSION, Recipe
from engine.study.opening import is_there
from engine.study.paths import AttemptPaths, RunPaths, StudyPaths
from engine.study.processes import Owner
from engine.study.records import Damage, Record, find_record, read_record, write_record

SHOWN_DIGITS = 12
"""The digits of a digest that messages show."""

MAX_REASON = 10_000
"""The characters of a reason that are kept: an exception may carry a text of any length."""

Outcome = Literal["failed", "cancelled"]
Cause = Literal["fault", "infrastructure", "request", "memory"]
"""fault where trying again would end the same way, memory where a smaller pack would not, infrastructure where trying
again may end otherwise, request where somebody asked for the end."""


class SpecRecord(Record, frozen=True, kw_only=True, tag=1):
    """spec.json: everything that determines the run's result."""

    run: str
    """The run's id, which is the recipe's."""
    recipe_version: int
    """The version of the training code that the recipe is for; see `engine.recipe.RECIPE_VERSION`."""
    recipe: Recipe


class Versions(msgspec.Struct, frozen=True, kw_only=True):
    """Versions of what a run is trained with; None where it plays no part."""

    python: str
    torch: str | None
    numpy: str | None
    cuda: str | None = None
    cudnn: int | None = None


class AttemptRecord(Record, frozen=True, kw_only=True, tag=1):
    """attempt.json: who trains the run, where and with what; everything that may be the reason of a difference."""

    owner: Owner
    session: str
    """The session of the supervisor that the attempt belongs to; retries are counted by it."""
    slot: str
    started: str
    """Time with zone, ISO 8601."""
    device: str
    versions: Versions
    cpu_capability: str
    environment: dict[str, str | None]
    """The variables that change how numbers are computed; None where one is not set."""
    job: str | None = None
    """The job of a scheduler that it is part of, and how often that was started again: "123.0"; None for none."""
    packages: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it, and leaves it out of the file
    """Packages of the environment of a user's own program, with versions."""

    @property
    def model(self) -> str | None:
        """The model of GPU or processor; None where an earlier version wrote which GPUs a program saw instead."""
        return None if re.fullmatch(r"[\d,]*|(GPU|MIG)-.*", self.device) else self.device


class ExitRecord(Record, frozen=True, kw_only=True, tag=1):
    """exit.json: why an attempt ended without a result."""

    outcome: Outcome
    cause: Cause
    reason: str
    """One line for people."""
    signal: str | None = None
    """The name of the signal that ended the process; None where none did."""
    status: int | None = None
    """The status with which the process left in the middle; None where it did not."""


class LostRecord(Record, frozen=True, kw_only=True, tag=1):
    """lost.json: an attempt whose process cannot be asked was declared lost.

    The study's supervisor alone writes it; everybody else believes it. Whoever makes the attempt, should that process
    live on after all, writes nothing of the run any more.
    """

    reason: str
    """One line for people."""


class DeviceRecord(Record, frozen=True, kw_only=True, tag=1):
    """device.json: the model of GPU or processor that a run and those tied to it are trained on; see `one_model`."""

    device: str


class BitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The one weight that was moved before the training started, exactly."""

    parameter: str
    index: int
    """In the flattened parameter."""
    old: float
    new: float
    old_bits: str
    """IEEE 754 binary32, hexadecimal."""
    new_bits: str
    ulps: int
    """Positive where the weight grew."""
    change: float
    """|new − old|."""


class Resumption(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Says from whose checkpoint a user's own program went on, or why it did not."""

    attempt: int
    """The attempt that left the checkpoint; a run that was cut on purpose names its own."""
    fault: str = ""
    """Why it was trained from its beginning after all; empty where it went on."""


class ResultRecord(Record, frozen=True, kw_only=True, tag=1):
    """result.json: written last, it alone means that the run is done."""

    run: str
    attempt: int
    """Which attempt wrote it."""
    epochs: int
    """Epochs that were trained: fewer than planned where the run diverged."""
    test_accuracy: float | None
    """Percent; None of a user's own program that leaves no predictions."""
    test_cross_entropy: float | None
    """Nats; None where it is not finite, and where only classes are known."""
    test_perplexity: float | None = None
    """The perplexity of a language model; None for images, and where it is not finite."""
    diverged: bool
    diverged_epoch: int | None
    """The epoch whose loss or predictions were not finite."""
    bit: BitRecord | None
    weights_sha256: str | None
    """None of a user's own program, whose weights are its own."""
    predictions_sha256: str
    labels_sha256: str
    seconds: float
    finished: str
    """Time with zone, ISO 8601."""
    scores: dict[str, float] = {}  # noqa: RUF012 - msgspec copies it, and leaves it out of the file
    """Numbers that a user's own program leaves, by name; those that are not finite are left out."""
    resumption: Resumption | None = None
    """None where a user's own program was trained from its beginning, and nothing else was tried."""


class DamageRecord(Record, frozen=True, kw_only=True, tag=1):
    """damage.json: files of a finished run that are not what was written, found by comparing digests.

    Nothing is edited in place: the note names the attempt whose files it is about, so that it says nothing of the
    result of a later one. Whoever reads a file of a run may write the note; a store that cannot be written has none.
    """

    attempt: int
    reason: str


def tell_time() -> str:
    """Return this moment as records have it: time with zone, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def read_recipe(run: RunPaths, run_id: str) -> Recipe:
    """Read the recipe of a run; its id proves that it is the one that was planned.

    Raises:
        StudyError: If spec.json is missing, damaged or of another run.
    """
    spec = read_record(run.spec, SpecRecord)
    remedy = "run the protocol again to write it anew"
    if spec is None:
        raise StudyError(f"{run.spec}: is missing: {remedy}")
    if isinstance(spec, Damage) and spec.withheld:
        raise StoreForbiddenError(f"{spec}: check the folder's owner and mount")
    if isinstance(spec, Damage):
        raise StudyError(f"{spec}: {remedy}")
    if spec.recipe_version != RECIPE_VERSION:
        raise StudyError(
            f"{run.spec}: has recipe version {spec.recipe_version}, and this version of nondet-tui trains "
            f"{RECIPE_VERSION}: {remedy}"
        )
    if spec.recipe.id != run_id:
        raise StudyError(f"{run.spec}: holds the recipe of run {spec.recipe.id}, not of {run_id}: {remedy}")
    return spec.recipe


def read_arm_recipes(paths: StudyPaths, arms: Iterable[PlannedArm]) -> dict[str, Recipe]:
    """Return the recipe of each arm's first run by the arm's name, as far as it can be read."""
    recipes: dict[str, Recipe] = {}
    for arm in arms:
        with contextlib.suppress(NondetError):
            recipes[arm.name] = read_recipe(paths.run(arm.runs[0]), arm.runs[0])
    return recipes


def write_spec(run: RunPaths, recipe: Recipe) -> None:
    """Write the recipe of a run: see `SpecRecord`."""
    write_record(run.spec, SpecRecord(run=recipe.id, recipe_version=RECIPE_VERSION, recipe=recipe))


def write_exit(
    attempt: AttemptPaths,
    outcome: Outcome,
    cause: Cause,
    reason: str,
    *,
    ended_by: str | None = None,
    status: int | None = None,
) -> None:
    """Write why an attempt ended without a result: see `ExitRecord`; of a very long reason, its beginning."""
    shown = reason if len(reason) <= MAX_REASON else f"{reason[:MAX_REASON]} ..."
    record = ExitRecord(outcome=outcome, cause=cause, reason=shown, signal=ended_by, status=status)
    write_record(attempt.exit, record)


def declare_lost(attempt: AttemptPaths, reason: str) -> None:
    """Write that an attempt is lost: see `LostRecord`."""
    write_record(attempt.lost, LostRecord(reason=reason))


def is_fenced(attempt: AttemptPaths) -> bool:
    """Tell whether an attempt may write nothing of its run: it was declared lost, or a later one has begun."""
    later = attempt.run.list_attempts()[-1:]
    return is_there(attempt.lost) or any(other.number > attempt.number for other in later)


def compare_digest(name: str, content: bytes, expected: str) -> str | None:
    """Compare a file with the digest that its run's result holds.

    Args:
        name: The file's name, for the message.
        content: All of its bytes.
        expected: Hexadecimal SHA-256, as in result.json.

    Returns:
        What is wrong; None where they agree.
    """
    return compare_digests(name, hashlib.sha256(content).hexdigest(), expected)


def compare_digests(name: str, found: str, expected: str) -> str | None:
    """Compare the digest of a file with the one that its run's result holds; see `compare_digest`."""
    if found == expected:
        return None
    shown, wanted = found[:SHOWN_DIGITS], expected[:SHOWN_DIGITS]
    return f"{name} is damaged: its SHA-256 is {shown}…, and {wanted}… was written"


def note_damage(run: RunPaths, result: ResultRecord, reason: str) -> None:
    """Note what is wrong with a run's files, so that the run counts as failed and can be trained again."""
    try:
        write_record(run.damage, DamageRecord(attempt=result.attempt, reason=reason))
    except StudyError:
        return  # a store that cannot be written has no notes


def read_damage(run: RunPaths, result: ResultRecord) -> str | None:
    """Read what was found wrong with the files of a result; None where nothing was."""
    note = find_record(run.damage, DamageRecord)
    return note.reason if note is not None and note.attempt == result.attempt else None
