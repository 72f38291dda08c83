"""The paper's figures as text: CKA by layer, measures against onset, spread by epoch, shares of a crossed design."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from engine.catalog.measures import EPOCH_FIGURES, list_columns
from engine.protocol.faults import printable
from engine.study.curves_record import ArmCurves
from engine.study.instability import SpreadSeries, describe_diverged, select_spreads
from engine.study.metrics_record import ArmMeasures, group_onsets
from tui.text.format import (
    MAX_DIGITS,
    UNICODE,
    Symbols,
    format_interval,
    format_number,
    mark_arm,
    shorten,
    shorten_apart,
)
from tui.text.growth import list_growth
from tui.text.plot import GlyphSet, draw_plot, to_text
from tui.text.scale import fit_scale
from tui.text.series import make_spread_curves
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


def choose_step(share: float, steps: str) -> str:
    """Return the character for a share of 0…1; a file from others may hold any number."""
    return steps[min(len(steps) - 1, int(len(steps) * min(1.0, max(0.0, share))))]


SIMILARITY_NOTES = (
    "features: all positions and channels of a layer side by side; means over positions would give other figures",
    "debiased: with the unbiased HSIC, about 0 for layers that have nothing in common, where CKA itself is not",
)
"""What is said below figure 1, of how layers were made comparable."""


def list_similarity(arms: Iterable[ArmMeasures], symbols: Symbols, *, bar: int) -> list[str]:
    """List figure 1: a line per arm and layer, then how layers were compared."""
    lines: list[str] = []
    for arm in arms:
        layers = arm.cka or ()
        if layers:
            lines.append(f"{arm_name(arm)}, n = {layers[0].n}")
        room = max((len(layer.layer) for layer in layers), default=0)
        figures = [format_interval(layer.cka, layer.cka_ci, 3, symbols) for layer in layers]
        column = max(map(len, figures), default=0)
        for layer, figure in zip(layers, figures, strict=True):
            head = f"  {printable(layer.layer):{room}}  {draw_bar(layer.cka or 0.0, symbols, bar)}  {figure:{column}}"
            debiased = format_interval(layer.cka_debiased, layer.cka_debiased_ci, 3, symbols)
            lines.append(head.rstrip() if layer.cka_debiased is None else f"{head}   debiased {debiased}")
    return [*lines, *SIMILARITY_NOTES] if lines else []


def list_onsets(arms: Iterable[ArmMeasures], symbols: Symbols, *, bar: int) -> list[str]:
    """List figure 2: a line per onset, its bar the disagreement, behind it what the paper's figure shows."""
    arms = list(arms)
    disagreement, *spreads = make_onset_columns(symbols, text=any(arm.text for arm in arms))
    families = group_onsets(arms)
    top = max((_read_share(arm) for family in families.values() for arm in family), default=0.0)
    lines: list[str] = []
    for name, family in families.items():
        heads = ", ".join(f"{column.title} {column.unit}" for column in (disagreement, *spreads))
        lines.append(f"{printable(name)}: {heads}")
        for arm in family:
            share = _read_share(arm) / top if top else 0.0
            figures = "   ".join(column.format(arm, symbols) for column in (disagreement, *spreads))
            lines.append(f"  onset {arm.onset:>4}  {draw_bar(share, symbols, bar)}  {figures}")
    return lines


def make_onset_columns(symbols: Symbols, *, text: bool) -> tuple[Column, ...]:
    """Return the measures that are shown of each onset: disagreement, then the SDs of figure 2."""
    measures = list_columns("published", text=text)
    chosen = [measure for measure in measures if measure.key == "disagreement"]
    return head_columns([*chosen, *(measure for measure in measures if measure.statistic == "sd")], symbols)


def _read_share(arm: ArmMeasures) -> float:
    return arm.find("disagreement").value or 0.0


def list_instability(curves: Iterable[ArmCurves], symbols: Symbols, *, name_width: int, width: int) -> list[str]:
    """List figure 3: each figure's spread by epoch, what diverged, and one bit's first epochs."""
    arms = list(curves)
    spreads = select_spreads(arms).items()
    lines = [
        line
        for figure, series in spreads
        for line in list_spread(figure, series, symbols, name_width=name_width, width=width)
    ]
    return lines + [printable(note) for note in describe_diverged(arms)] + list_first_epochs(arms, symbols)


SPREAD_ROWS = 14
"""Rows of a plot of spread over time."""


def list_spread(
    figure: str, series: Sequence[SpreadSeries], symbols: Symbols, *, name_width: int, width: int
) -> list[str]:
    """List figure 3 of one figure: the SD over replicas by epoch on a logarithmic axis, and a line per arm.

    Args:
        figure: Its name in `EPOCH_FIGURES`.
        series: The arms that are shown.
        symbols: What can be shown.
        name_width: Columns of an arm's name.
        width: Columns in all.
    """
    names = shorten_apart([printable(one.arm.name) for one in series], name_width, symbols)
    curves = make_spread_curves(series, name_width, symbols)
    glyphs: GlyphSet = "braille" if symbols is UNICODE else "ascii"
    scale = fit_scale(curves, log=True)
    lines = [f"SD over replicas of {EPOCH_FIGURES[figure]}, by epoch"]
    if scale is not None:
        lines += to_text(draw_plot(curves, scale, width - FRAME, SPREAD_ROWS, glyphs=glyphs, marks=True)).splitlines()
    for one, name in zip(series, names, strict=True):
        head = f"{mark_arm(one.number, symbols)} {name:{name_width}}"
        sds = f"{head}  SD {one.sd[0]:.3g} first, {one.sd[-1]:.3g} last, {max(one.sd):.3g} most"
        low, high = format_apart(one.low[-1], one.high[-1])
        middle = f"middle 95 % of epoch {one.epochs[-1]}: {low} to {high}"
        room = width - FRAME - len(sds) - 3
        lines += [f"{sds}   {middle}"] if len(middle) <= room else [sds, f"  {'':{name_width}}  {middle}"]
    return lines


def format_apart(low: float, high: float) -> tuple[str, str]:
    """Format the ends of a range with three digits, or as many as tell them apart, and as many decimals."""
    texts = ((f"{low:.{digits}g}", f"{high:.{digits}g}") for digits in range(3, MAX_DIGITS + 1))
    pair = next((pair for pair in texts if pair[0] != pair[1] or low == high), (repr(low), repr(high)))
    if any("e" in text for text in pair) or low == high:
        return pair
    places = max(len(text.partition(".")[2]) for text in pair)
    return f"{low:.{places}f}", f"{high:.{places}f}"


def list_first_epochs(arms: Iterable[ArmCurves], symbols: Symbols) -> list[str]:
    """List the first epochs of arms in which one bit was moved, beside those of the run without; of many, some.

    Where several arms move a bit, those are left out whose accuracies are the same as without.
    """
    moved = [arm for arm in arms if arm.first_epochs]
    told = [arm for arm in moved if len(moved) == 1 or _differs(arm)]
    lines: list[str] = []
    for arm in told:
        lines.append(f"{printable(arm.name)}: accuracy % without the moved bit, and with it (least to most)")
        for row in arm.first_epochs or ():
            ends: tuple[float | None, ...] = (min(row.moved), max(row.moved)) if row.moved else (None, None)
            low, high = (format_number(end, 2, symbols) for end in ends)
            lines.append(f"  epoch {row.epoch}  {format_number(row.unmoved, 2, symbols):>6}   {low} to {high}")
    if len(moved) > len(told):
        left = len(moved) - len(told)
        lines.append(
            f"in {left} {'arm' if left == 1 else 'arms'} a moved bit leaves the first epochs' accuracies as they are"
        )
    return lines


def _differs(arm: ArmCurves) -> bool:
    return any(accuracy != row.unmoved for row in arm.first_epochs or () for accuracy in row.moved)


HEAT = " ░▒▓█"
HEAT_ASCII = " .:+#"
"""Characters from the least to the most."""

LAYER_COLUMNS = 9
"""Columns of a layer in the heat of all arms."""


def draw_layer_heat(arms: Iterable[ArmMeasures], symbols: Symbols, *, name_width: int, width: int) -> list[str]:
    """Draw the CKA of every arm and layer as one square, full where replicas are most alike.

    Args:
        arms: The arms; those without layers are left out.
        symbols: What can be shown.
        name_width: Columns of names.
        width: Columns in all; layers beyond it are left out, as the last line says.
    """
    known = [arm for arm in arms if arm.cka]
    layers = list(dict.fromkeys(layer.layer for arm in known for layer in arm.cka or ()))
    shown = layers[: max(1, (width - name_width) // LAYER_COLUMNS)]
    # Names of layers are whole where all layers have room for that.
    longest = max((len(printable(name)) for name in shown), default=0) + 2
    columns = max(LAYER_COLUMNS, min(longest, (width - name_width) // max(1, len(shown))))
    steps = HEAT if symbols is UNICODE else HEAT_ASCII
    heads = "".join(f"{shorten(printable(name), columns - 1, symbols):>{columns}}" for name in shown)
    lines = [f"{'':{name_width}}{heads}"] if known else []
    for arm in known:
        values = {layer.layer: layer.cka for layer in arm.cka or ()}
        cells = [
            f"{symbols.missing:>{columns}}" if (value := values.get(name)) is None
            else f"{choose_step(value, steps) * (columns - 6):>{columns - 5}} {value:.2f}"
            for name in shown
        ]  # fmt: skip
        lines.append(f"{shorten(arm_name(arm), name_width - 1, symbols):{name_width}}{''.join(cells)}")
    left_out = len(layers) - len(shown)
    return [*lines, f"{left_out} more layers stand below"] if left_out and known else lines


CROSSED_NOTES = (
    "accuracy: on this test set, where chance in which examples are right counts as interaction",
    "true accuracy: on all data of this kind, from the covariance of different examples; shares of what is above 0",
)
"""What is said below the shares of a crossed design."""


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
    return [*lines, *CROSSED_NOTES] if lines else []


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
        "growth of a moved bit": list_growth(arms, symbols, name_width=name_width, width=width - FRAME),
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
