"""`compare`: is one arm better than another, or is it noise? Two arms of one or two studies, judged."""

from __future__ import annotations

import sys

import msgspec

from engine.catalog.measure_declaration import CONFIDENCE
from engine.errors import EXIT_OK, EXIT_UNDECIDED, StudyError
from tui.commands.comparing import find_side, pair_names, settle_question
from tui.commands.two_arms import compare_pair
from tui.commands.typed import read_margin
from tui.text.arms_compared import Told, describe_pair, list_comparisons, list_pairs
from tui.text.format import choose_symbols

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
        measure: What is compared; None for the protocol's, else accuracy, perplexity of language models, or the first
            number by name; EVERY for all that both have.
        margin: The smallest difference worth having, as it was typed; None for the protocol's.
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
    asked = settle_question(first, second, names, None if every else measure, limit)
    pairs = [compare_pair((first.paths, a), (second.paths, b), *asked, every=every) for a, b in names]
    told = list_comparisons(pairs)
    if as_json:
        content = {"v": 1, "comparisons": [_describe(one) for one in told]}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(content), indent=1).decode() + "\n")
    else:
        symbols = choose_symbols(sys.stdout.encoding)
        lines = describe_pair(pairs[0], symbols) if len(pairs) == 1 else []
        lines += ["", *list_pairs(pairs)] if lines and len(told) > 1 else [] if lines else list_pairs(pairs)
        sys.stdout.write("\n".join([*lines, ""]))
    return EXIT_OK if any(map(_is_apart, told)) else EXIT_UNDECIDED


def _is_apart(told: Told) -> bool:
    """Tell whether two arms are told apart: by the p-value for all at once, or by the interval while looking."""
    return told.found.is_told_apart if told.found.sequential else told.chance <= 1 - CONFIDENCE


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
        "without_number": found.without_number,
        "diverged": found.diverged,
        "shared": found.shared,
        "settings": pair.settings,
        "trained_with": pair.trained,
    }
