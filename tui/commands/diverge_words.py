"""Puts what `diverge` found about a program into words, and into the fields of its JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from engine.tracing import comparison
from engine.tracing.records import Difference, Record, Value
from tui.commands.diverge_causes import EXPERIMENTS, MEANINGS, USUAL
from tui.commands.diverge_report import Report
from tui.text.divergence import FEW_ULPS

WIDTH = 100
LABEL = 12


def describe_program(report: Report) -> list[str]:
    """Return the lines of the answer."""
    lines = [_say_where(report), ""] if report.differs else [_say_agreement(report)]
    if report.differs:
        lines += _describe_verdict(report)
        lines += _describe_causes(report)
    minutes, seconds = divmod(round(report.seconds), 60)
    return [*lines, "", f"{report.runs} runs of the program, {minutes}:{seconds:02d}"]


def _say_agreement(report: Report) -> str:
    if report.whole:
        return f"The runs agree in every operation, and no optimiser took a step.{_say_unread(report.unread)}"
    return (
        f"The runs agree: the weights after each of {report.steps:,} steps, and all that networks were called with."
        f"{_say_unread(report.unread)} What happens rarely may need more runs: --repeat N."
    )


def _say_unread(count: int) -> str:
    """Say how much was not compared, in a sentence that follows another one; nothing where all was."""
    if not count:
        return ""
    tensors = "1 tensor" if count == 1 else f"{count:,} tensors"
    return f" {tensors} could not be read, and nobody knows whether {'it agrees' if count == 1 else 'they agree'}."


def _say_where(report: Report) -> str:
    if report.whole:
        return "The two runs part. No optimiser took a step: the whole program was compared."
    if report.step == 0:
        return "The two runs part before the first step."
    after = f"after {report.steps:,} that agree" if report.steps else "the first"
    what = {
        "weights": f"the weights after it differ ({report.optimiser})",
        "inputs": "networks are called with other inputs",
        "gradients": "the gradients differ",
        "length": "one of the runs has another number of steps",
    }[report.what]
    return f"The two runs part in step {report.step:,}, {after}: {what}."


def _describe_verdict(report: Report) -> list[str]:
    if not report.seen_again:
        pairs = "1 pair" if report.agreed == 1 else f"{report.agreed} pairs"
        return _line(
            "that means",
            f"it did not show again in {pairs} of runs whose operations were recorded: it happens rarely, or not while "
            "they are; --repeat N records more pairs",
        )
    verdict = report.verdict
    kind = "" if verdict is None else verdict.kind
    lines: list[str] = []
    if verdict is not None:
        if kind == comparison.OPERATIONS:
            lines += _line("run 1", _name(verdict.first)) + _line("run 2", _name(verdict.second))
        else:
            lines += _line("operation", _name(verdict.first))
        if kind == comparison.ARGUMENT and verdict.first is not None and verdict.second is not None:
            lines += _line("run 1", verdict.first.arguments) + _line("run 2", verdict.second.arguments)
        if verdict.place:
            lines += _line("differs", _describe_place(verdict.first, verdict.place, verdict.parameter))
        if report.difference is not None:
            lines += _line("by", _describe_difference(report.difference))
        if report.before:
            lines += _line("before it", ", ".join(_name_short(one) for one in report.before) + ": equal in both runs")
    return lines + _line("that means", MEANINGS[kind])


def _describe_causes(report: Report) -> list[str]:
    if not report.seen_again:
        return []
    kind = "" if report.verdict is None else report.verdict.kind
    lines: list[str] = []
    for one in report.tried:
        lines += _line("tried", f"{EXPERIMENTS[one.name]}: they {'agree' if one.agree else 'still differ'}")
    for cause in report.causes:
        lines += _line("cause", cause.evidence) + _line("remedy", cause.remedy)
    if not report.causes:
        lines += _line("usually", USUAL[kind])
    if report.untried_s:
        further = "further causes" if report.tried else "causes"
        lines += _line("not tried", f"{further}: each takes about {round(report.untried_s)} s; --find-cause tries them")
    return lines


def _line(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=f"  {label:{LABEL}}",
        subsequent_indent=" " * (LABEL + 2),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _name(record: Record | None) -> str:
    if record is None:
        return "nothing more: it has ended"
    where = f" of {record.module}" if record.module else ""
    return f"{record.name}{where}, {record.phase}"


def _name_short(record: Record) -> str:
    return record.name.removeprefix("aten::")


def _describe_place(record: Record | None, place: str, parameter: str) -> str:
    kind, _, label = place.partition(" ")
    values: Sequence[Value] = () if record is None else record.inputs if kind == "input" else record.outputs
    found = next((one for one in values if one.label == label), None)
    shape = "" if found is None else f" ({' × '.join(map(str, found.shape)) or 'one number'}, {found.dtype})"
    return f"{place}{shape}{f', which is {parameter}' if parameter else ''}"


def _describe_difference(difference: Difference) -> str:
    parts = [f"{difference.differing:,} of {difference.elements:,} elements"]
    ulps, absolute = difference.ulps, difference.absolute
    if ulps is not None and ulps <= FEW_ULPS:
        parts.append(f"at most {ulps:,.0f} ulp{'s' if ulps != 1 else ''} apart")
    elif absolute is not None:
        parts.append(f"at most {absolute:.3g} apart")
    where = ", ".join(map(str, difference.where))
    parts.append(f"first at [{where}]: {difference.first} and {difference.second}")
    return "; ".join(parts)


def describe_report(report: Report) -> dict[str, Any]:
    """Return the answer as JSON has it: every key is there, null where there is no value."""
    verdict = report.verdict
    return {
        "v": 1,
        "program": list(report.words),
        "differs": report.differs,
        "step": report.step if report.mark is not None else None,
        "steps_that_agree": report.steps,
        "whole_program": report.whole,
        "what": report.what or None,
        "kind": None if verdict is None else verdict.kind,
        "first": None if verdict is None else _describe_record(verdict.first),
        "second": None if verdict is None else _describe_record(verdict.second),
        "place": verdict.place if verdict is not None and verdict.place else None,
        "parameter": verdict.parameter if verdict is not None and verdict.parameter else None,
        "difference": None if report.difference is None else report.difference._asdict(),
        "seen_again": report.seen_again,
        "unread": report.unread,
        "causes": [{**asdict(cause), "remedy": cause.remedy} for cause in report.causes],
        "tried": [asdict(one) for one in report.tried],
        "runs": report.runs,
        "seconds": round(report.seconds, 1),
    }


def _describe_record(record: Record | None) -> dict[str, Any] | None:
    if record is None:
        return None
    return {
        "number": record.number,
        "operation": record.name,
        "module": record.module or None,
        "phase": record.phase,
        "arguments": record.arguments,
    }
