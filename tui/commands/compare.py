"""`compare`: is one arm better than another, or is it noise? Two arms of one or two studies, judged."""

from __future__ import annotations

import math
import sys

import msgspec

from engine.catalog.measure_declaration import CONFIDENCE
from engine.errors import EXIT_OK, EXIT_UNDECIDED, NondetError, StudyError
from engine.protocol.faults import cut, printable
from engine.study.comparison_record import ArmsCompared
from engine.study.run_records import read_arm_recipes
from engine.study.study_plan import read_plan
from tui.commands.comparing import Side, find_side, pair_names
from tui.commands.measuring import ask
from tui.text.arms_compared import Pair, describe_pair, list_pairs
from tui.text.contrasts import adjust
from tui.text.format import choose_symbols
from tui.text.recipes import describe_differences


def compare_studies(
    one: str, other: str, *, store: str | None, measure: str | None, margin: str | None, as_json: bool
) -> int:
    """Compare two arms, or all arms of one name in two studies, and say whether any two are told apart.

    Args:
        one: STUDY or STUDY:ARM.
        other: Likewise; without an arm it is that of the first.
        store: The folder of all studies.
        measure: What is compared; None for accuracy, or perplexity of language models.
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
    pairs = [_compare(first, second, arms, measure, limit) for arms in names]
    if as_json:
        content = {"v": 1, "comparisons": [_describe(pair) for pair in pairs]}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(content), indent=1).decode() + "\n")
    else:
        symbols = choose_symbols(sys.stdout.encoding)
        lines = describe_pair(pairs[0], symbols) if len(pairs) == 1 else list_pairs(pairs)
        sys.stdout.write("\n".join([*lines, ""]))
    chances = [pair.found.comparison.p_value for pair in pairs]
    adjusted = adjust([1.0 if chance is None else chance for chance in chances])
    return EXIT_OK if min(adjusted) <= 1 - CONFIDENCE else EXIT_UNDECIDED


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


def _compare(first: Side, second: Side, arms: tuple[str, str], measure: str | None, margin: float | None) -> Pair:
    sides = list(zip((first, second), arms, strict=True))
    arguments = [word for side, arm in sides for word in (str(side.paths.folder), arm)]
    found = ask(ArmsCompared, "compare", *arguments, measure or "", "" if margin is None else repr(margin))
    recipes = [read_arm_recipes(side.paths, read_plan(side.paths).arms).get(arm) for side, arm in sides]
    names = [f"{read_plan(side.paths).study}: {arm}" for side, arm in sides]
    return Pair((names[0], names[1]), found, tuple(describe_differences(*recipes)))


def _describe(pair: Pair) -> dict[str, object]:
    """Return a comparison as JSON has it: every key is there, null where there is no value."""
    found = pair.found
    return {
        "a": pair.names[0],
        "b": pair.names[1],
        **msgspec.structs.asdict(found.comparison),
        "disagreement": None if found.disputes is None else msgspec.structs.asdict(found.disputes),
        "left_out": found.left_out,
        "shared": found.shared,
        "settings": pair.settings,
    }
