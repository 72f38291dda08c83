"""Explains the thing under the builder's cursor: a source in an arm, or a setting; pure functions that make lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.style import Style
from rich.text import Text

from engine.catalog import presets
from engine.catalog.sources import SOURCES
from engine.plan.plan import Plan
from engine.protocol.arm_keys import ARM_OVERRIDES
from engine.protocol.faults import Fault
from tui.app.document import Document
from tui.app.estimate import Estimate
from tui.app.screens.builder_lines import EMPTY, FAULT, OFF, ON, Emptiness, find_planned, list_sources, warning_style
from tui.app.setting_values import allowed_of, default_of, format_value, meaning_of, names_of, remedy_of
from tui.app.widgets.lines import Line, wrap_lines
from tui.text.counts import plural
from tui.text.explanations import explain_source as explain_bare
from tui.text.format import UNICODE, format_seconds

LABEL_WIDTH = 9

KEEPS_RUNS = ("protocol.description", "protocol.reference", "trust.modules", "data.root")
"""Settings that change no run."""
PACKS = ("dispatch.pack", "dispatch.memory_format")
"""Settings of [dispatch] that change the bits of runs trained together."""

KERNELS = (*PACKS, "dispatch.compile")
"""Settings of [dispatch] that change bits."""


def say(label: str, text: str, width: int, style: str | Style = "") -> list[Line]:
    """Return a text behind a label, in as many lines as it takes."""
    lines = wrap_lines(text, max(12, width - LABEL_WIDTH))
    heads = [label, *[""] * (len(lines) - 1)]
    return [
        Line(Text.assemble((f"{head:{LABEL_WIDTH}}", "dim"), (line.text.plain, style), no_wrap=True))
        for head, line in zip(heads, lines, strict=True)
    ]


def explain_source(
    document: Document, number: int | None, source: str, plan: Plan | None, faults: Sequence[Fault], *,
    empty: Emptiness, estimate: Estimate | None, width: int, theme: str, brief: bool,
) -> list[Line]:  # fmt: skip
    """Explain a source, whether it varies in an arm, and what else holds in that arm.

    Args:
        document: The protocol as it is being written.
        number: The arm's number; None without arms.
        source: The source.
        plan: What comes of the protocol, where it is valid.
        faults: What is wrong with it.
        empty: The sources that change nothing.
        estimate: How long the runs take, where that is known.
        width: Columns of a line.
        theme: The framework's name of the theme.
        brief: Whether there is room for a few lines alone.
    """
    lines = [line for label, said in explain_bare(source).rows for line in say(label, said, width)]
    if number is None or number >= len(document.arms):
        return lines
    arm, name = document.arms[number], document.names[number]
    planned = find_planned(name, plan)
    written = planned[0].name if planned else name
    reason = next((found[source] for one, found in empty.items() if one == written and source in found), None)
    varies = source in list_sources(arm)
    if "ensemble" in arm:
        lines += say("here", "as in the arm whose runs are averaged", width, "bold")
    elif reason is not None:
        lines += say("here", f"{EMPTY} changes nothing: {reason}", width, warning_style(theme) if varies else "bold")
    elif varies and "crossed" in arm:
        lines += say("here", f"{ON} varies: each of its seeds with each of the other source's", width, "bold")
    elif varies:
        lines += say("here", f"{ON} varies: replica 1, 2, 3 … have seeds 1, 2, 3 …", width, "bold")
    else:
        lines += say("here", f"{OFF} held{_describe_base(document, source)}", width, "bold")
    if not brief:
        lines += [Line(Text("")), *(Line(Text(row.text.plain, "bold")) for row in wrap_lines(name or "?", width))]
    lines += _explain_arm(document, number, plan, estimate, width)
    for fault in (one for one in faults if one.key.startswith(f"arm[{number + 1}]")):
        lines += say(UNICODE.failed, f"{fault.key.partition('.')[2] or fault.key}: {fault.problem}", width, FAULT)
    return lines


def _describe_base(document: Document, source: str) -> str:
    if not SOURCES[source].has_base_seed:
        return ""
    key = f"seeds.{source}"
    return f": every replica has seed {format_value(document.get(key) or default_of(key))}"


def _explain_arm(
    document: Document, number: int, plan: Plan | None, estimate: Estimate | None, width: int
) -> list[Line]:
    """Say how many runs an arm has, how long they take, and what holds in it alone."""
    arm, name = document.arms[number], document.names[number]
    planned = find_planned(name, plan)
    lines: list[Line] = []
    if "ensemble" in arm and planned:
        groups = len(planned[0].runs) // planned[0].group
        lines += say("trains", f"nothing: {groups} ensembles of {planned[0].group} of another arm's runs", width)
    elif planned and plan is not None:
        runs = [run for one in planned for run in one.runs]
        shared = sum(run in plan.shared for run in set(runs))
        told = document.get("command.epochs") or 1 if document.runs_command else None
        epochs = sorted({told or plan.recipes[run].train.epochs for run in runs})
        said = f"{plural(len(runs), 'run')} of {' or '.join(map(str, epochs))} {'epoch' if epochs == [1] else 'epochs'}"
        said += f", {shared} shared with other arms" if shared else ""
        seconds = sum(estimate.by_arm.get(one.name, 0.0) for one in planned) if estimate is not None else 0.0
        lines += say("trains", said + (f", about {format_seconds(seconds)}" if seconds else ""), width)
    own = {
        f"{section}.{key}": value
        for section in ARM_OVERRIDES
        if isinstance(arm.get(section), Mapping)
        for key, value in arm[section].items()
    }
    for key, value in own.items():
        now = document.get(key)
        others = format_value(default_of(key) if now is None else now)
        lines += say("own", f"{key} = {format_value(value)} (others {others or 'none'})", width)
    for key in ("replicas", "onset", "crossed", "ensemble"):
        if key in arm:
            lines += say(key, format_value(arm[key]), width)
    return lines


def explain_setting(
    document: Document, key: str, plan: Plan | None, faults: Sequence[Fault], *, done: int, width: int, brief: bool
) -> list[Line]:  # fmt: skip
    """Explain a setting: what it does, its value, what it may be, the paper's, and what changing it does.

    Args:
        document: The protocol as it is being written.
        key: The setting.
        plan: What comes of the protocol, where it is valid.
        faults: What is wrong with it.
        done: Runs that the study has already.
        width: Columns of a line.
        brief: Whether there is room for a few lines alone.
    """
    value, names = document.get(key), names_of(key)
    lines: list[Line] = []
    for fault in (one for one in faults if one.key == key):
        lines += say(UNICODE.failed, fault.problem, width, FAULT)
    lines += wrap_lines(meaning_of(key), width)
    allowed = say("allowed", ", ".join(names) if names else allowed_of(key), width)
    effect = say("runs", describe_effect(document, key, plan, done), width)
    if brief:
        now = format_value(value) or "empty"
        said = (
            f"{now} (default {_describe_default(key)})" if value is not None else f"default: {_describe_default(key)}"
        )
        return [*lines, *say("now", said, width, "bold"), *allowed, *effect]
    lines.append(Line(Text("")))
    if value is not None:
        lines += say("now", format_value(value) or "empty", width, "bold")
        known = describe_choice(key, value)
        lines += say("", known, width, "dim") if known else []
    lines += say("default", _describe_default(key), width, "bold" if value is None else "")
    lines += allowed
    if not remedy_of(key).startswith("available:"):
        lines += say("note", remedy_of(key), width)
    lines += effect
    own = [
        f"{document.names[number]}: {format_value(document.get_own(number, key))}"
        for number in range(len(document.arms))
        if document.get_own(number, key) is not None
    ]
    return lines + (say("own in", "; ".join(own), width) if own else [])


def _describe_default(key: str) -> str:
    """Return a setting's default in words."""
    if default_of(key) is not None:
        return format_value(default_of(key)) or "empty"
    if key in ("data.preset", "data.target", "model.preset", "model.target"):
        return "none: preset or target has to be set"
    return "none: it has to be set" if key == "protocol.name" else "none"


def describe_choice(key: str, value: object) -> str:
    """Say what is known of a preset; empty where nothing is."""
    if key == "data.preset":
        facts = presets.DATA.get(str(value))
        if facts is None:
            return presets.LANGUAGE[str(value)].note if str(value) in presets.LANGUAGE else ""
        shape = "x".join(map(str, facts.shape))
        return f"{facts.train_size:,} training and {facts.test_size:,} test examples of {shape}; {facts.note}"
    if key == "model.preset":
        model = presets.find_model(str(value))
        return "" if model is None else model.note
    return ""


def describe_effect(document: Document, key: str, plan: Plan | None, done: int) -> str:
    """Say what another value of a setting does to the runs of a study."""
    if key in KEEPS_RUNS or key.startswith("metrics.") or (key.startswith("dispatch.") and key not in KERNELS):
        return "stay as they are, whatever stands here"
    if key == "protocol.name":
        return "another name is another study, in a folder of its own"
    if key == "protocol.replicas":
        added = sum(_count_per_replica(arm) for arm in document.arms)
        return f"each replica more adds {added}" + ("; what is done stays" if done else "")
    number = "the same number" if plan is None else str(len(plan.recipes))
    anew = f"; the {done} that are done stay of use with the value of now alone" if done else ""
    if key in PACKS:
        return f"{number}; runs trained in packs are others, bit by bit{anew}"
    return f"{number} either way, but another value makes other runs{anew}"


def _count_per_replica(arm: Mapping[str, object]) -> int:
    """Return how many runs one replica more adds in an arm."""
    if any(key in arm for key in ("replicas", "crossed", "ensemble")):
        return 0
    onset = arm.get("onset")
    return len(onset) if isinstance(onset, list) else 1  # pyright: ignore[reportUnknownArgumentType]
