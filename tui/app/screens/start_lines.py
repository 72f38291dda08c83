"""Makes the lines of the start screen: the list of studies and protocols, and what is said of one of them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text
from textual.fuzzy import Matcher

from engine.catalog.arm_marks import find_mark
from engine.protocol.faults import printable
from engine.study.metrics_record import ArmMeasures
from engine.study.notes import NoteRecord, describe_damage
from engine.study.records import Damage
from engine.study.summary import StudySummary
from tui.app.listed_files import GROUP_NOTES, GROUPS, ProtocolFile, describe_protocol, describe_study
from tui.app.previewed import Preview, ProtocolPreview, StudyPreview, describe_work
from tui.app.schemes import arm_style
from tui.app.screens.start_pictures import draw_spread, show_file
from tui.app.sentences import paint_sentence, wrap_sentence
from tui.app.widgets.lines import Line, wrap_lines
from tui.text.cells import align_points
from tui.text.counts import plural
from tui.text.decisions import list_verdicts
from tui.text.explanations import find_explanation, name_measure, style_key
from tui.text.few_measures import add_unit, pick_measures
from tui.text.format import UNICODE, describe_state, fit_name, shorten, shorten_apart
from tui.text.notes import list_said
from tui.text.plot import GlyphSet
from tui.text.screen_words import Explanation
from tui.text.tables import Column, arm_name, head_columns
from tui.text.whiskers import draw_interval, fit_axis

FOLD = "fold:"
"""Before a group's name, the key of its heading."""

WELCOME = "No study yet. Enter opens a protocol in the builder, r trains it."
RECOMMENDED = "No study yet. Three ways to begin:"

DO = "do:"
"""Before what is done, the key of a way to begin."""

BEGINNINGS = {
    "tour": (
        "take the tour: three minutes",
        "Nothing is trained: a finished study came along, and somebody explains it: what the five measures say, "
        "where the answer stands, how a protocol is built.",
    ),
    "quickstart": (
        "train quickstart: minutes, no download",
        "The study that the tour shows, trained here. A question comes first, with runs, place and time.",
    ),
    "new": (
        "begin a protocol of your own",
        "A template to change: the sources of your network, A against B, one bit, your own training program.",
    ),
}
"""What is done → what it is called, and what is said of it; the digits from 1 do the same."""

LINE = "line:"
"""Before the key of a line, the key by which it is explained."""

LACKS = {
    "download": "its files are not here yet, and training downloads them first",
    "missing": "its files are not here, and nobody downloads them: the preview says where they have to be",
}
"""How data are lacking → what that means."""

TAG_MARK = "#"
"""Before what is looked for among tags."""

BOLD = Style(bold=True)

NO_TAGS: Mapping[str, tuple[str, ...]] = {}

NOTE_ROWS = 5
"""Rows of a note that a preview shows."""

SHOWN_ANSWERS, TOLD_ANSWERS, TALL_ROWS = 3, 6, 44
"""Sentences that a preview says, those of a tall one, and from how many rows on it is tall."""

RULE = Text("its file", style="bold")

PLAIN = Console(width=80, file=io.StringIO(), legacy_windows=False)
"""What wraps texts asks for a console; nothing is printed on it."""

NAME_WIDTH, LEAST_NAME = 28, 14
"""Columns of a name at most, and what it keeps where there is little room."""

MARKED = "> "
"""Before the study that another one is to be compared with."""

RUNS_WIDTH = 10
"""Columns of an arm's mark, of its number of runs and of the blanks around them."""

INDENT = 2
"""Columns before what a group holds."""

LEAST_WIDTH = 40
"""Columns that a preview is laid out for at least; what does not fit is cut."""

COUNT_WIDTH, CELL_WIDTH, LEAST_BAR, FAIR_BAR, GOOD_BAR = 4, 7, 5, 7, 9
"""Columns of a count, of a value, of an interval that is worth drawing, of one for which no name is cut that would be
whole otherwise, and of one where names are cut anyway."""


@dataclass(frozen=True)
class Listing:
    """Holds what there is to choose from, as it was last read."""

    store: Path
    studies: dict[str, StudySummary]
    """By the key of their lines, the latest first."""
    protocols: dict[str, ProtocolFile]
    """By the key of their lines."""
    read_at: float
    """Unix time, which ages are counted from."""
    fault: str | None = None
    """Why the store cannot be read."""

    @property
    def recommended(self) -> str | None:
        """Return the key of the line to begin with: the latest study, else a protocol; None where there is neither."""
        return next(iter(self.studies), self.start or next(iter(self.protocols), None))

    @property
    def start(self) -> str | None:
        """Return the key of the protocol to start with; None where it is not there."""
        return next((key for key, protocol in self.protocols.items() if protocol.group == "start"), None)


def make_choices(listing: Listing, needle: str, folded: frozenset[str], width: int, *, marked: str = "") -> list[Line]:
    """List the studies, then the groups of protocols, as far as they match what is looked for.

    Args:
        listing: What there is.
        needle: Letters that a name must hold in this order, or words of a row, and beginnings of its tags behind #;
            empty for all.
        folded: The groups of which only the heading is shown, unless something is looked for.
        width: Columns of a line.
        marked: The key of the study that is marked; empty for none.
    """
    names = [s.paths.name for s in listing.studies.values()] + [p.name for p in listing.protocols.values()]
    name_width = min(NAME_WIDTH, max(map(len, names), default=0))
    studies = {
        key: describe_study(s, name_width, listing.read_at, width=width - INDENT) for key, s in listing.studies.items()
    }
    study_names = {key: study.paths.name for key, study in listing.studies.items()}
    found_studies = _match(needle, studies, study_names, {key: study.tags for key, study in listing.studies.items()})
    for line in found_studies:
        if line.key == marked:
            line.text.plain = f"{MARKED}{line.text.plain[INDENT:]}"
    lines = [Line(Text("Studies", style="bold"))]
    if listing.fault is not None:
        lines += wrap_lines(f"{UNICODE.failed} {printable(listing.fault)}", width)
    elif not listing.studies:
        welcome = WELCOME if listing.start is None or needle else RECOMMENDED
        lines += [Line(Text(f"  {row.text}", style="dim")) for row in wrap_lines(welcome, width - 2)]
        if listing.start is not None and not needle:
            lines += [
                Line(Text(f"  {digit}  {title}", style_key(LINE + DO + key) + BOLD, no_wrap=True), DO + key)
                for digit, (key, (title, _)) in enumerate(BEGINNINGS.items(), start=1)
            ]
    elif not found_studies:
        lines.append(Line(Text(f"  none of {len(listing.studies)} matches {needle}", style="dim")))
    lines += found_studies
    for group, title in GROUPS.items():
        there = {key: describe_protocol(p, name_width) for key, p in listing.protocols.items() if p.group == group}
        found = _match(needle, there, {key: listing.protocols[key].name for key in there})
        if not found:
            continue
        hidden = group in folded and not needle
        mark = UNICODE.folded if hidden else UNICODE.unfolded
        head = Text(f"{mark} {title}", style_key(LINE + FOLD + group) + BOLD)
        if hidden:
            head.append(f"  {len(found)}", style="dim")
        lines += [Line(Text("")), Line(head, FOLD + group), *([] if hidden else found)]
    if not needle and not any(line.key in listing.protocols or (line.key or "").startswith(FOLD) for line in lines):
        lines += [Line(Text("")), Line(Text("No protocol; n begins a new one", style="dim"))]
    return lines


def _match(
    needle: str, rows: Mapping[str, Text], names: Mapping[str, str], tags: Mapping[str, tuple[str, ...]] = NO_TAGS
) -> list[Line]:
    """Return the rows whose name holds the needle's letters in their order, or which hold each of its words.

    Almost any letters are found in their order in a long description. Words with a # are beginnings of tags.
    """
    words = needle.split()
    wanted = [word.removeprefix(TAG_MARK).casefold() for word in words if word.startswith(TAG_MARK)]
    others = [word for word in words if not word.startswith(TAG_MARK)]
    letters = " ".join(others)
    matcher = Matcher(letters) if letters else None

    def holds(key: str, row: Text) -> bool:
        own = [tag.casefold() for tag in tags.get(key, ())]
        tagged = all(any(tag.startswith(word) for tag in own) for word in wanted)
        named = matcher is None or matcher.match(names[key]) > 0
        return tagged and (named or all(word.casefold() in row.plain.casefold() for word in others))

    return [
        Line(Text.assemble(" " * INDENT, row, style=style_key(LINE + key), no_wrap=True), key)
        for key, row in rows.items()
        if holds(key, row)
    ]


def explain_line(listing: Listing, key: str) -> Explanation | None:
    """Explain a line of the list: the state of a study, what a protocol is about and lacks, or what a group holds."""
    if (study := listing.studies.get(key)) is not None:
        found = find_explanation(f"state:{study.state}")
        if study.compare is not None and study.state == "done" and found is not None:
            verdict = list_verdicts(study.compare, study.decision)[0]
            return replace(found, rows=(*found.rows, ("verdict", verdict)))
        of = None if study.headline is None else printable(study.headline[0])
        shown = f"SD and disagreement are of {of}: of the arms that vary most sources, the one that disagrees most"
        return found if of is None or found is None else replace(found, rows=(*found.rows, ("figures", shown)))
    if key in (FOLD + group for group in GROUPS):
        group = key.removeprefix(FOLD)
        return Explanation(GROUPS[group], GROUP_NOTES[group])
    if (way := BEGINNINGS.get(key.removeprefix(DO))) is not None:
        return Explanation(*way)
    if (protocol := listing.protocols.get(key)) is None:
        return None
    rows = [("cannot be trained", printable(protocol.fault))] if protocol.fault is not None else []
    if protocol.lacks is not None:
        rows.append(("data", f"{printable(protocol.lacks)}: {LACKS[protocol.lacks.rpartition(' ')[2]]}"))
    rows.append(("file", printable(str(protocol.path))))
    return Explanation(protocol.name, protocol.description or "without a description", rows=tuple(rows))


# What is said of the thing under the cursor ------------------------------------------------------------------------


def make_preview(
    preview: Preview | str | None, width: int, theme: str, *, height: int = 0, glyphs: GlyphSet = "braille"
) -> list[Line]:
    """Say what a protocol would train, or what a study has found.

    Args:
        preview: What was read; a text as it is; None while it is being read.
        width: Columns at hand.
        theme: The framework's name of the theme.
        height: Rows at hand; what the text leaves of them has a picture.
        glyphs: What lines of a picture are made of.
    """
    width = max(width, LEAST_WIDTH)  # a pane that is hidden has none
    if preview is None:
        return [Line(Text("reading …", style="dim"))]
    if isinstance(preview, str):
        return wrap_lines(preview, width)
    if isinstance(preview, StudyPreview):
        lines = _show_study(preview, width, theme, most=SHOWN_ANSWERS if height < TALL_ROWS else TOLD_ANSWERS)
        picture = draw_spread(preview, width, height - len(lines) - 1, theme, glyphs)
        return [*lines, *([Line(Text(""))] if picture else []), *picture]
    file = show_file(preview.text)
    return [*_show_protocol(preview, width, theme), *([Line(Text("")), Line(RULE)] if file else []), *file]


def _show_protocol(preview: ProtocolPreview, width: int, theme: str) -> list[Line]:
    lines = wrap_lines(preview.description or "without a description", width)
    if preview.faults:
        said = [line for fault in preview.faults for line in wrap_lines(fault, width, indent="    ")]
        return [*lines, Line(Text("")), Line(Text(f"{UNICODE.failed} cannot be trained", style="bold red")), *said]
    lines += [Line(Text("")), *wrap_lines(preview.workload, width), Line(Text(""))]
    varied = [
        f"ensembles of {arm.group}: nothing to train" if arm.group > 1 else " + ".join(arm.vary) or "nothing: a control"
        for arm in preview.arms
    ]
    left = width - RUNS_WIDTH - max(map(len, varied))
    name_width = min(max(NAME_WIDTH, left), max(cell_len(printable(arm.name)) for arm in preview.arms))
    for number, (arm, varies) in enumerate(zip(preview.arms, varied, strict=True)):
        row = Text(no_wrap=True).append(f"{find_mark(number).char} ", arm_style(number, theme))
        row.append(f"{fit_name(printable(arm.name), name_width):{name_width}}  {arm.runs:>4}  ").append(varies, "dim")
        lines.append(Line(row))
    lines.append(Line(Text("")))
    for text in describe_work(preview):
        lines += wrap_lines(text, width, indent="  ")
    return lines


def _show_study(preview: StudyPreview, width: int, theme: str, *, most: int) -> list[Line]:
    summary = preview.summary
    state = describe_state(summary.state, summary.failed)
    state += f", {summary.done} of {plural(summary.total, 'run')}" if summary.fault is None else ""
    stated = Line(Text(state, style_key(f"state:{summary.state}") + BOLD))
    lines = [*(wrap_lines(preview.question, width) if preview.question else ()), stated]
    lines += _show_note(summary.note, width)
    if summary.fault is not None:
        return [*lines, *wrap_lines(summary.fault, width)]
    lines.append(Line(Text("")))
    if all(arm.n == 0 for arm in preview.arms):
        return [*lines, *wrap_lines(_say_unmeasured(summary), width)]
    lines += _say_answers(preview, width, theme, most)
    columns = head_columns(pick_measures(preview.arms)[0])
    return [*lines, *_draw_arms(preview.arms, columns, width, theme)]


def _say_unmeasured(summary: StudySummary) -> str:
    """Say why a study has no figures yet."""
    if summary.done == 0:
        return "nothing is measured yet: an arm needs a finished run"
    finished = "the run that has finished" if summary.done == 1 else f"the {summary.done} runs that have finished"
    if summary.state in ("running", "paused", "stopping"):
        return f"nothing is measured yet: {finished} will be in a moment"
    return f"nothing is measured yet of {finished}: R in the results (t) does it"


def _show_note(note: NoteRecord | Damage, width: int) -> list[Line]:
    """Show tags and note of a study, of a long note the beginning; or that they cannot be read."""
    if isinstance(note, Damage):
        return wrap_lines(f"{UNICODE.lost} {describe_damage(note)}", width, indent="  ")
    lines = [line for said in list_said(note) for line in wrap_lines(said, width) or [Line(Text(""))]]
    for line in lines:
        line.text.stylize("italic")
    return lines if len(lines) <= NOTE_ROWS else [*lines[:NOTE_ROWS], Line(Text(UNICODE.ellipsis))]


def _say_answers(preview: StudyPreview, width: int, theme: str, most: int) -> list[Line]:
    """Say the first of what a study says, the most important in bold."""
    numbers = {arm_name(arm): number for number, arm in enumerate(preview.arms)}
    lines: list[Line] = []
    said = [answer for answer in preview.answers if answer.weight != "note"]
    for place, answer in enumerate(said[:most]):
        text = paint_sentence(answer, numbers, theme, UNICODE)
        text.stylize("" if place else "bold")
        lines += [Line(part) for part in wrap_sentence(text, PLAIN, width)]
    return [*lines, Line(Text(""))] if lines else []


def _show(arm: ArmMeasures, column: Column) -> str:
    """Return a value with three digits, whole numbers as they are; a mark where there is none."""
    value = arm.find(column.measure.key).value
    return UNICODE.missing if value is None else f"{value:.3g}" if value in (0.0, 100.0) else f"{value:#.3g}"


def _draw_arms(arms: Sequence[ArmMeasures], columns: Sequence[Column], width: int, theme: str) -> list[Line]:
    """Draw a row per arm: name, and of each measure the value and its interval on one axis for all arms."""
    longest = max(cell_len(printable(arm.name)) for arm in arms)
    rooms = [width - COUNT_WIDTH - 4 - len(columns) * (CELL_WIDTH + least + 1) for least in (GOOD_BAR, FAIR_BAR)]
    name_width = longest if longest <= rooms[1] else max(LEAST_NAME, rooms[0])
    names = shorten_apart([printable(arm.name) for arm in arms], name_width)
    left = name_width + COUNT_WIDTH + 4
    cell = (width - left) // len(columns)
    bar = cell - CELL_WIDTH - 1
    axes = [fit_axis(arm.find(column.measure.key) for arm in arms) for column in columns]
    values = [align_points([_show(arm, column) for arm in arms]) for column in columns]
    head = Text(f"{'n':>{left - 2}}  ", "bold", no_wrap=True)
    for column in columns:
        title = shorten(add_unit(column.short, column.unit), cell - 1)
        head.append(f"{title:{cell}}", style_key(name_measure(column.measure)))
    lines = [Line(head)]
    for number, (arm, name) in enumerate(zip(arms, names, strict=True)):
        style = arm_style(number, theme)
        row = (
            Text(no_wrap=True)
            .append(f"{find_mark(number).char} ", style)
            .append(f"{name:{name_width}}{arm.n:>{COUNT_WIDTH}}  ")
        )
        for column, axis, shown in zip(columns, axes, values, strict=True):
            found = arm.find(column.measure.key)
            row.append(f"{shown[number]:<{CELL_WIDTH}}")
            row.append(" " * bar if axis is None or bar < LEAST_BAR else draw_interval(found, axis, bar), style)
            row.append(" ")
        lines.append(Line(row))
    notes = [f"{printable(arm.name)}: not isolated: {printable(arm.unisolated)}" for arm in arms if arm.unisolated]
    said = "t shows all measures, c compares arms, Enter the runs"
    said = said if bar < LEAST_BAR else f"lines are 95 % intervals; {said}"
    return [*lines, Line(Text("")), *(line for note in (*notes, said) for line in wrap_lines(note, width, indent="  "))]
