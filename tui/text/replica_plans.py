"""Tells in lines how many replicas a difference needs, with a curve of power and what it costs."""

from __future__ import annotations

from collections.abc import Sequence

from engine.protocol.faults import printable
from engine.study.comparison_record import MOST_REPLICAS, UNITS, PowerPlan, RatioPlan
from tui.text.counts import plural
from tui.text.format import UNICODE, Symbols, format_number, format_seconds

WIDTH, BAR = 30, 40
PILOT = 100
"""Replicas of each arm that a plan without an answer says the use of."""


def describe_plan(plan: PowerPlan, names: Sequence[str], symbols: Symbols = UNICODE) -> list[str]:
    """Return the lines that tell what a pilot's spread asks for.

    Args:
        plan: What was found.
        names: Of the arms of the pilot, one or two.
        symbols: Characters that the stream can show.
    """
    unit = f" {UNITS.get(plan.measure, '')}".rstrip()
    counts = " and ".join(str(n) for n in plan.n)
    planned, upper = "SD that is planned with", format_number(plan.sd_upper, 3)
    by_seed = ", paired by seed" if plan.paired else ""
    lines = [
        *(f"{'' if number else 'pilot':{WIDTH}}{printable(name)}" for number, name in enumerate(names)),
        *([f"{'':{WIDTH}}n = {counts}{by_seed}"] if plan.n else []),
        f"{'SD of a difference':{WIDTH}}{format_number(plan.sd, 3)}{unit}",
        *([f"{planned:{WIDTH}}{upper}{unit}, at most that in 4 of 5 studies"] if plan.n else []),
        "",
        "replicas of each arm",
        *_list_answers(plan, unit, symbols),
    ]
    if plan.seconds and max(plan.seconds) > 0 and plan.replicas is not None:
        cost = plan.replicas * sum(plan.seconds) * (2 if len(plan.seconds) == 1 else 1)
        lines.append(
            f"{'time of training':{WIDTH}}{format_seconds(cost, symbols)} on the device of the pilot, one by one"
        )
    return [*lines, "", f"power: how often a true difference of {plan.margin:g}{unit} is found", *_draw(plan, symbols)]


def describe_ratio(plan: RatioPlan, symbols: Symbols = UNICODE) -> list[str]:
    """Return the lines that tell how many replicas tell two SDs apart."""
    apart = f"SDs of 1 and {plan.ratio:.15g}"
    left = "a larger ratio is needed: with a ratio of 1.5 some fifty replicas of each arm are enough"
    return [
        "replicas of each arm",
        f"{_put_count(f'  to tell {apart} apart', plan.replicas)}  in {100 * plan.power:g} % of studies",
        f"{'':{WIDTH}}{'':6}  F test of 5 %, for figures that scatter normally",
        *([left] if plan.replicas is None else []),
        "",
        f"power: how often {apart} are told apart",
        *_draw(plan, symbols),
    ]


def _draw(plan: PowerPlan | RatioPlan, symbols: Symbols) -> list[str]:
    """Draw the curve of power as a bar for each number of replicas."""
    return [f"{count:>6}  {100 * power:3.0f} %  {symbols.bar * round(BAR * power)}" for count, power in plan.curve]


def _list_answers(plan: PowerPlan, unit: str, symbols: Symbols) -> list[str]:
    size = f"{plan.margin:g}{unit}"
    answers = [
        (f"  to find {size}", plan.replicas, f"in {100 * plan.power:g} % of studies, if it is there"),
        (f"  to know it to {symbols.plus_minus} {size}", plan.replicas_width, "half the width of the 95 % interval"),
        ("  to show that it is less", plan.replicas_equal, f"in {100 * plan.power:g} % of studies, if there is none"),
    ]
    more = max(0, (plan.replicas or 0) - min(plan.n)) if plan.n else 0
    lines = [f"{_put_count(name, count)}  {said}" for name, count, said in answers]
    if any(count is None for _, count, _ in answers):
        # Half the width of the 95 % interval is close to two standard errors of the difference.
        known = f"{symbols.plus_minus} {2 * plan.sd_upper / PILOT**0.5:.3g}{unit}"
        lines.append(f"a larger margin is needed: {PILOT} replicas of each arm know it to about {known}")
    if more:
        lines.append(f"{'':{WIDTH}}{'':6}  {plural(more, 'more replica')} of each than the pilot has")
    return lines


def _put_count(name: str, count: int | None) -> str:
    """Return a name and its count, in columns as far as they fit, and always apart."""
    shown = f"more than {MOST_REPLICAS:,}" if count is None else str(count)
    return name + " " * max(2, WIDTH + 6 - len(name) - len(shown)) + shown
