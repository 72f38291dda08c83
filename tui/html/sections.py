"""Makes the sections of a page about a study: pure functions of what was read of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.catalog.measures import EPOCH_FIGURES
from engine.protocol.faults import printable
from engine.study.instability import SpreadSeries, describe_diverged, select_spreads
from engine.study.metrics_record import ArmMeasures, group_onsets
from tui.html.content import Fact, Figure, StudyData
from tui.html.curves import MOST_BANDS, draw_lines, list_growth_lines, list_means, list_onsets, list_spreads
from tui.html.forest import draw_forest, list_rows
from tui.html.layers import MOST_ARMS, MOST_LAYERS, MOST_REPLICAS, draw_heat, list_shown_layers
from tui.text.counts import plural
from tui.text.format import UNICODE, format_interval, format_number, format_seconds
from tui.text.growth import TITLE, GrowthFamily, describe_growth, group_growth
from tui.text.tables import arm_name, pick_columns
from tui.text.text_figures import SIMILARITY_NOTES, make_onset_columns

LISTED = 3
"""Names that a list has; of more it says how many."""

MOST_DRAWN = 40
"""Arms that a picture has at most; tables have all of them."""


@dataclass(frozen=True)
class Drawn:
    """Pictures of one kind, the arms that are in them, and what is said of what is not."""

    figures: tuple[Figure, ...] = ()
    legend: tuple[tuple[int, str], ...] = ()
    """Place in the protocol and name of each arm that is in them."""
    notes: tuple[str, ...] = ()


def name_left_out(drawn: int, total: int, what: str) -> tuple[str, ...]:
    """Say how many are not in the pictures, where some are not."""
    return (f"{total - drawn} of {total} {what} are left out of the pictures.",) if drawn < total else ()


def list_facts(data: StudyData) -> list[Fact]:
    """Say what was run: runs, replicas, devices, dates."""
    plan, runs = data.plan, data.runs
    devices = list(dict.fromkeys(one.device for one in runs.trained_with))
    versions = list(dict.fromkeys(one.versions for one in runs.trained_with if one.versions))
    replicas = sum(arm.planned for arm in data.arms)
    epochs = sorted(set(plan.epochs.values()))
    facts = [
        Fact("runs", f"{runs.done:,} of {len(plan.order):,} done"),
        Fact("replicas", f"{sum(arm.n for arm in data.arms):,} of {replicas:,} in {plural(len(data.arms), 'arm')}"),
        Fact("epochs", f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}") if epochs else None,
        Fact("trained on", shorten_list(devices)) if devices else None,
        Fact("with", shorten_list(versions)) if versions else None,
        Fact("trained", format_dates(runs.first, runs.last)) if runs.last else None,
        Fact("time of all runs", format_seconds(runs.seconds)) if runs.done else None,
    ]
    return [fact for fact in facts if fact is not None]


def shorten_list(names: Sequence[str]) -> str:
    """Return names as a list; of many the first, and how many more there are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return printable("; ".join(names[:LISTED]) + more)


def format_dates(first: str | None, last: str | None) -> str:
    """Return two times as days with hours and minutes, the day once where it is the same."""
    start, end = ((time or "")[:16].replace("T", " ") for time in (first, last))
    zone = " UTC" if (last or "").endswith("+00:00") else ""
    if not start:
        return printable(end + zone)
    return printable(f"{start} to {end[11:] if start[:10] == end[:10] else end}{zone}")


def draw_forests(data: StudyData) -> Drawn:
    """Draw every measure of the table with its intervals."""
    arms = list(enumerate(data.arms))[:MOST_DRAWN]
    figures: list[Figure] = []
    for column in pick_columns(data.arms, UNICODE):
        rows = list_rows(arms, column, data.plan.reference)
        if rows:
            zero, bounds = column.measure.wants_zero, column.measure.bounds
            figures.append(Figure(draw_forest(rows, f"{column.title}, {column.unit}", zero=zero, bounds=bounds)))
    return Drawn(tuple(figures), notes=name_left_out(len(arms), len(data.arms), "arms"))


def draw_spreads(data: StudyData) -> Drawn:
    """Draw figure 3: the SD over replicas by epoch, and mean and middle 95 % beside it."""
    figures: list[Figure] = []
    legend: dict[int, str] = {}
    total = 0
    for figure, series in select_spreads(data.measured.curves).items():
        places = {one.arm.name: data.numbers.get(one.arm.name, one.number) for one in series}
        placed = [one._replace(number=places[one.arm.name]) for one in series][:MOST_DRAWN]
        total = max(total, len(series))
        names = {one.number: printable(one.arm.name) for one in placed}
        legend |= names
        figures += draw_figure(figure, placed, names)
    notes = name_left_out(len(legend), total, "arms")
    notes += tuple(printable(note) for note in describe_diverged(data.measured.curves))
    return Drawn(tuple(figures), tuple(sorted(legend.items())), notes)


def draw_figure(figure: str, series: Sequence[SpreadSeries], names: dict[int, str]) -> list[Figure]:
    """Draw the SD and the mean of one figure by epoch, by its name in `EPOCH_FIGURES`; names by the series' numbers."""
    title = EPOCH_FIGURES[figure]
    spread = draw_lines(list_spreads(series, names), f"SD over replicas of {title}, by epoch", log=True)
    means = draw_lines(list_means(series, names), f"{title}, mean over replicas by epoch")
    zero = any(value == 0 for one in series for value in one.sd)
    banded = len(series) <= MOST_BANDS
    edge = "; an SD of 0 lies on the lower edge" if zero else ""
    return [
        Figure(spread, f"SD over replicas of {title}, on a logarithmic axis{edge}"),
        Figure(means, f"{title}: mean{', and the middle 95 % of replicas as a band' if banded else ''}"),
    ]


def draw_growth(data: StudyData) -> list[tuple[GrowthFamily, Drawn]]:
    """Draw how moved bits grew, a picture for each network: the distance of the weights by step."""
    drawn: list[tuple[GrowthFamily, Drawn]] = []
    for family in group_growth(data.arms, data.numbers):
        lines = list_growth_lines(family)[:MOST_DRAWN]
        picture = draw_lines(lines, f"{family.name}: {TITLE}, by step", below="step", log=True)
        legend = tuple((line.number, line.name) for line in lines)
        caption = f"{family.name}: {TITLE}, geometric mean over replicas"
        notes = (*describe_growth(family), *name_left_out(len(lines), len(family.arms), "arms"))
        drawn.append((family, Drawn((Figure(picture, caption),), legend, notes)))
    return drawn


def draw_onsets(data: StudyData) -> Drawn:
    """Draw figure 2: measures against the epoch in which sources begin to differ."""
    families = dict(list(group_onsets(data.arms).items())[:MOST_DRAWN])
    if not families:
        return Drawn()
    families = {printable(name): members for name, members in families.items()}
    figures: list[Figure] = []
    for column in make_onset_columns(UNICODE, text=data.plan.text):
        lines = list_onsets(families, column, data.numbers)
        title = f"{column.title}, {column.unit}, by onset"
        if any(line.points for line in lines):
            caption = f"{column.title}, {column.unit}, by onset; band: 95 %"
            figures.append(Figure(draw_lines(lines, title, below="onset, epochs"), caption))
    legend = tuple((data.numbers[members[0].name], name) for name, members in families.items())
    return Drawn(tuple(figures), legend)


def list_layer_lines(arm: ArmMeasures) -> list[tuple[str, str, str, float]]:
    """Return name, CKA, its debiased form, and CKA as a number, of every layer of an arm."""
    return [
        (
            printable(layer.layer),
            format_interval(layer.cka, layer.cka_ci, 3),
            format_interval(layer.cka_debiased, layer.cka_debiased_ci, 3),
            layer.cka or 0.0,
        )
        for layer in arm.cka or ()
    ]


def draw_pairs(data: StudyData) -> list[tuple[str, int, Drawn]]:
    """Draw heat maps of every arm's layers: its name, its place in the protocol, and the pictures."""
    drawn: list[tuple[str, int, Drawn]] = []
    for arm in data.similarity[:MOST_ARMS]:
        shown = list_shown_layers(arm.layers)
        pictures = [picture for layer in shown if (picture := draw_heat(arm, layer)) is not None]
        replicas = max((len(layer.runs) for layer in arm.layers), default=0)
        notes = name_left_out(min(len(arm.layers), MOST_LAYERS), len(arm.layers), "layers")
        notes += name_left_out(min(replicas, MOST_REPLICAS), replicas, "replicas")
        if pictures:
            figures = tuple(Figure(picture) for picture in pictures)
            drawn.append((printable(arm.name), data.numbers.get(arm.name, 0), Drawn(figures, notes=notes)))
    return drawn


def list_layer_notes(data: StudyData) -> list[str]:
    """Say how layers were compared, and what is not drawn."""
    left = name_left_out(min(MOST_ARMS, len(data.similarity)), len(data.similarity), "arms")
    return [*SIMILARITY_NOTES, *left]


Shares = list[tuple[str, str, str, float]]
"""Figure, component, its share of the variance, and that as a number."""


def list_crossed(data: StudyData) -> list[tuple[str, int, str, Shares, str]]:
    """Return the shares of crossed designs: arm, its place in the protocol, size, shares, and why there are none."""
    found: list[tuple[str, int, str, Shares, str]] = []
    for arm in data.arms:
        grid = arm.crossed
        if grid is None:
            continue
        size = " × ".join(f"{level} {source}" for source, level in zip(grid.sources, grid.levels, strict=True))
        rows: Shares = []
        for name, parts in grid.figures.items():
            labels = (*grid.sources, "interaction")
            for label, one in zip(labels, (parts.first, parts.second, parts.interaction), strict=True):
                share = UNICODE.missing if one.share is None else f"{100 * one.share:.0f} %"
                rows.append((name, label, share, one.share or 0.0))
        found.append((arm_name(arm), data.numbers[arm.name], size, rows, printable(grid.reason or "")))
    return found


@dataclass(frozen=True)
class DisputedArm:
    """The classes and examples on which an arm's replicas differ most."""

    name: str
    number: int
    classes: int
    """Classes that have test examples."""
    rows: tuple[tuple[str, str, str, str], ...]
    """Class, its test examples, accuracy, and SD."""
    disputed: tuple[tuple[str, str, tuple[tuple[str, bool], ...]], ...]
    """Example, its class, and what shares of replicas say, with whether that is right."""


def list_examples(data: StudyData) -> list[DisputedArm]:
    """Return the classes and examples behind the disagreement of each arm."""
    found: list[DisputedArm] = []
    for arm in data.arms[:MOST_DRAWN]:
        if arm.disputes is None:
            continue
        classes = {one.label: one for one in (*arm.disputes.worst, *arm.disputes.unsteady)}
        rows = tuple(
            (str(one.label), f"{one.examples:,}", format_number(one.accuracy, 1), format_number(one.sd, 1))
            for one in sorted(classes.values(), key=lambda one: (one.accuracy, one.label))
        )
        disputed = tuple(
            (
                str(one.index),
                str(one.label),
                tuple((f"{label}: {share:.0%}", label == one.label) for label, share in one.shares),
            )
            for one in arm.disputes.examples
        )
        found.append(DisputedArm(arm_name(arm), data.numbers[arm.name], arm.disputes.classes, rows, disputed))
    return found
