"""`diverge STUDY:ARM I J`: where do two runs part, by which operation, and how does the difference grow?

What costs time is done by a process that trains both again; its answer is kept in the study.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import structs
from rich.console import Console

from engine.dispatch.children import command
from engine.errors import EXIT_OK, EXIT_UNDECIDED, StudyError
from engine.plan.records import PlannedArm
from engine.protocol.faults import printable
from engine.recipe import Recipe
from engine.study.circumstances import read_circumstances
from engine.study.divergence_record import Divergence, DivergenceProgress, DivergenceRequest, find_divergence
from engine.study.epochs import EpochRecord, read_epochs
from engine.study.files import OUT, make_folder, write_bytes
from engine.study.parting import find_first_difference, read_digests
from engine.study.paths import StudyPaths, enter_path
from engine.study.records import decode_record, encode_record, write_record
from engine.study.run_records import read_recipe
from engine.study.run_state import read_result
from engine.study.study_plan import StudyPlan, read_plan
from tui.commands.comparing import find_side, require_arm
from tui.commands.measuring import ask
from tui.commands.output import print_page, print_text
from tui.commands.typed import read_whole
from tui.html.divergence_page import make_divergence_page
from tui.text.circumstances import describe_circumstances
from tui.text.counts import plural
from tui.text.divergence import Told, describe_divergence
from tui.text.format import choose_symbols, format_seconds
from tui.text.recipes import describe_differences

USAGE = "`nondet-tui diverge STUDY:ARM I J` names two replicas of an arm, `diverge STUDY:ARM I STUDY:ARM J` one of each"
OF_PROGRAM = "a program of your own stands behind `--`, as in `nondet-tui diverge -- python train.py`"


@dataclass(frozen=True)
class NamedRun:
    """One of the two runs."""

    paths: StudyPaths
    plan: StudyPlan
    arm: PlannedArm
    replica: int
    """From 1."""

    @property
    def run(self) -> str:
        """Return the run's id."""
        return self.arm.runs[self.replica - 1]

    @property
    def name(self) -> str:
        """Return what it is called in messages."""
        return printable(f"{self.arm.name}, replica {self.replica}")


def diverge_runs(
    words: Sequence[str], *, store: str | None, kind: str, out: str | None, again: bool, epochs: str | None
) -> int:
    """Say where two runs part, and how the difference grows.

    Args:
        words: STUDY:ARM I J, or STUDY:ARM I STUDY:ARM J.
        store: The folder of all studies.
        kind: table, json or html.
        out: A folder for the files; None prints.
        again: Whether both are trained again though an answer is kept.
        epochs: For how many epochs behind the parting the difference is followed, as it was typed; None for all.

    Returns:
        EXIT_OK where they part, else EXIT_UNDECIDED.

    Raises:
        StudyError: If there are no such runs, or they cannot be compared so.
    """
    console = Console(stderr=True, highlight=False)
    sides = find_sides(words, store=store)
    limit = None if epochs is None else read_whole("--epochs", epochs, "a number of epochs, from 0")
    recipes = check_sides(sides)
    found = None if again else find_kept(sides, limit)
    if found is None:
        tell_plan(sides, console)
        with console.status("training both again") if console.is_terminal else nullcontext() as status:
            found = find_out(
                sides, limit, lambda progress: None if status is None else status.update(_say_progress(progress))
            )
    told = tell(found, sides, recipes)
    if out is not None:
        folder = enter_path(out)
        names = write_files(told, folder)
        print_text(console, f"{plural(len(names), 'file')} in {folder}: {', '.join(names)}")
    elif kind == "json":
        sys.stdout.write(encode_record(found).decode())
    elif kind == "html":
        print_page(make_divergence_page(told))
    else:
        width = min(Console(highlight=False).width, 120)
        symbols = choose_symbols(sys.stdout.encoding)
        sys.stdout.write("\n".join([*describe_divergence(told, symbols, width=width), ""]))
    return EXIT_UNDECIDED if found.epoch is None else EXIT_OK


def find_sides(words: Sequence[str], *, store: str | None) -> tuple[NamedRun, NamedRun]:
    """Find the two runs that some words name.

    Raises:
        StudyError: If they name none.
    """
    if len(words) == 3:
        words = [words[0], words[1], words[0], words[2]]
    if len(words) != 4:
        raise StudyError(f"diverge: {len(words)} words: {USAGE}; {OF_PROGRAM}")
    one, other = (_find_side(words[start], words[start + 1], store=store) for start in (0, 2))
    if one.paths.folder == other.paths.folder and one.run == other.run:
        same = "arms share runs that are the same" if one.arm != other.arm else "name two of them"
        raise StudyError(f"{one.name} and {other.name}: are one run, which cannot part from itself: {same}")
    return one, other


def _find_side(text: str, number: str, *, store: str | None) -> NamedRun:
    side = find_side(text, store=store)
    plan = read_plan(side.paths)
    study, arms = printable(plan.study), {arm.name: arm for arm in plan.arms if arm.group == 1}
    if side.arm is None:
        raise StudyError(f"{study}: which arm? {USAGE}; there are {', '.join(map(printable, arms))}")
    if side.arm not in arms:
        if any(arm.name == side.arm for arm in plan.arms):
            raise StudyError(
                f"{study}: {printable(side.arm)}: its replicas are ensembles: name the arm of their members"
            )
        require_arm(plan, side.arm, arms)
    arm = arms[side.arm]
    replica = read_whole("diverge", number, f"the number of a replica, 1 to {len(arm.runs)}")
    if not 1 <= replica <= len(arm.runs):
        raise StudyError(f"{study}: {printable(arm.name)} has replicas 1 to {len(arm.runs)}, and no {replica}")
    return NamedRun(side.paths, plan, arm, replica)


def check_sides(sides: tuple[NamedRun, NamedRun]) -> tuple[Recipe, Recipe]:
    """Return the recipes of two runs that can be trained again side by side.

    Raises:
        StudyError: If they cannot, with the reason.
    """
    for side in sides:
        if side.plan.origin is not None:
            raise StudyError(
                f"{printable(side.plan.study)}: holds predictions that were imported, and no recipe to train again: "
                "`nondet-tui diverge -- python train.py …` compares two runs of the program that made them"
            )
        if side.plan.command is not None:
            raise StudyError(
                f"{printable(side.plan.study)}: its runs are a program of your own, and only that can repeat them: "
                "`nondet-tui diverge -- python train.py …` runs it twice and compares every operation"
            )
    one, other = (read_recipe(side.paths.run(side.run), side.run) for side in sides)
    if (one.data, one.model) != (other.data, other.model):
        said = "; ".join(describe_differences(one, other, parts=("data", "model")))
        raise StudyError(
            f"{sides[0].name} and {sides[1].name}: train other networks or on other data, so that they have nothing to "
            f"part from ({said}): name two runs that differ in seeds or in how they are trained"
        )
    for side in sides:
        if read_result(side.paths.run(side.run)) is None:
            attempts = side.paths.run(side.run).list_attempts()
            done = len(read_epochs(attempts[-1].epochs).records) if attempts else 0
            planned = side.plan.epochs.get(side.run, 0)
            raise StudyError(
                f"{side.name}: has been trained for {done} of {planned} epochs: wait for it, or train the rest with "
                "the command that began it"
            )
    return one, other


def find_kept(sides: tuple[NamedRun, NamedRun], limit: int | None) -> Divergence | None:
    """Return what was found out before, where it goes as far; None where both are to be trained again.

    Arms may share runs: the answer names them as they are named now.
    """
    one, other = sides
    found = find_divergence(one.paths, (one.run, other.run))
    if found is None or found.followed not in (limit, None):
        return None
    return structs.replace(
        found,
        studies=(one.plan.study, other.plan.study),
        arms=(one.arm.name, other.arm.name),
        replicas=(one.replica, other.replica),
    )


def find_out(
    sides: tuple[NamedRun, NamedRun],
    limit: int | None,
    show: Callable[[DivergenceProgress], None] = lambda progress: None,
) -> Divergence:
    """Ask for both to be trained again, and keep what that shows where the study can be written.

    Args:
        sides: The two runs.
        limit: For how many epochs behind the parting the difference is followed; None for all.
        show: Is told of every epoch.

    Raises:
        StudyError: If they cannot be.
    """
    one, other = sides
    request = DivergenceRequest(
        studies=(str(one.paths.folder), str(other.paths.folder)),
        arms=(one.arm.name, other.arm.name),
        replicas=(one.replica, other.replica),
        runs=(one.run, other.run),
        growth_epochs=limit,
    )
    found = train_again(request, show)
    found = ask(Divergence, "growth", content=encode_record(found))
    with contextlib.suppress(StudyError):  # an answer of a study that cannot be written is given all the same
        make_folder(one.paths.partings)
        write_record(one.paths.divergence(one.run, other.run), found, compact=True)
    return found


def _say_progress(progress: DivergenceProgress) -> str:
    return f"epoch {progress.epoch} of {progress.epochs} of both"


def tell_plan(sides: tuple[NamedRun, NamedRun], console: Console) -> None:
    """Say what the files know, and how long it takes to train both again."""
    digests = [read_digests(side.paths.run(side.run)) for side in sides]
    epoch = find_first_difference(*digests)
    if all(digests):
        said = (
            "never part"
            if epoch is None
            else "differ before the first step"
            if epoch == 0
            else f"part in epoch {epoch}"
        )
        print_text(console, f"by their files they {said}")
    else:
        print_text(console, "their files hold no digests of weights: an earlier version trained them")
    seconds = [sum(one.seconds for one in _read_epochs(side)) for side in sides]
    print_text(console, f"both are trained again, which took {format_seconds(sum(seconds))} before")


def _read_epochs(side: NamedRun) -> Sequence[EpochRecord]:
    run = side.paths.run(side.run)
    result = read_result(run)
    return () if result is None else read_epochs(run.attempt(result.attempt).epochs).records


def train_again(request: DivergenceRequest, show: Callable[[DivergenceProgress], None]) -> Divergence:
    """Ask the process that trains, and follow it.

    Raises:
        StudyError: If it cannot answer, with what it said.
    """
    answer = b""
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as errors:
        asked.write(encode_record(request))
        asked.seek(0)
        with subprocess.Popen(
            command("engine.training", "diverge"), stdin=asked, stdout=subprocess.PIPE, stderr=errors, cwd="/"
        ) as process:
            assert process.stdout is not None, "it was asked for"
            for line in process.stdout:
                try:
                    show(msgspec.json.decode(line, type=DivergenceProgress))
                except msgspec.DecodeError:  # of other fields, or no JSON to its end where the process was ended
                    answer = line
        status = process.returncode
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines()
    found = decode_record(answer, Divergence) if status == 0 else f"ended with exit status {status}"
    if isinstance(found, str):
        reason = said[-1].partition(": ")[2] or said[-1] if status and said else f"what the process answered {found}"
        raise StudyError(f"diverge: the two runs could not be trained again: {printable(reason)}")
    return found


def tell(found: Divergence, sides: tuple[NamedRun, NamedRun], recipes: tuple[Recipe, Recipe]) -> Told:
    """Put what was found out beside what else is known of the two runs."""
    trained = [read_circumstances(side.paths, [side.run]) for side in sides]
    return Told(
        found,
        settings=tuple(describe_differences(*recipes)),
        seeds=tuple(describe_differences(*recipes, parts=("seeds", "bit"))),
        trained=tuple(describe_circumstances(*trained)),
    )


def write_files(told: Told, folder: Path) -> list[str]:
    """Write what was found out as a page, as text and as JSON; return the names of the files.

    Raises:
        StudyError: If the folder cannot be written.
    """
    texts = {
        "divergence.html": make_divergence_page(told),
        "divergence.txt": "\n".join([*describe_divergence(told), ""]),
        "divergence.json": encode_record(told.found).decode(),
    }
    make_folder(folder, place=OUT)
    for name, text in texts.items():
        write_bytes(folder / name, text.encode(), place=OUT)
    return list(texts)
