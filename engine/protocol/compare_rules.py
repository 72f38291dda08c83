"""Checks [compare] against the arms, and settles what it leaves open."""

from __future__ import annotations

from engine.catalog import presets
from engine.protocol.compare_section import Comparing
from engine.protocol.definition import Arm
from engine.protocol.faults import Fault, show_value, suggest
from engine.protocol.sections import Sections
from engine.protocol.tables import Table

OF_IMAGES, OF_TEXT = ("accuracy", "cross-entropy"), ("perplexity", "cross-entropy")

OF_COMMANDS = {"logits": OF_IMAGES, "probabilities": OF_IMAGES, "classes": ("accuracy",), "scores": ()}
"""By what a user's own program leaves; each may leave scores beside it, which have names of their own."""


def settle_comparison(
    document: Table, sections: Sections, arms: tuple[Arm, ...], faults: list[Fault]
) -> Comparing | None:
    """Return which arms are compared and in what; None where the file does not say that any are.

    What is wrong becomes faults: arms that are not there, a measure that there is not, or pairs that cannot be made.
    """
    if "compare" not in document or not arms:
        return None
    asked, before = sections.compare, len(faults)
    names = _find_arms(asked.a, asked.b, arms, faults)
    measure = _find_measure(document, sections, arms, faults)
    if len(faults) > before or names is None or measure is None:
        return None
    if asked.until == "decided":
        _check_pairs(names, arms, faults)
    return Comparing(
        a=names[0],
        b=names[1],
        measure=measure,
        margin=None if asked.margin is None else float(asked.margin),
        until_decided=asked.until == "decided",
    )


def _find_arms(a: str | None, b: str | None, arms: tuple[Arm, ...], faults: list[Fault]) -> tuple[str, str] | None:
    varying = [arm.name for arm in arms if arm.vary and arm.ensemble is None]
    if len(varying) == 2:  # what is left out is the other one of the two
        a = a or next((name for name in varying if name != b), None)
        b = b or next((name for name in varying if name != a), None)
    names = [arm.name for arm in arms]
    if len(names) < 2:
        faults.append(Fault("compare", "takes two arms, and there is only one", "add an [[arm]] to compare it with"))
        return None
    for key, name in (("compare.a", a), ("compare.b", b)):
        if name is None:
            remedy = f"name one of the arms: {', '.join(show_value(one) for one in names[:20])}"
            faults.append(Fault(key, "is missing, and not just two arms vary something", remedy))
        elif name not in names:
            faults.append(Fault(key, "is the name of no arm", suggest(name, names), show_value(name)))
    if a is not None and a == b:
        faults.append(Fault("compare.b", "is the same arm as compare.a", "name another arm", show_value(b)))
    return None if a is None or b is None else (a, b)


def _find_measure(document: Table, sections: Sections, arms: tuple[Arm, ...], faults: list[Fault]) -> str | None:
    """Return what the arms are compared in; a user's own program may leave scores of any name."""
    measure = sections.compare.measure
    if "command" in document:
        known = OF_COMMANDS.get(sections.command.kind, ())
        if measure is None and not known:
            remedy = "name a score that the command writes into result.json"
            faults.append(Fault("compare.measure", "is missing: a command that leaves scores has no accuracy", remedy))
        return measure or next(iter(known), None)
    known = OF_TEXT if any(arm.data.preset in presets.LANGUAGE for arm in arms) else OF_IMAGES
    if measure is not None and measure not in known:
        problem = f"must be one of {', '.join(known)} for these networks"
        faults.append(Fault("compare.measure", problem, suggest(measure, known), show_value(measure)))
    return measure or known[0]


def _check_pairs(names: tuple[str, str], arms: tuple[Arm, ...], faults: list[Fault]) -> None:
    """Report arms whose replicas cannot be trained pair by pair until the comparison is decided."""
    found = [next(arm for arm in arms if arm.name == name) for name in names]
    for key, arm in zip(("compare.a", "compare.b"), found, strict=True):
        problem = _find_obstacle(arm, arms)
        if problem is not None:
            remedy = 'compare arms whose replicas are single runs, or leave until = "decided" out'
            faults.append(Fault(key, problem, remedy, show_value(arm.name)))
    counts = [arm.replicas for arm in found]
    if counts[0] != counts[1] and not any(arm.ensemble for arm in found):
        problem = f'has {counts[1]} replicas and {names[0]} {counts[0]}: until = "decided" trains them in pairs'
        faults.append(Fault("compare.b", problem, "give both arms as many replicas", show_value(names[1])))


def _find_obstacle(arm: Arm, arms: tuple[Arm, ...]) -> str | None:
    """Say why an arm's replicas are not independent single runs, or may not end early."""
    if arm.ensemble is not None:
        return "is made of another arm's replicas"
    if not arm.vary:
        return "varies nothing: all of its replicas are one network"
    if arm.crossed:
        return "is crossed: its runs are not independent of each other"
    of = next((one.name for one in arms if one.ensemble is not None and one.ensemble.of == arm.name), None)
    return None if of is None else f"has replicas that {of} is made of, which needs all of them"
