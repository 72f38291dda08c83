"""Writes how two arms compare for a README, an issue or a paper's notes."""

from __future__ import annotations

from collections.abc import Sequence

from tui.text.arms_compared import (
    Pair,
    count_places,
    explain,
    list_chances,
    list_comparisons,
    list_intervals,
    list_narrowing,
    list_remarks,
    percent,
    say_count,
    say_headline,
    show_chance,
    show_ends,
    unit_of,
)
from tui.text.report import escape_markdown


def format_comparison_markdown(pairs: Sequence[Pair | str]) -> str:
    """Return the verdict, the intervals and all notes on each pair; why one cannot be judged in its place."""
    parts = [_format_pair(pair) for pair in pairs]
    told = list_comparisons([pair for pair in pairs if isinstance(pair, Pair)])
    if len(told) > 1:
        rows = [
            [
                *(one.pair.names if len(pairs) > 1 else ()),
                one.found.measure,
                f"{one.found.difference:+.{count_places(one.found)}f}",
                show_ends(one.found.ci_test_set, count_places(one.found)).removesuffix(" *"),
                show_chance(one.chance),
                one.found.verdict,
            ]
            for one in told
        ]
        heads = [*(("A", "B") if len(pairs) > 1 else ()), "measure", "A - B", "95 %, this test set", "p", "verdict"]
        parts.append([*_make_table(heads, rows), "", f"p: of no difference, {say_count(len(told))}."])
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _format_pair(pair: Pair | str) -> list[str]:
    if isinstance(pair, str):
        return [f"Not compared: {escape_markdown(pair)}"]
    found = pair.found.comparison
    places, unit = count_places(found), unit_of(found)
    arms = [
        [letter, name, str(n), f"{mean:.{places}f}{percent(found)}"]
        for letter, name, n, mean in zip("AB", pair.names, found.n, found.means, strict=True)
    ]
    difference = f"{found.difference:+.{places}f}{unit}"
    intervals = [
        [row.name, difference, show_ends(row.ends, places).removesuffix(" *"), row.said]
        for row in list_intervals(found)
    ]
    listed = [
        *list_chances(found),
        *list_narrowing(found),
        *((name, "; ".join(said)) for name, said in list_remarks(pair)),
    ]
    return [
        f"**{escape_markdown(say_headline(found))}.** {escape_markdown(' '.join(explain(found)))}",
        "",
        *_make_table(["", "arm", "n", found.measure], arms),
        "",
        *_make_table(["95 % interval", "A - B", "", ""], intervals),
        "",
        *(f"- {escape_markdown(name)}: {escape_markdown(said)}" for name, said in listed),
    ]


def _make_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return [
        "| " + " | ".join(cell if number == 1 else escape_markdown(cell) for cell in line) + " |"
        for number, line in enumerate(lines)
    ]
