"""`plan` without a study: from the SD of a published row, from a number, or for telling two SDs apart."""

from __future__ import annotations

import sys

import msgspec

from engine.catalog.published import PublishedRow, list_tables, read_replication, read_tables
from engine.errors import EXIT_OK, NondetError
from engine.protocol.faults import cut, printable, suggest
from engine.study.comparison_record import PowerPlan, RatioPlan
from tui.commands.measuring import ask
from tui.commands.plan import print_json, print_plan
from tui.commands.typed import read_margin, read_number, read_power
from tui.text.format import choose_symbols
from tui.text.replica_plans import describe_ratio

SPREADS = {"accuracy": "accuracy_sd", "cross-entropy": "cross_entropy_sd", "perplexity": "perplexity_sd"}
"""What is compared → the figure of a published row that is its SD."""

LARGEST_RATIO = 1000.0


def plan_spread(
    table: str | None, sd: str | None, *, measure: str | None, margin: str, power: str, as_json: bool, out: str | None
) -> int:
    """Print how many replicas a difference needs, of arms that scatter as a published row does, or by a number.

    Args:
        table: TABLE:ROW; None where `sd` is given.
        sd: The SD of an arm's replicas, taken for the true one, as it was typed.
        measure: What is compared; None for the first that the row has, or accuracy.
        margin: The smallest difference worth having, as it was typed.
        power: The probability with which it is to be found, as it was typed.
        as_json: Whether JSON is printed, and nothing else.
        out: Folder for a picture; None for no picture.

    Raises:
        NondetError: If there is no such row or figure, or a number is none.
    """
    limit, wanted = read_margin(margin), read_power(power)
    if table is not None:
        name, row = find_row(table)
        found = choose_measure(row, measure)
        spread, replicas, names = row.figures[SPREADS[found]], str(row.replicas), [f"{name}: {row.name} ({row.kind})"]
    else:
        found = measure or "accuracy"
        if found not in SPREADS:
            raise NondetError(f"--measure {printable(found)}: one of {', '.join(SPREADS)}")
        spread = read_number("--sd", sd or "", "a number above 0, such as --sd 1.5", lambda number: number > 0)
        replicas, names = "", ["an SD that is taken for the true one"]
    plan = ask(PowerPlan, "spread", repr(spread), replicas, found, repr(limit), repr(wanted))
    print_plan(plan, names, as_json=as_json, out=out)
    return EXIT_OK


def plan_ratio(ratio: str, *, power: str, as_json: bool) -> int:
    """Print how many replicas tell two SDs apart.

    Raises:
        NondetError: If a number is none.
    """
    wanted = read_power(power)
    allowed = f"a number above 1 and at most {LARGEST_RATIO:g}, such as --ratio 1.5"
    number = read_number("--ratio", ratio, allowed, lambda number: 1 < number <= LARGEST_RATIO)
    found = ask(RatioPlan, "ratio", repr(number), repr(wanted))
    if as_json:
        print_json(msgspec.structs.asdict(found))
    else:
        sys.stdout.write("\n".join([*describe_ratio(found, choose_symbols(sys.stdout.encoding)), ""]))
    return EXIT_OK


def find_row(text: str) -> tuple[str, PublishedRow]:
    """Return the table and the row of TABLE:ROW, of the paper where both have it; case does not matter.

    Raises:
        NondetError: If there is none; names those that there are.
    """
    table, _, name = text.partition(":")
    if table not in list_tables():
        raise NondetError(f"--from {cut(printable(text), 80)}: no published table: {suggest(table, list_tables())}")
    rows = [row for read in (read_tables, read_replication) for row in read().get(table, ())]
    rows = [row for row in rows if any(row.figures.get(field) for field in SPREADS.values())]
    found = next((row for row in rows if row.name.lower() == name.strip().lower()), None)
    if found is None:
        names = list(dict.fromkeys(row.name for row in rows))
        remedy = suggest(name, names)
        raise NondetError(f'--from {cut(printable(text), 80)}: name a row, as --from "{table}:{names[0]}": {remedy}')
    return table, found


def choose_measure(row: PublishedRow, measure: str | None) -> str:
    """Return what is compared: what was asked for, else the first that the row has an SD of.

    Raises:
        NondetError: If it has none of that.
    """
    known = [name for name, field in SPREADS.items() if row.figures.get(field)]
    if measure is not None and measure not in known:
        raise NondetError(f"--measure {printable(measure)}: of this row the SD is published of {', '.join(known)}")
    return measure or known[0]
