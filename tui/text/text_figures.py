"""The paper's figures as text: CKA by layer, measures against onset, SD by epoch, shares of a crossed design."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from engine.catalog.measures import find_measure
from engine.protocol.faults import printable
from engine.study.curves_record import ArmCurves
from engine.study.metrics_record import ArmMeasures, group_onsets
from engine.study.similarity_record import ArmSimilarity
from tui.text.format import UNICODE, Symbols, format_interval, format_number, shorten
from tui.text.tables import Column, arm_name, head_columns

BAR_WIDTH = 24
NARROW_BAR_WIDTH = 10
NARROW = 100
"""Columns below which bars are short."""

FRAME = 4
"""Columns of a panel's border and padding."""

NAME_WIDTH = 28
NARROW_NAME_WIDTH = 18


def draw_bar(value: float, symbols: Symbols, width: int) -> str:
    """Draw a share of 0…1 as a bar."""
    filled = round(width * min(1.0, max(0.0, value)))
    return symbols.bar * filled + symbols.bar_rest * (width - filled)


def draw_levels(values: Sequence[float | None], symbols: Symbols, width: int) -> str:
    """Draw values as heights of characters, the largest full; a space where there is none.

    Longer series are cut into `width` parts of which each shows its largest value.
    """
    parts = [list(values)[i * len(values) // width : (i + 1) * len(values) // width] for i in range(width)]
    cells = values if len(values) <= width else [max((v for v in p if v is not None), default=None) for p in parts]
    top = max((value for value in cells if value is not None), default=0.0)
    steps = symbols.levels
    return "".join(
        " " if value is None else choose_step(value / top, steps) if top > 0 else steps[0] for value in cells
    )


def choose_step(share: float, steps: str) -> str:
    """Return the character for a share of 0…1; a file from others may hold any number."""
    return steps[min(len(steps) - 1, int(len(steps) * min(1.0, max(0.0, share))))]


def list_similarity(arms: Iterable[ArmMeasures], symbols: Symbols, *, bar: int) -> list[str]:
    """List figure 1: a line per arm and layer."""
    lines: list[str] = []
    for arm in arms:
        layers = arm.cka or ()
        if layers:
            lines.append(f"{arm_name(arm)}, n = {layers[0].n}")
        room = max((len(layer.layer) for layer in layers), default=0)
        for layer in layers:
            figure = format_interval(layer.cka, layer.cka_ci, 3, symbols)
            lines.append(f"  {printable(layer.layer):{room}}  {draw_bar(layer.cka or 0.0, symbols, bar)}  {figure}")
    return lines


def list_onsets(arms: Iterable[ArmMeasures], symbols: Symbols, *, bar: int) -> list[str]:
    """List figure 2: a line per onset, its bar the disagreement."""
    disagreement, spread = make_onset_columns(symbols)
    families = group_onsets(arms)
    top = max((_read_share(arm) for family in families.values() for arm in family), default=0.0)
    lines: list[str] = []
    for name, family in families.items():
        heads = ", ".join(f"{column.title} {column.unit}" for column in (disagreement, spread))
        lines.append(f"{printable(name)}: {heads}")
        for arm in family:
            share = _read_share(arm) / top if top else 0.0
            figures = f"{disagreement.format(arm, symbols)}   SD {spread.format(arm, symbols)}"
            lines.append(f"  onset {arm.onset:>4}  {draw_bar(share, symbols, bar)}  {figures}")
    return lines


def make_onset_columns(symbols: Symbols) -> tuple[Column, Column]:
    """Return the two measures that are shown of each onset."""
    disagreement, spread = head_columns(
        (find_measure("images", "disagreement"), find_measure("images", "accuracy_sd")), symbols
    )
    return disagreement, spread


def _read_share(arm: ArmMeasures) -> float:
    return arm.find("disagreement").value or 0.0


def list_instability(curves: Iterable[ArmCurves], symbols: Symbols, *, name_width: int, width: int) -> list[str]:
    """List figure 3: a line per arm with the SD over replicas by epoch; below, one bit's first epochs."""
    arms = list(curves)
    lines: list[str] = []
    for arm in arms:
        found = arm.test_perplexity or arm.test_accuracy
        if found is None or max(found.n, default=0) < 2:
            continue
        name = shorten(printable(arm.name), name_width, symbols)
        spread = [value for value in found.sd if value is not None]
        first, last, most = (format_number(v, 2, symbols) for v in (found.sd[0], found.sd[-1], max(spread)))
        figures = f"SD {first} first, {last} last, {most} most"
        room = max(8, width - FRAME - name_width - len(figures) - 4)
        picture = draw_levels(found.sd, symbols, min(room, len(found.sd)))
        lines.append(f"{name:{name_width}}  {picture}  {figures}")
    for arm in arms:
        if arm.first_epochs:
            lines.append(f"{printable(arm.name)}: accuracy % without the moved bit, and with it (least to most)")
        for row in arm.first_epochs or ():
            ends: tuple[float | None, ...] = (min(row.moved), max(row.moved)) if row.moved else (None, None)
            low, high = (format_number(end, 2, symbols) for end in ends)
            lines.append(f"  epoch {row.epoch}  {format_number(row.unmoved, 2, symbols):>6}   {low} to {high}")
    return lines


HEAT = " ░▒▓█"
HEAT_ASCII = " .:+#"


def list_pairs(arms: Iterable[ArmSimilarity], symbols: Symbols = UNICODE, *, width: int) -> list[str]:
    """Draw the CKA of every pair of replicas, a square per arm and layer; light is unlike, full is alike.

    Args:
        arms: The arms of cka.json.
        symbols: What can be shown.
        width: Columns; squares stand side by side as far as there is room, replicas beyond it are left out.
    """
    steps = HEAT if symbols is UNICODE else HEAT_ASCII
    lines: list[str] = []
    for arm in arms:
        lines.append(f"{printable(arm.name)}: CKA of every pair of replicas, from 0 ({steps[0]!r}) to 1 ({steps[-1]})")
        squares: list[list[str]] = []
        for layer in arm.layers:
            matrix = [row[: width // 2] for row in layer.cka[: width // 2]]
            rows = ["".join(choose_step(value, steps) for value in row) for row in matrix]
            title = printable(layer.name)
            room = max(len(title), len(matrix), 6)
            values = [v for i, row in enumerate(matrix) for v in row[i + 1 :]]
            least = f"≥ {min(values):.2f}" if values else symbols.missing
            least = least if symbols is UNICODE else least.replace("≥", ">=")
            squares.append([f"{text:{room}}" for text in (title, *rows, least)])
        lines += _place_side_by_side(squares, width)
    return lines


def _place_side_by_side(squares: list[list[str]], width: int) -> list[str]:
    """Put blocks of lines in rows that fit the width, an empty line below each row of blocks."""
    lines: list[str] = []
    row: list[list[str]] = []
    for square in [*squares, None]:
        taken = sum(len(s[0]) + 2 for s in row)
        if row and (square is None or taken + len(square[0]) > width):
            height = max(map(len, row))
            for number in range(height):
                cells = [s[number] if number < len(s) else " " * len(s[0]) for s in row]
                lines.append("  ".join(cells).rstrip())
            lines.append("")
            row = []
        if square is not None:
            row.append(square)
    return lines


def list_crossed(arms: Iterable[ArmMeasures], symbols: Symbols, *, bar: int) -> list[str]:
    """List the shares of main effects and interaction in the variance of each figure."""
    lines: list[str] = []
    for arm in arms:
        grid = arm.crossed
        if grid is None:
            continue
        size = " x ".join(f"{level} {source}" for source, level in zip(grid.sources, grid.levels, strict=True))
        lines.append(f"{arm_name(arm)}: {size}")
        if grid.reason is not None:
            lines.append(f"  {grid.reason}")
        labels = (*grid.sources, "interaction")
        room = max(map(len, labels))
        for name, parts in grid.figures.items():
            for label, found in zip(labels, (parts.first, parts.second, parts.interaction), strict=True):
                percent = symbols.missing if found.share is None else f"{100 * found.share:.0f} %"
                ends = "" if found.ci is None else f" [{found.ci[0]:.2g} {found.ci[1]:.2g}]"
                head = f"  {name:17} {label:{room}}  {draw_bar(found.share or 0.0, symbols, bar)}"
                lines.append(f"{head} {percent:>5}  variance {found.variance:.2g}{ends}")
    return lines


def make_figure_panels(
    study: str,
    arms: Sequence[ArmMeasures],
    curves: Sequence[ArmCurves],
    symbols: Symbols = UNICODE,
    *,
    width: int = 120,
) -> list[RenderableType]:
    """Draw a panel for each figure that the study has."""
    bar = BAR_WIDTH if width >= NARROW else NARROW_BAR_WIDTH
    name_width = NAME_WIDTH if width >= NARROW else NARROW_NAME_WIDTH
    figures = {
        "figure 1, CKA by layer, mean over pairs": list_similarity(arms, symbols, bar=bar),
        "figure 2, onset": list_onsets(arms, symbols, bar=bar),
        "figure 3, spread by epoch": list_instability(curves, symbols, name_width=name_width, width=width),
        "crossed design, shares of variance": list_crossed(arms, symbols, bar=bar),
    }
    return [
        Panel(
            Group(*(Text(line) for line in lines)),
            title=Text(f" {printable(study)}: {title} "),
            title_align="left",
            box=symbols.frame,
        )
        for title, lines in figures.items()
        if lines
    ]
