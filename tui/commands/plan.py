"""`plan`: how many replicas would find a difference worth having, from what those at hand say of their spread."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from engine.errors import EXIT_OK, NondetError, StudyError
from engine.protocol.faults import printable
from engine.study.comparison_record import PowerPlan
from engine.study.study_plan import read_plan
from tui.commands.comparing import Side, find_side, pair_names, require_arm
from tui.commands.export import export_plan
from tui.commands.measuring import ask
from tui.commands.typed import read_margin, read_power
from tui.text.format import choose_symbols
from tui.text.replica_plans import describe_plan

Way = Literal["pilot", "table", "sd", "ratio"]
"""What a plan is made from."""

LISTED = 8
"""Arms that are named where none was."""


def plan_replicas(
    one: str,
    other: str | None,
    *,
    store: str | None,
    measure: str | None,
    margin: str,
    power: str,
    as_json: bool,
    out: str | None,
) -> int:
    """Print how many replicas of each arm a difference needs.

    Args:
        one: STUDY:ARM, a pilot.
        other: STUDY or STUDY:ARM that it is to be compared with; None for one that scatters as the first does.
        store: The folder of all studies.
        measure: What is compared; None for accuracy, or perplexity of language models.
        margin: The smallest difference worth having, as it was typed.
        power: The probability with which it is to be found, as it was typed.
        as_json: Whether JSON is printed, and nothing else.
        out: Folder for a picture; None for no picture.

    Raises:
        NondetError: If there is no such arm, it shows no spread, or a number is none.
    """
    limit, wanted = read_margin(margin), read_power(power)
    sides = [find_side(text, store=store) for text in (one, other) if text is not None]
    if len(sides) > 1:
        pairs = pair_names(*sides)
        if len(pairs) != 1:
            raise StudyError(f"{printable(one)}: name the arm that is planned for, STUDY:ARM")
        arms: tuple[str, ...] = pairs[0]
    else:
        arms = (find_arm(sides[0]),)
    words = [word for side, arm in zip(sides, arms, strict=True) for word in (str(side.paths.folder), arm)]
    words += [""] * (4 - len(words))
    found = ask(PowerPlan, "plan", *words, measure or "", repr(limit), repr(wanted))
    names = [f"{read_plan(side.paths).study}: {arm}" for side, arm in zip(sides, arms, strict=True)]
    print_plan(found, names, as_json=as_json, out=out)
    return EXIT_OK


def check_ways(options: argparse.Namespace) -> Way:
    """Return what the plan is made from: a pilot, a published table, an SD, or a ratio of two SDs.

    Raises:
        NondetError: If there are two of them or none, the margin is missing, or an option would do nothing.
    """
    given: list[tuple[Way, str | None]] = [
        ("pilot", options.one),
        ("table", options.table),
        ("sd", options.sd),
        ("ratio", options.ratio),
    ]
    found: list[Way] = [way for way, value in given if value is not None]
    if len(found) != 1:
        raise NondetError(
            "nondet-tui plan: name one of a pilot (STUDY:ARM), --from TABLE:ROW, --sd SD or --ratio Q to plan from"
        )
    if found[0] == "ratio" and options.margin is not None:
        raise NondetError("nondet-tui plan: --ratio has no margin: it is itself what is to be told apart")
    for option, value in (("--measure", options.measure), ("--out", options.out)):
        if found[0] == "ratio" and value is not None:
            raise NondetError(f"nondet-tui plan: {option} does nothing beside --ratio: leave it out")
    if found[0] != "ratio" and options.margin is None:
        raise NondetError("nondet-tui plan: --margin X is missing: the difference that is to be found")
    return found[0]


def print_plan(found: PowerPlan, names: Sequence[str], *, as_json: bool, out: str | None) -> None:
    """Print a plan with the names of what it was made from, and draw it where a folder is named.

    Raises:
        StudyError: If the folder cannot be written.
    """
    if out is not None:
        export_plan(found, Path(out))
    if as_json:
        print_json({"arms": list(names), **msgspec.structs.asdict(found)})
    else:
        sys.stdout.write("\n".join([*describe_plan(found, names, choose_symbols(sys.stdout.encoding)), ""]))


def print_json(content: Mapping[str, object]) -> None:
    """Print fields as JSON of format 1."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode({"v": 1, **content}), indent=1).decode() + "\n")


def find_arm(side: Side) -> str:
    """Return the arm that is meant.

    Raises:
        StudyError: If none is named, or there is none of that name.
    """
    plan = read_plan(side.paths)
    known = [arm.name for arm in plan.arms]
    if side.arm is None:
        some = ", ".join(f"'{printable(name)}'" for name in known[:LISTED])
        rest = f" and {len(known) - LISTED} more" if len(known) > LISTED else ""
        raise StudyError(f"{printable(plan.study)}: name the arm that is the pilot, STUDY:ARM; it has {some}{rest}")
    require_arm(plan, side.arm, known)
    return side.arm
