"""Makes the page about a study; see `content.StudyData` for what it is made of."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath

from engine.catalog.measures import DIAGNOSTICS_PANEL
from engine.protocol.faults import printable
from tui.html.content import Fact, SortedTable, StudyData, make_table
from tui.html.drawing import draw_share
from tui.html.page import list_contents, render_page
from tui.html.sections import (
    MOST_DRAWN,
    draw_forests,
    draw_growth,
    draw_onsets,
    draw_pairs,
    draw_spreads,
    format_dates,
    list_crossed,
    list_examples,
    list_facts,
    list_layer_lines,
    list_layer_notes,
    name_left_out,
    shorten_list,
)
from tui.html.sentences import make_sentences
from tui.text.diagnostics import make_diagnostics_notes
from tui.text.disputes import NOTES, explain_absence, make_disputes_columns
from tui.text.format import UNICODE
from tui.text.growth import HEADS, UNITS, make_growth_rows
from tui.text.tables import (
    NOT_ISOLATED,
    Column,
    arm_name,
    head_columns,
    make_notes,
    make_published_notes,
    make_rows,
    note_sharing,
    pick_columns,
)
from tui.text.text_figures import CROSSED_NOTES, list_first_epochs

LEGEND = "SD with R in the denominator, ± its SD over resamples; [ ] 95 % over replicas."

MOST_PROTOCOL = 60_000
"""Characters of a protocol that are shown; `STUDY/protocol.toml` holds all of it."""


def make_study_page(data: StudyData) -> str:
    """Return the page about a study as text; equal studies give equal pages."""
    plan, arms, numbers = data.plan, data.arms, data.numbers
    forests, spreads, onsets, pairs = draw_forests(data), draw_spreads(data), draw_onsets(data), draw_pairs(data)
    crossed, growth = list_crossed(data), draw_growth(data)
    layers = [(arm_name(arm), numbers[arm.name], arm.cka[0].n, list_layer_lines(arm)) for arm in arms if arm.cka]
    absent, diagnosed = explain_absence(arms), diagnose(data)
    notes = list_notes(data)
    contents = list_contents(
        (
            ("answer", "Answer", True),
            ("measures", "Measures", True),
            ("intervals", "Intervals", bool(forests.figures)),
            ("time", "Over time", bool(spreads.figures or onsets.figures)),
            ("growth", "Growth", bool(growth)),
            ("crossed", "Crossed", bool(crossed)),
            ("layers", "Layers", bool(layers or pairs)),
            ("examples", "Examples", True),
            ("diagnostics", "Spread", bool(diagnosed)),
            ("provenance", "Provenance", True),
            ("repeat", "Repeat", True),
            ("notes", "Notes", bool(notes)),
        )
    )
    return render_page(
        "study.html",
        plan.study,
        contents,
        {
            "draw_share": draw_share,
            "question": data.question,
            "said": "\n".join(data.said),
            "facts": list_facts(data),
            "answers": make_sentences(data),
            "measures": tabulate(data, LEGEND, pick_columns(data.arms, UNICODE), reference=plan.reference),
            "published": plan.reference is not None,
            "forests": forests,
            "spreads": spreads,
            "onsets": onsets,
            "first_epochs": "\n".join(list_first_epochs(data.measured.curves, UNICODE)),
            "growth": [(drawn, make_growth_rows(family)) for family, drawn in growth],
            "growth_heads": tuple(zip(HEADS, UNITS, strict=True)),
            "crossed": crossed,
            "crossed_notes": CROSSED_NOTES,
            "layers": layers,
            "pairs": pairs,
            "layer_notes": list_layer_notes(data),
            "absent": absent,
            "disputes": tabulate(data, "What replicas disagree about; [ ] 95 % over replicas", make_disputes_columns()),
            "disputes_notes": NOTES,
            "examples": list_examples(data),
            "examples_left": name_left_out(min(MOST_DRAWN, len(arms)), len(arms), "arms"),
            "diagnostics": diagnosed,
            "diagnostics_notes": make_diagnostics_notes(arms, plan.reference),
            "provenance": list_provenance(data),
            "trained_with": data.runs.trained_with,
            "file": name_file(data),
            "command": describe_command(data),
            "protocol": cut_protocol(data.protocol),
            "notes": notes,
            "loud": find_loud(notes),
        },
    )


def tabulate(data: StudyData, caption: str, columns: Sequence[Column], *, reference: str | None = None) -> SortedTable:
    """Make a table of measures of every arm."""
    return make_table(caption, data.arms, columns, data.numbers, reference=reference, wide=True)


def diagnose(data: StudyData) -> SortedTable | None:
    """Make the table of what a spread is made of; None before two replicas of any arm have finished."""
    if all(arm.find("test_set_sd").value is None for arm in data.arms):
        return None
    return tabulate(data, "[ ] 95 % over replicas", head_columns(DIAGNOSTICS_PANEL))


def list_notes(data: StudyData) -> list[str]:
    """Return the notes and warnings of the text report, and what is said of damaged runs."""
    plan = data.plan
    notes = make_notes(data.arms, {arm.name: arm.empty for arm in plan.arms})
    notes += make_published_notes(make_rows(data.arms, UNICODE, plan.reference, wide=True))
    notes += note_sharing(data.arms, len(plan.order))
    return [*notes, *(line for line in map(printable, data.damage) if not any(line in note for note in notes))]


def find_loud(notes: Sequence[str]) -> list[str]:
    """Return the notes that put a study into doubt."""
    return [note for note in notes if NOT_ISOLATED in note or "DIFFERENT weights" in note]


def list_provenance(data: StudyData) -> list[Fact]:
    """Say when, where and with which versions the study was planned."""
    plan, made = data.plan, data.plan.provenance
    versions = [f"{name} {version}" for name, version in made.versions.items()]
    facts = {
        "study": plan.study,
        "planned": format_dates(None, plan.created),
        "machine": made.machine,
        "GPUs": shorten_list([gpu.name for gpu in made.gpus]),
        "devices": plan.dispatch.devices
        if isinstance(plan.dispatch.devices, str)
        else ", ".join(plan.dispatch.devices),
        "versions": ", ".join(versions),
        "git commit": made.git_commit or "",
        "resamples behind ±": f"{plan.metrics.bootstrap:,}",
        "published table": plan.reference or "",
    }
    return [Fact(name, printable(value)) for name, value in facts.items() if value]


def name_file(data: StudyData) -> str:
    """Return the name of the protocol's file, without its folder."""
    return printable(PurePosixPath(data.plan.protocol.file).name)


def describe_command(data: StudyData) -> str:
    """Return the command that trains and measures the study again, with the overrides that it was given."""
    overrides = [part for override in data.plan.protocol.overrides for part in ("--set", override)]
    words = ["nondet-tui", "--batch", PurePosixPath(data.plan.protocol.file).name, *overrides]
    return printable(" ".join(map(shlex.quote, words)))


def cut_protocol(text: str) -> str:
    """Return a protocol's text; of a very long one its beginning, and how much is left out."""
    if len(text) <= MOST_PROTOCOL:
        return text
    return f"{text[:MOST_PROTOCOL]}\n… {len(text) - MOST_PROTOCOL:,} characters more are in the study's protocol.toml"
