"""Maps each measure to the function that computes it, and checks that against engine/catalog/measures.py.

A formula sees all that some replicas have put out. It returns one figure per replica (R,) for a mean or an SD, one per
pair (R, R) for a mean over pairs, or a finished estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from engine.catalog.measure_declaration import Group
from engine.catalog.measures import MEASURES

Outputs = TypeVar("Outputs")
Result = TypeVar("Result")


class UndefinedError(Exception):
    """A measure that does not exist for some replicas; the message is the reason."""


class Formulas(Generic[Outputs, Result]):
    """The formulas of one group of measures."""

    def __init__(self, group: Group) -> None:
        """Start without any formula."""
        self.group: Group = group
        self.by_key: dict[str, Callable[[Outputs], Result]] = {}

    def computes(self, *keys: str) -> Callable[[Callable[[Outputs], Result]], Callable[[Outputs], Result]]:
        """Make the decorated function the formula of the measures of these keys.

        Raises:
            LookupError: If one of them is not declared, or has a formula already.
        """
        declared = {measure.key for measure in MEASURES[self.group]}

        def add(formula: Callable[[Outputs], Result]) -> Callable[[Outputs], Result]:
            for key in keys:
                if key not in declared or key in self.by_key:
                    fault = "has two formulas" if key in declared else "is not declared in engine/catalog/measures.py"
                    raise LookupError(f"measure {key!r} of {self.group} {fault}")
                self.by_key[key] = formula
            return formula

        return add

    def check(self) -> None:
        """Make sure that every measure of the group is computed; called once all modules with formulas are imported.

        Raises:
            LookupError: If one is declared without a formula.
        """
        missing = [measure.key for measure in MEASURES[self.group] if measure.key not in self.by_key]
        if missing:
            raise LookupError(f"{', '.join(missing)} of {self.group}: declared, but no formula computes them")
