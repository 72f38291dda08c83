"""Makes the lines that tell how two arms compare: the verdict in words, the intervals as a picture, all the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.style import Style
from rich.text import Text

from engine.protocol.faults import printable
from engine.study.comparison_record import Comparison, Disputes
from tui.app.schemes import arm_style
from tui.app.screens.compare_data import Candidate, Shown
from tui.app.widgets.lines import Line, wrap_lines
from tui.text.arms_compared import (
    Pair,
    Told,
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
from tui.text.difference_forest import MOST_ROOM, draw_difference, name_guides
from tui.text.format import Symbols, mark_arm, shorten
from tui.text.strips import draw_strips
from tui.text.tables import arm_name
from tui.text.versus import LEAST_PICTURE, Row, compare_measures, explain_rows

NAME, ENDS = 20, 22
"""Columns of what is said, and of an interval."""

SAID = 60
"""Columns of what an interval rests on, where it stands behind the picture."""

TITLE, VALUE, FIGURES, VERDICT = 22, 18, 28, 19
"""Columns of a measure's name, of a figure, of a difference with its interval, and of what is said of it."""

ASK = "w or +"
"""The keys that take a margin."""

DIM, BOLD = Style(dim=True), Style(bold=True)


def make_comparison(shown: Shown | None, width: int, theme: str, symbols: Symbols) -> list[Line]:
    """Tell how two arms compare.

    Args:
        shown: What is known; None before two arms are chosen.
        width: Columns at hand.
        theme: The framework's name of the theme.
        symbols: What can be shown.
    """
    width = max(width, NAME + ENDS)
    if shown is None:
        return wrap_lines("Choose two arms: the cursor of each list is the choice.", width)
    sides = (shown.question.first, shown.question.second)
    if shown.pair is None:
        said = shown.fault or f"comparing {symbols.ellipsis}"
        return [*wrap_lines(said, width), Line(Text("")), *_name_arms(sides, None, width, theme, symbols)]
    pair, found = shown.pair, shown.pair.found.comparison
    told = " ".join(explain(found, ASK))
    sections = [
        [Line(Text(part.text.plain, BOLD)) for part in wrap_lines(say_headline(found, symbols), width)]
        + wrap_lines(told, width),
        [*_name_arms(sides, pair, width, theme, symbols), *_say_notes(pair, width)],
        [*_draw_intervals(found, width, symbols), *_say_rest(found, width, symbols)],
        _list_measures(list_comparisons([pair]), width),
        _draw_disputes(pair.found.disputes, width, sides, theme, symbols),
        _draw_replicas(found, width, sides, theme, symbols),
        _list_spreads(sides, width, symbols),
    ]
    lines: list[Line] = []
    for section in sections:
        lines += [*([Line(Text(""))] if lines and section else []), *section]
    return lines


def _name(name: str, said: Sequence[str], width: int) -> list[Line]:
    """Put a name in front of the first of some sentences."""
    parts = [part for text in said for part in wrap_lines(text, width - NAME)]
    return [
        Line(Text.assemble((f"{name if not number else '':{NAME}}", BOLD), part.text.plain))
        for number, part in enumerate(parts)
    ]


def _name_arms(
    sides: tuple[Candidate, Candidate], pair: Pair | None, width: int, theme: str, symbols: Symbols
) -> list[Line]:
    """Name both arms with their replicas and means."""
    texts: list[tuple[str, str]] = []
    for place, one in enumerate(sides):
        found = None if pair is None else pair.found.comparison
        n = one.arm.n if found is None else found.n[place]
        mean = "" if found is None else f"{found.means[place]:.{count_places(found)}f}{percent(found)}"
        measure = "" if found is None else f"{printable(found.measure)} "
        texts.append((f"{arm_name(one.arm)}  ", f"{printable(one.paths.name)}, n = {n}   {measure}{mean}".rstrip()))
    room = max(12, width - 4 - max(len(rest) for _, rest in texts) - 1)
    longest = min(room, max(len(name) for name, _ in texts))
    lines: list[Line] = []
    for letter, one, (name, rest) in zip("AB", sides, texts, strict=True):
        text = Text(f"{letter} ", BOLD, no_wrap=True)
        text.append(f"{mark_arm(one.number, symbols)} ", arm_style(one.number, theme))
        text.append(f"{shorten(name, longest, symbols):{longest}}", arm_style(one.number, theme))
        lines.append(Line(text.append(rest, Style(bold=False))))
    return lines


def _say_notes(pair: Pair, width: int) -> Iterator[Line]:
    """Say in what the arms differ beside their figures, and which replicas were not compared."""
    for name, said in list_remarks(pair):
        if name != "disagreement":  # which has a picture
            yield from _name(name, ["; ".join(said)], width)


def _draw_intervals(found: Comparison, width: int, symbols: Symbols) -> list[Line]:
    """Draw the difference with its intervals, each with what it promises."""
    rows, places = list_intervals(found), count_places(found)
    beside = width >= NAME + ENDS + SAID + 30
    room = min(MOST_ROOM, width - NAME - ENDS - (SAID if beside else 0))
    drawn = draw_difference(found, [row.ends for row in rows], room, symbols)
    value = f"{found.difference:+.{places}f}{unit_of(found)}"
    guides = name_guides(found.margin, symbols)
    lines = [Line(Text.assemble((f"{'A - B':{NAME}}{value:{ENDS}}", BOLD), (guides if drawn else "", DIM)))]
    for row, picture in zip(rows, drawn or [""] * len(rows), strict=False):
        ends = show_ends(row.ends, places)
        style = BOLD if row.ends == found.judging else Style()
        text = Text.assemble((f"{row.name:{NAME}}", ""), (f"{ends:{ENDS}}", style), (picture, style), no_wrap=True)
        lines.append(Line(text.append(f"  {row.said}", DIM) if beside else text))
        if not beside and row.said:
            lines.append(Line(Text(f"{'':{NAME}}{row.said}", DIM, no_wrap=True)))
    return [*lines, *(Line(Text(f"{'':{NAME + ENDS}}{row}", DIM, no_wrap=True)) for row in drawn[len(rows) :])]


def _say_rest(found: Comparison, width: int, symbols: Symbols) -> Iterator[Line]:
    """Say how often one beats the other, and what would narrow the intervals."""
    for name, said in (*list_chances(found), *list_narrowing(found, symbols)):
        yield from _name(name, [said], width)


def _list_measures(told: Sequence[Told], width: int) -> list[Line]:
    """List every measure of both, with p-values for all of them at once."""
    if len(told) < 2:
        return []
    title = max(NAME, *(len(printable(one.found.measure)) + 2 for one in told))
    lines = [Line(Text(f"All measures, p {say_count(len(told))}", BOLD))]
    for one in told:
        found, places = one.found, count_places(one.found)
        means = "  ".join(f"{mean:>9.{places}f}" for mean in found.means)
        ends = f"{found.difference:+.{places}f} {show_ends(found.ci_test_set, places).removesuffix(' *')}"
        head = f"{printable(found.measure):{title}}"
        wide = width >= title + 2 * 11 + 32 + 40
        row = f"{head}{means}  {ends:32}" if wide else f"{head}{ends:26}"
        lines.append(Line(Text(f"{row}{show_chance(one.chance):11}{found.verdict}", no_wrap=True)))
    return lines


def _draw_disputes(
    disputes: Disputes | None, width: int, sides: tuple[Candidate, Candidate], theme: str, symbols: Symbols
) -> list[Line]:
    """Draw how often replicas of both disagree, beside those of each."""
    if disputes is None:
        return []
    names = ("A with B", "A with itself", "B with itself")
    values = (disputes.between, *disputes.within)
    room = min(MOST_ROOM, width - NAME - 8)
    styles = (Style(), *(arm_style(one.number, theme) for one in sides))
    ends = "" if disputes.excess_ci is None else f" [{disputes.excess_ci[0]:+.2f} {disputes.excess_ci[1]:+.2f}]"
    lines = [Line(Text(f"Disagreement, % of examples: {disputes.excess:+.2f}{ends} beyond their own", BOLD))]
    most = max(values) or 1.0
    for name, value, style in zip(names, values, styles, strict=True):
        bar = symbols.bar * round(room * value / most)
        lines.append(Line(Text.assemble(f"{name:{NAME}}{value:6.2f}  ", (bar, style), no_wrap=True)))
    return lines


def _draw_replicas(
    found: Comparison, width: int, sides: tuple[Candidate, Candidate], theme: str, symbols: Symbols
) -> list[Line]:
    """Draw each replica of both on one axis."""
    room = min(MOST_ROOM + ENDS, width - 4)
    if not all(found.figures):
        return []
    marks = [mark_arm(one.number, symbols) for one in sides]
    drawn = draw_strips(list(zip(marks, found.figures, strict=True)), room, symbols)
    unit = percent(found).strip()
    head = f"Replicas by {printable(found.measure)}{f', {unit}' if unit else ''}; a digit is as many in one place"
    lines = [Line(Text(head, BOLD))]
    for letter, one, row in zip("AB", sides, drawn, strict=False):
        lines.append(Line(Text.assemble((f"{letter}   ", BOLD), (row, arm_style(one.number, theme)), no_wrap=True)))
    return [*lines, *(Line(Text(f"    {row}", DIM, no_wrap=True)) for row in drawn[2:])]


def _list_spreads(sides: tuple[Candidate, Candidate], width: int, symbols: Symbols) -> list[Line]:
    """List how far each scatters and how alike its replicas are, with what differs."""
    one, other = (side.arm for side in sides)
    rest = width - TITLE - 2 * VALUE - FIGURES - VERDICT - 5
    wide = rest >= LEAST_PICTURE
    rows = compare_measures(one, other, rest if wide else width - FIGURES - VERDICT - 4, symbols)
    rows = [row for row in rows if row.difference or wide]
    if not any(row.difference for row in rows):
        return []
    lines = [Line(Text("Spread and likeness of the replicas", BOLD))]
    if wide:
        heads = f"{'':{TITLE}} {'A':>{VALUE}} {'B':>{VALUE}} {'difference or ratio':>{FIGURES}}"
        lines.append(Line(Text(heads, DIM)))
    lines += [line for row in rows for line in ([_draw_wide(row)] if wide else _draw_narrow(row))]
    return [*lines, *(part for text in explain_rows(rows) for part in _dim(wrap_lines(text, width, indent="  ")))]


def _dim(lines: Sequence[Line]) -> list[Line]:
    return [Line(Text(line.text.plain, DIM)) for line in lines]


def _draw_wide(row: Row) -> Line:
    """Return a measure in one line."""
    figures = f"{row.title:{TITLE}} {row.one:>{VALUE}} {row.other:>{VALUE}} {row.difference:>{FIGURES}} "
    style = "bold" if row.is_seen else ""
    return Line(
        Text.assemble((figures, style), (row.picture, style), (f" {row.verdict}", style or "dim"), no_wrap=True)
    )


def _draw_narrow(row: Row) -> list[Line]:
    """Return a measure in two lines."""
    style = "bold" if row.is_seen else ""
    second = f"  {row.picture} {row.difference:{FIGURES}} {row.verdict}"
    return [Line(Text(f"{row.title}: {row.one} and {row.other}", style)), Line(Text(second, style, no_wrap=True))]
