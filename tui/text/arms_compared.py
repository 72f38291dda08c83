"""Tells in lines how two arms compare: the difference with its three intervals, what would narrow it, the verdict."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from engine.protocol.faults import printable
from engine.study.comparison_record import UNITS, ArmsCompared, Comparison, Verdict
from engine.study.metrics_record import Interval
from tui.text.answers.sentences import plural
from tui.text.contrasts import adjust
from tui.text.format import UNICODE, Symbols, digits_for

WIDTH = 22
"""Columns of the names in front of the figures."""

MOSTLY = 0.8
"""From this share of the variance on, examples or replicas are said to be what limits an interval."""

FOLDED = 58
"""Columns of what is said behind them."""

SENTENCES: dict[Verdict, str] = {
    "real and worth having": "The interval on this test set leaves 0 out, and the difference is large enough",
    "real, smaller than the margin": "The interval on this test set leaves 0 out, and the difference is too small",
    "no difference that matters": "The whole interval on this test set lies within the margin",
    "undecided": "The interval on this test set holds 0 and more than the margin allows",
}


@dataclass(frozen=True)
class Pair:
    """Two arms beside each other, with the names that they go by."""

    names: tuple[str, str]
    found: ArmsCompared
    settings: tuple[str, ...] = ()
    """In what the two recipes differ."""


def describe_pair(pair: Pair, symbols: Symbols = UNICODE) -> list[str]:
    """Return the lines that tell how two arms compare."""
    found = pair.found.comparison
    places = _count_places(found)
    unit = f" {UNITS[found.measure]}".rstrip()
    lines = [
        f"{letter}  {printable(name)}   n = {n}, {found.measure} {mean:.{places}f}{_percent(found)}"
        for letter, name, n, mean in zip("AB", pair.names, found.n, found.means, strict=True)
    ]
    lines += ["", f"{'A - B':{WIDTH}}{found.difference:+.{places}f}{unit}"]
    lines += _describe_intervals(found, places)
    if found.p_better is not None and found.p_better_ci is not None:
        low, high = found.p_better_ci
        lines.append(f"{'P(A better than B)':{WIDTH}}{found.p_better:.2f} [{low:.2f} {high:.2f}]")
    if found.margin is not None and found.replicas_needed is not None:
        width = f"for {symbols.plus_minus} {found.margin:g}{unit}"
        lines.append(f"{width:{WIDTH}}{plural(found.replicas_needed, 'replica')} of each arm")
    return [*lines, "", *_name("verdict", [found.verdict, *_explain(found)]), *_list_notes(pair)]


def _name(name: str, lines: Sequence[str]) -> list[str]:
    """Put a name in front of the first of some lines, which are folded to a terminal of 80 columns."""
    folded = [part for line in lines for part in textwrap.wrap(line, FOLDED, break_long_words=False)]
    return [f"{name if not number else '':{WIDTH}}{line}" for number, line in enumerate(folded)]


def _describe_intervals(found: Comparison, places: int) -> list[str]:
    rows = [
        ("  this test set", found.ci_test_set, _tell_pairing(found)),
        ("  new examples too", found.ci_new_examples, _tell_limit(found)),
        ("  while looking", found.ci_looking, "may be looked at after every pair of replicas"),
    ]
    return [
        f"{name:{WIDTH}}{_show(ends, places):20}{said}".rstrip()
        for name, ends, said in rows
        if ends is not None or name.strip() == "this test set"
    ]


def _show(ends: Interval | None, places: int) -> str:
    if ends is None:
        return "needs two replicas of each arm"
    mark = "" if ends[0] <= 0.0 <= ends[1] else " *"
    return f"[{ends[0]:+.{places}f} {ends[1]:+.{places}f}]{mark}"


def _count_places(found: Comparison) -> int:
    half = 0.0 if found.ci_test_set is None else (found.ci_test_set[1] - found.ci_test_set[0]) / 2
    return max(2, min(digits_for(half or abs(found.difference)), 6))


def _percent(found: Comparison) -> str:
    return {"accuracy": " %", "cross-entropy": " nats"}.get(found.measure, "")


def _tell_pairing(found: Comparison) -> str:
    if found.ci_test_set is None:
        return ""
    if not found.paired:
        return "Welch's t: no pairs of the same seeds"
    correlation = "" if found.correlation is None else f", correlation {found.correlation:.2f}"
    return f"paired by seed{correlation}"


def _tell_limit(found: Comparison) -> str:
    share = found.examples_share
    if share is None:
        return ""
    if share >= MOSTLY:
        return f"{found.examples:,} test examples are the limit, not replicas"
    if share <= 1 - MOSTLY:
        return f"replicas are the limit, not the {found.examples:,} test examples"
    return f"{100 * share:.0f} % of the variance comes from the {found.examples:,} test examples"


def _explain(found: Comparison) -> list[str]:
    """Return sentences that say why the verdict is what it is."""
    if found.ci_test_set is None:
        return ["One replica shows no spread."]
    said = [f"{SENTENCES[found.verdict]}."]
    if found.verdict == "undecided" and found.margin is None:
        said = ["The interval on this test set holds 0. --margin X says what difference would matter."]
    if found.verdict == "undecided" and found.replicas_needed is not None:
        more = max(0, found.replicas_needed - min(found.n))
        unit = f"{found.margin:g} {UNITS[found.measure]}".rstrip()
        said += [f"{plural(more, 'more replica')} of each arm would tell {unit} apart."] if more else []
    if found.is_told_apart and found.ci_new_examples is not None and _holds(found.ci_new_examples, 0.0):
        said.append("It is not shown for new examples of the same kind.")
    return said


def _holds(ends: Interval, value: float) -> bool:
    return ends[0] <= value <= ends[1]


def _list_notes(pair: Pair) -> list[str]:
    found, notes = pair.found, list[str]()
    if found.disputes is not None:
        own = found.disputes
        ends = "" if own.excess_ci is None else f" [{own.excess_ci[0]:+.2f} {own.excess_ci[1]:+.2f}]"
        notes += _name(
            "disagreement",
            [
                f"{own.between:.2f} % between A and B, {own.within[0]:.2f} within A, {own.within[1]:.2f} within B",
                f"{own.excess:+.2f}{ends} beyond their own",
            ],
        )
    if pair.settings:
        many = len(pair.settings)
        cause = [f"{many} settings differ, so no one of them is shown to be the cause."] if many > 1 else []
        notes += _name("settings", [*pair.settings, *cause])
    if found.shared:
        is_one = found.shared == 1
        said = f"{plural(found.shared, 'run')} {'is a replica' if is_one else 'are replicas'} of both arms"
        notes += _name("shared", [f"{said}, which the intervals do not know"])
    if any(found.left_out):
        said = (
            f"{found.left_out[0]} of A, {found.left_out[1]} of B: missing, damaged, diverged, without a partner of "
            "the same seeds, or the same network once more"
        )
        notes += _name("left out", [said])
    return notes


def list_pairs(pairs: Sequence[Pair], symbols: Symbols = UNICODE) -> list[str]:
    """Return a line for each of several comparisons, whose p-values hold for all of them at once."""
    adjusted = adjust([1.0 if one.found.comparison.p_value is None else one.found.comparison.p_value for one in pairs])
    width = max((len(printable(one.names[0])) + len(printable(one.names[1])) + 3 for one in pairs), default=0)
    lines: list[str] = []
    for one, chance in zip(pairs, adjusted, strict=True):
        found = one.found.comparison
        names = " - ".join(map(printable, one.names))
        ends = _show(found.ci_test_set, _count_places(found)).removesuffix(" *")
        lines.append(
            f"{names:{width}}  {found.difference:+.{_count_places(found)}f} {ends:18} p {chance:.3f}  {found.verdict}"
        )
    unit = UNITS[pairs[0].found.comparison.measure] if pairs else ""
    lines.append("")
    lines.append(
        f"A - B in {unit or 'perplexity'}, 95 % on this test set; p: of no difference, corrected for "
        f"{plural(len(pairs), 'comparison')} at once (Holm)"
    )
    return lines
