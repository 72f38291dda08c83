"""Defines an answer: a sentence about arms, what stands behind it, and where its evidence is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.catalog.measure_declaration import Measure
from engine.catalog.measures import find_measure
from engine.recipe import Recipe
from engine.study.decision_record import CompareSettings, DecisionRecord
from engine.study.estimate import Estimate, Interval
from engine.study.metrics_record import ArmMeasures
from tui.text.format import UNICODE, Symbols, format_interval, format_number
from tui.text.recipes import group_by_settings
from tui.text.tables import arm_name

Weight = Literal["warning", "finding", "note"]
"""Whether a sentence puts the others into doubt, says what was found, or what a reader has to know beside that."""

Page = Literal["table", "diagnostics", "intervals", "time", "growth", "examples", "compare", "provenance"]
"""Where the evidence is."""

SHARED = "Arms are taken as independent; where they share runs or seeds that errs on the wide side as a rule."


class ArmName(str):
    """A part of a sentence that names an arm, which is shown in its colour."""

    __slots__ = ()


Part = str | ArmName


@dataclass(frozen=True)
class Answer:
    """One sentence."""

    weight: Weight
    parts: tuple[Part, ...]
    """The sentence in pieces, names of arms among them."""
    because: str
    """The test or the interval behind it, in words."""
    page: Page
    measure: str | None = None
    """Key of the measure that it is about."""
    arms: tuple[str, ...] = ()
    """The arms that it is about, by their names in metrics.json; all of them where there are none."""

    @property
    def text(self) -> str:
        """The whole sentence."""
        return "".join(self.parts)


@dataclass(frozen=True)
class Found:
    """Holds what sentences are made of."""

    arms: Sequence[ArmMeasures]
    """In the plan's order."""
    recipes: Mapping[str, Recipe] = field(default_factory=dict[str, Recipe])
    """Arm → the recipe of one of its runs, as far as they are known."""
    empty: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    """Arm → sources that vary nothing in it, with the reason."""
    reference: str | None = None
    """The published table that the protocol names."""
    runs: int = 0
    """Planned runs."""
    decision: DecisionRecord | None = None
    """How the comparison of two arms ended that the study trained for."""
    compare: CompareSettings | None = None
    """Which arms that comparison is of, decided or not."""
    symbols: Symbols = UNICODE

    @property
    def is_text(self) -> bool:
        """Tell whether the arms are language models."""
        return any(arm.text for arm in self.arms)

    def stops(self, one: ArmMeasures, other: ArmMeasures) -> bool:
        """Tell whether the difference of two arms decided when training ended: ordinary intervals fail there."""
        compare = self.compare
        return compare is not None and compare.until_decided and {compare.a, compare.b} == {one.name, other.name}

    def find(self, key: str) -> Measure:
        """Return a measure of these arms' networks."""
        return find_measure("text" if self.is_text else "images", key)

    def group(self) -> list[list[ArmMeasures]]:
        """Return the arms that differ in sources and seeds alone together, the largest group first.

        Arms whose sources begin to differ later, and those without two replicas, are in none.
        """
        known = {arm.name: arm for arm in self.arms if arm.n > 1 and not arm.onset}
        return [[known[name] for name in names] for names in group_by_settings(known, self.recipes)]


def join(names: Sequence[ArmMeasures], *, last: str = " and ", most: int = 4) -> tuple[Part, ...]:
    """Return the names of arms as parts of a sentence: "A, B and C"; of many the first few, and how many more."""
    shown = names[:most] if len(names) > most + 1 else names
    parts: list[Part] = []
    for place, arm in enumerate(shown):
        if place:
            parts.append(last if place == len(shown) - 1 and len(shown) == len(names) else ", ")
        parts.append(name(arm))
    if len(shown) < len(names):
        parts.append(f"{last}{len(names) - len(shown)} more")
    return tuple(parts)


def name(arm: ArmMeasures) -> ArmName:
    """Return an arm's name as a part of a sentence."""
    return ArmName(arm_name(arm))


def brief(value: float) -> str:
    """Return a figure with two digits, as sentences have it; a whole number from 10 on."""
    text = f"{value:.2g}"
    return f"{value:.0f}" if "e" in text and abs(value) >= 1 else text


def show_ratio(value: float, interval: Interval) -> str:
    """Return a ratio or a share with two decimals and its interval: "0.74 [0.61 0.90]"."""
    places = 2 if max(abs(interval[0]), abs(value)) < 100 else 0
    return f"{value:.{places}f} [{interval[0]:.{places}f} {interval[1]:.{places}f}]"


def show_estimate(found: Estimate, measure: Measure, symbols: Symbols = UNICODE) -> str:
    """Return a value with its interval: "0.91 [0.63 1.19]"; alone where there is none."""
    text = format_interval(found.value, found.interval, measure.digits, symbols)
    # Where both ends are rounded to the value, more of it is shown than of them.
    return text if "[" in text else format_number(found.value, measure.digits, symbols)
