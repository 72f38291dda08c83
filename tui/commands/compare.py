"""`compare`: is one arm better than another, or is it noise? Two arms of one or two studies, judged."""

from __future__ import annotations

import math
import sys

import msgspec

from engine.catalog.measure_declaration import CONFIDENCE
from engine.errors import EXIT_OK, EXIT_UNDECIDED, NondetError, StudyError
from engine.protocol.faults import cut, printable
from engine.study.circumstances import read_circumstances
from engine.study.comparison_record import ArmsCompared
from engine.study.paths import StudyPaths
from engine.study.run_records import read_arm_recipes
from engine.study.study_plan import read_plan
from tui.commands.comparing import find_side, pair_names
from tui.commands.measuring import ask
from tui.text.arms_compared import Pair, Told, describe_pair, list_comparisons, list_pairs
from tui.text.circumstances import describe_circumstances, describe_packs
from tui.text.format import choose_symbols
from tui.text.recipes import describe_differences

EVERY = "all"
"""Asks for every measure that both arms have."""


def compare_studies(
    one: str, other: str, *, store: str | None, measure: str | None, margin: str | None, as_json: bool
) -> int:
    """Compare two arms, or all arms of one name in two studies, and say whether any two are told apart.

    Args:
        one: STUDY or STUDY:ARM.
        other: Likewise; without an arm it is that of the first.
        store: The folder of all studies.
        measure: What is compared; None for accuracy, perplexity of language models, or the first number by name; EVERY
            for all that both have.
        margin: The smallest difference worth having, as it was typed.
        as_json: Whether JSON is printed, and nothing else.

    Returns:
        EXIT_OK where two arms are told apart, else EXIT_UNDECIDED.

    Raises:
        StudyError: If there is no such study or arm, or the arms cannot be compared.
    """
    limit = read_margin(margin)
    first, second = (find_side(text, store=store) for text in (one, other))
    names = pair_names(first, second)
    if not names:
        raise StudyError(f"{first.paths.name} and {second.paths.name}: no arm has the same name in both: name arms")
    every = measure == EVERY
    wanted = None if every else measure
    pairs = [compare_pair((first.paths, a), (second.paths, b), wanted, limit, every=every) for a, b in names]
    told = list_comparisons(pairs)
    if as_json:
        content = {"v": 1, "comparisons": [_describe(one) for one in told]}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(content), indent=1).decode() + "\n")
    else:
        symbols = choose_symbols(sys.stdout.encoding)
        lines = describe_pair(pairs[0], symbols) if len(pairs) == 1 else []
        lines += ["", *list_pairs(pairs)] if lines and len(told) > 1 else [] if lines else list_pairs(pairs)
        sys.stdout.write("\n".join([*lines, ""]))
    return EXIT_OK if min(one.chance for one in told) <= 1 - CONFIDENCE else EXIT_UNDECIDED


def read_margin(text: str | None) -> float | None:
    """Return the margin that was typed.

    Raises:
        NondetError: If it is no number above 0.
    """
    if text is None:
        return None
    try:
        margin = float(text)
    except ValueError:
        margin = math.nan
    if not (math.isfinite(margin) and margin > 0):
        raise NondetError(
            f"--margin {cut(printable(text), 60)}: a number above 0 in the measure's unit, such as --margin 0.2"
        )
    return margin


def compare_pair(
    first: tuple[StudyPaths, str],
    second: tuple[StudyPaths, str],
    measure: str | None,
    margin: float | None,
    *,
    every: bool = False,
) -> Pair:
    """Ask another process how two arms compare, and read in what they differ.

    Args:
        first: A study and the name of its arm.
        second: Likewise.
        measure: One that both have; None for the first of them.
        margin: The smallest difference worth having, in its unit.
        every: Whether all other measures of both are compared, too.

    Raises:
        StudyError: If they cannot be compared, with what the process said.
    """
    arguments = [word for paths, arm in (first, second) for word in (str(paths.folder), arm)]
    asked = [measure or "", "" if margin is None else repr(margin), "every" if every else ""]
    found = ask(ArmsCompared, "compare", *arguments, *asked)
    plans = [read_plan(paths) for paths, _ in (first, second)]
    arms = [
        next(arm for arm in plan.arms if arm.name == name)
        for plan, (_, name) in zip(plans, (first, second), strict=True)
    ]
    recipes = [
        read_arm_recipes(paths, [arm]).get(arm.name) for (paths, _), arm in zip((first, second), arms, strict=True)
    ]
    trained = [read_circumstances(paths, arm.runs) for (paths, _), arm in zip((first, second), arms, strict=True)]
    names = [f"{plan.study}: {arm.name}" for plan, arm in zip(plans, arms, strict=True)]
    return Pair(
        (names[0], names[1]),
        found,
        settings=tuple(describe_differences(*recipes)),
        trained=(*describe_circumstances(*trained), *describe_packs(*recipes)),
    )


def _describe(told: Told) -> dict[str, object]:
    """Return a comparison as JSON has it: every key is there, null where there is no value."""
    pair, found = told.pair, told.pair.found
    return {
        "a": pair.names[0],
        "b": pair.names[1],
        **msgspec.structs.asdict(told.found),
        "p_holm": told.chance,
        "unit": told.found.unit,
        "disagreement": None if found.disputes is None else msgspec.structs.asdict(found.disputes),
        "left_out": found.left_out,
        "shared": found.shared,
        "settings": pair.settings,
        "trained_with": pair.trained,
    }
