"""Tells in lines how two arms compare: the difference with its three intervals, what would narrow it, the verdict."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from engine.protocol.faults import printable
from engine.study.comparison_record import MOST_REPLICAS, ArmsCompared, Comparison, Verdict
from engine.study.estimate import Interval
from tui.text.contrasts import adjust
from tui.text.counts import plural
from tui.text.format import UNICODE, Symbols, digits_for

WIDTH = 22
"""Columns of the names in front of the figures."""

MOSTLY = 0.8
"""From this share of the variance on, examples or replicas are said to be what limits an interval."""

FOLDED = 58
"""Columns of what is said behind them."""

FEWEST = 2
"""Replicas of each arm of which an interval is made."""

BY_CHANCE = "Equal figures of so few replicas show no spread: they may be equal by chance. Five or more would show it."

SENTENCES: dict[Verdict, str] = {
    "real and worth having": "The interval {where} leaves 0 out, and {size}",
    "real, smaller than the margin": "The interval {where} leaves 0 out, and {size}",
    "no difference that matters": "The whole interval {where} lies within the margin",
    "undecided": "The interval {where} holds 0 and more than the margin allows",
}


@dataclass(frozen=True)
class Pair:
    """Two arms beside each other, with the names that they go by."""

    names: tuple[str, str]
    found: ArmsCompared
    settings: tuple[str, ...] = ()
    """In what the two recipes differ."""
    trained: tuple[str, ...] = ()
    """In what they were trained with otherwise: devices, versions, packs."""

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """All measures that were compared, the one that the verdict is about first."""
        return (self.found.comparison, *self.found.others)


@dataclass(frozen=True)
class IntervalRow:
    """One of the three intervals of a difference."""

    name: str
    ends: Interval | None
    said: str
    """What it rests on, or what limits it."""


def describe_pair(pair: Pair, symbols: Symbols = UNICODE) -> list[str]:
    """Return the lines that tell how two arms compare."""
    found = pair.found.comparison
    places = count_places(found)
    measure = printable(found.measure)
    lines = [
        f"{letter}  {printable(name)}   n = {n}, {measure} {mean:.{places}f}{percent(found)}"
        for letter, name, n, mean in zip("AB", pair.names, found.n, found.means, strict=True)
    ]
    lines += ["", f"{'A - B':{WIDTH}}{found.difference:+.{places}f}{unit_of(found)}"]
    for row in list_intervals(found):
        lines.append(f"{f'  {row.name}':{WIDTH}}{show_ends(row.ends, places):20}{row.said}".rstrip())
    for name, said in (*list_chances(found), *list_narrowing(found, symbols)):
        lines += _name(name, [said])
    headline = say_headline(found, symbols)
    lines += ["", *_name("verdict", [f"{headline[0].lower()}{headline[1:]}", *explain(found)])]
    for name, sentences in list_remarks(pair):
        lines += _name(name, sentences)
    return lines


def _name(name: str, lines: Sequence[str]) -> list[str]:
    """Put a name in front of the first of some lines, which are folded to a terminal of 80 columns."""
    folded = [part for line in lines for part in textwrap.wrap(line, FOLDED, break_long_words=False)]
    return [f"{name if not number else '':{WIDTH}}{line}" for number, line in enumerate(folded)]


def unit_of(found: Comparison) -> str:
    """Return the unit of a difference with a space in front; nothing where there is none."""
    return f" {found.unit}".rstrip()


def list_intervals(found: Comparison) -> list[IntervalRow]:
    """Return the three intervals that there are, each with what it promises; the one that decided comes first."""
    rows = [
        IntervalRow("this test set", found.ci_test_set, _tell_pairing(found)),
        IntervalRow("new examples too", found.ci_new_examples, _tell_limit(found)),
        IntervalRow("while looking", found.ci_looking, "may be looked at after every pair of replicas"),
    ]
    there = [row for row in rows if row.ends is not None or row is rows[0]]
    return sorted(there, key=lambda row: found.sequential and row is not rows[-1])


def show_ends(ends: Interval | None, places: int) -> str:
    """Return an interval with a mark where it leaves 0 out; what it takes where there is none."""
    if ends is None:
        return "too few replicas to show a spread"
    mark = "" if ends[0] <= 0.0 <= ends[1] else " *"
    return f"[{ends[0]:+.{places}f} {ends[1]:+.{places}f}]{mark}"


def count_places(found: Comparison) -> int:
    """Return the decimals that a comparison's figures are worth."""
    half = 0.0 if found.ci_test_set is None else (found.ci_test_set[1] - found.ci_test_set[0]) / 2
    return max(2, min(digits_for(half or abs(found.difference)), 6))


def percent(found: Comparison) -> str:
    """Return the unit of a mean, with a space in front."""
    known = {"accuracy": " %", "cross-entropy": " nats"}
    return "" if found.is_number else known.get(found.measure, "")


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


def list_chances(found: Comparison) -> list[tuple[str, str]]:
    """Return how often a replica of A beats one of B, and what the best of several seeds would seem to show."""
    said: list[tuple[str, str]] = []
    if found.p_better is not None and found.p_better_ci is not None:
        low, high = found.p_better_ci
        name = "P(A above B)" if found.is_number else "P(A better than B)"
        said.append((name, f"{found.p_better:.2f} [{low:.2f} {high:.2f}]"))
    if found.best is not None:
        places, (one, other) = count_places(found), found.best
        above = [f"{best - mean:+.{places}f}" for best, mean in zip(found.best, found.means, strict=True)]
        figures = f"{one:.{places}f} of A, {other:.{places}f} of B"
        said.append((f"best of {min(found.n)} seeds", f"{figures}: {' and '.join(above)} by choice alone"))
    return said


def list_narrowing(found: Comparison, symbols: Symbols = UNICODE) -> list[tuple[str, str]]:
    """Say how many replicas the margin takes, and what more replicas and examples would make of the intervals."""
    said: list[tuple[str, str]] = []
    places, wide = count_places(found), symbols.plus_minus
    if found.margin is not None and found.ci_test_set is not None:
        said.append((f"for {wide} {found.margin:g}{unit_of(found)}", _say_needed(found)))
    narrowed = found.narrowed
    if narrowed is None or found.ci_test_set is None:
        return said
    own = f"{wide} {narrowed.test_set:.{places}f}, now {_halve(found.ci_test_set):.{places}f}"
    if narrowed.replicas is None or narrowed.examples is None or found.ci_new_examples is None:
        return [*said, ("twice the replicas", own)]
    now = f"now {_halve(found.ci_new_examples):.{places}f}"
    return [
        *said,
        ("twice the replicas", f"{own}; on new examples {wide} {narrowed.replicas:.{places}f}, {now}"),
        ("twice the examples", f"on new examples {wide} {narrowed.examples:.{places}f}, {now}"),
    ]


def _say_needed(found: Comparison) -> str:
    """Say how many replicas keep the margin, of two arms that have more than one each."""
    if found.replicas_needed is None:
        return f"more than {MOST_REPLICAS:,} replicas of each arm"
    more = max(0, found.replicas_needed - min(found.n))
    have = f"{more} more than there are" if more else "which there are"
    return f"{plural(found.replicas_needed, 'replica')} of each arm, {have}"


def _halve(ends: Interval) -> float:
    return (ends[1] - ends[0]) / 2


def say_headline(found: Comparison, symbols: Symbols = UNICODE) -> str:
    """Say the verdict in a sentence."""
    size = f"{abs(found.difference):.{count_places(found)}f}{unit_of(found)}"
    if found.is_number:
        first, word = ("A", "above") if found.difference > 0 else ("B", "above")
    else:
        first, word = "A" if (found.difference > 0) == (found.measure == "accuracy") else "B", "better than"
    apart = f"{first} is {word} {'B' if first == 'A' else 'A'} by {size}"
    match found.verdict:
        case "real and worth having":
            return f"Real and worth having: {apart}"
        case "real, smaller than the margin":
            return f"Real, smaller than the margin: {apart}"
        case "no difference that matters":
            margin = f"{symbols.plus_minus} {found.margin:g}{unit_of(found)}"
            return f"No difference that matters: A - B lies within {margin}"
        case "undecided":
            return "Undecided: A and B are not told apart"


def explain(found: Comparison, ask: str = "--margin X") -> list[str]:
    """Return sentences that say why the verdict is what it is; `ask` is what takes a margin."""
    if found.ci_test_set is None:
        return ["One replica shows no spread." if min(found.n) < FEWEST else BY_CHANCE]
    where = "while looking" if found.sequential else "on this test set"
    said = [f"{SENTENCES[found.verdict].format(where=where, size=_say_size(found, ask))}."]
    if found.sequential:
        said = ["The replicas were trained until this was decided.", *said]
    if found.verdict == "undecided" and found.margin is None:
        said = [f"The interval {where} holds 0. {ask} says what difference would matter."]
    if found.verdict == "undecided" and found.margin is not None and not found.sequential:
        unit = f"{found.margin:g}{unit_of(found)}"
        if found.replicas_needed is None:
            said.append(f"More than {MOST_REPLICAS:,} replicas of each arm would narrow it to {unit} to each side.")
        elif (more := found.replicas_needed - min(found.n)) > 0:
            said.append(f"{plural(more, 'more replica')} of each arm would narrow it to {unit} to each side.")
    if found.is_told_apart and found.ci_new_examples is not None and _holds(found.ci_new_examples, 0.0):
        said.append("It is not shown for new examples of the same kind.")
    return said


def _say_size(found: Comparison, ask: str) -> str:
    """Say against what a real difference was held, and how it stands to that: the margin, or how often A beats B."""
    is_worth = found.verdict == "real and worth having"
    if found.margin is None:
        often = "may be" if is_worth else "is not"
        return f"one arm {often} ahead in more than 3 of 4 pairs; {ask} says what difference would matter"
    return f"the difference is {'at least' if is_worth else 'below'} the margin of {found.margin:g}{unit_of(found)}"


def _holds(ends: Interval, value: float) -> bool:
    return ends[0] <= value <= ends[1]


def list_remarks(pair: Pair) -> list[tuple[str, list[str]]]:
    """Return what a reader has to know beside the difference, each under a name."""
    found, notes = pair.found, list[tuple[str, list[str]]]()
    if found.disputes is not None:
        own = found.disputes
        ends = "" if own.excess_ci is None else f" [{own.excess_ci[0]:+.2f} {own.excess_ci[1]:+.2f}]"
        between = f"{own.between:.2f} % between A and B, {own.within[0]:.2f} within A, {own.within[1]:.2f} within B"
        notes.append(("disagreement", [between, f"{own.excess:+.2f}{ends} beyond their own"]))
    if pair.settings:
        many = len(pair.settings)
        cause = [f"{many} settings differ, so no one of them is shown to be the cause."] if many > 1 else []
        notes.append(("settings", [*pair.settings, *cause]))
    if pair.trained:
        notes.append(("trained with", [*pair.trained, "The two were not trained alike, which may be the cause, too."]))
    if found.shared:
        is_one = found.shared == 1
        said = f"{plural(found.shared, 'run')} {'is a replica' if is_one else 'are replicas'} of both arms"
        notes.append(("shared", [f"{said}, which the intervals do not know"]))
    if any(found.without_number):
        one, other = found.without_number
        without = f"{one} of A, {other} of B left no {printable(pair.found.comparison.measure)}, or none that is finite"
        notes.append(("left out", [f"{without}: where that has to do with how they went, the rest is no fair sample"]))
    if any(found.diverged):
        said = f"{found.diverged[0]} of A, {found.diverged[1]} of B diverged: the verdict is about those that did not"
        notes.append(("left out", [said]))
    told = zip(found.left_out, found.without_number, found.diverged, strict=True)
    others = [every - number - diverged for every, number, diverged in told]
    if any(others):
        said = (
            f"{others[0]} of A, {others[1]} of B: missing, damaged, without a partner of "
            "the same seeds, or the same network once more"
        )
        notes.append(("left out", [said]))
    return notes


@dataclass(frozen=True)
class Told:
    """One measure of one pair, with its p-value for all comparisons at once."""

    pair: Pair
    found: Comparison
    chance: float


def list_comparisons(pairs: Sequence[Pair]) -> list[Told]:
    """Return every measure of every pair, with p-values that hold for all of them at once (Holm)."""
    every = [(pair, found) for pair in pairs for found in pair.comparisons]
    adjusted = adjust([1.0 if found.p_value is None else found.p_value for _, found in every])
    return [Told(pair, found, chance) for (pair, found), chance in zip(every, adjusted, strict=True)]


def say_count(count: int) -> str:
    """Say for how many comparisons at once the p-values hold."""
    return f"corrected for {plural(count, 'comparison')} at once (Holm)"


def list_pairs(pairs: Sequence[Pair]) -> list[str]:
    """Return a line for each of several comparisons, whose p-values hold for all of them at once."""
    told = list_comparisons(pairs)
    heads = [_head(one, len(pairs)) for one in told]
    width = max(map(len, heads), default=0)
    lines: list[str] = []
    for one, head in zip(told, heads, strict=True):
        found, places = one.found, count_places(one.found)
        ends = show_ends(found.ci_test_set, places).removesuffix(" *")
        chance = show_chance(one.chance)
        lines.append(f"{head:{width}}  {found.difference:+.{places}f} {ends:18} {chance}  {found.verdict}")
    measures = dict.fromkeys(one.found for one in told if one.pair is told[0].pair)
    units = ", ".join(found.unit or printable(found.measure) for found in measures)
    return [*lines, "", f"A - B in {units}, 95 % on this test set; p: of no difference, {say_count(len(told))}"]


def _head(told: Told, pairs: int) -> str:
    """Name a comparison by what tells it from the others: its arms, its measure, or both."""
    names = " - ".join(map(printable, told.pair.names)) if pairs > 1 else ""
    measure = printable(told.found.measure) if told.pair.found.others else ""
    return f"{names}: {measure}" if names and measure else names or measure


def show_chance(chance: float) -> str:
    """Return a p-value."""
    return "p < 0.001" if chance < 0.001 else f"p = {chance:.3f}"
