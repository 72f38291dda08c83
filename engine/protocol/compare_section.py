"""The section [compare] of a protocol file: which two arms are compared, and whether to train until that is decided.

Nothing in it is part of a run's identity.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.protocol import checks
from engine.protocol.checks import Check, number, text
from engine.protocol.keys import key


@dataclass(frozen=True, kw_only=True)
class Compare:
    """[compare]: which two arms are compared; needed only where one wants to stop once that is decided."""

    a: str | None = key(
        checks.arm_name,
        None,
        'the name of an arm, e.g. a = "Baseline"; the first that varies where only two do',
        "Names the arm that is A.",
    )
    b: str | None = key(
        checks.arm_name,
        None,
        'the name of another arm, e.g. b = "New"; the second that varies where only two do',
        "Names the arm that is B.",
    )
    measure: str | None = key(
        text(200),
        None,
        "accuracy, cross-entropy, perplexity of text models, or the name of a score",
        "Chooses what the arms are compared in; the first that there is where it is left out.",
    )
    margin: float | None = key(
        number(0, 1e12, above=True),
        None,
        "in the measure's unit, e.g. margin = 0.2 for 0.2 percentage points",
        "States the smallest difference that is worth having.",
    )
    until: str = key(
        Check(lambda value: value in ("", "decided"), lambda: '"decided" or ""', lambda: ("decided",)),
        "",
        '"decided" stops once the arms are told apart, or equal enough; "" trains all replicas',
        "Says whether replicas are trained in pairs until the comparison is decided, protocol.replicas at most.",
    )


@dataclass(frozen=True, kw_only=True)
class Comparing:
    """[compare] with every name settled."""

    a: str
    b: str
    measure: str
    margin: float | None
    until_decided: bool
