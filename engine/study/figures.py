"""The figures of an epoch by name: those that every training has, and the numbers that a user's own program reports."""

from __future__ import annotations

import math
from collections.abc import Iterable

from engine.study.curves_record import FIELDS
from engine.study.epochs import EpochRecord

EVERY_NUMBER = "every number"
"""Asked for beside names of `curves_record.FIELDS`: whatever a user's own program reports, by name."""

LOSS = "loss"
SCORE = "score "
"""What stands in front of the name of a number that a program reports."""

MOST_NUMBERS = 20
"""Numbers of one program that are told apart; later ones are left out."""


def list_names(records: Iterable[EpochRecord], known: Iterable[str]) -> list[str]:
    """Return the names of the numbers that a program reports in some epochs, behind those that are known by now."""
    names = dict.fromkeys(known)
    for record in records:
        if record.scores or record.reported_name is not None:
            names.update(dict.fromkeys([*(f"{SCORE}{name}" for name in record.scores), LOSS]))
    return list(names)[:MOST_NUMBERS]


def read_figure(record: EpochRecord, name: str) -> float | None:
    """Return a figure of an epoch by its name; None where there is none that is finite."""
    if name.startswith(SCORE):
        value = record.scores.get(name.removeprefix(SCORE))
    else:
        value = record.train_loss if name == LOSS else getattr(record, FIELDS[name])
    return value if value is not None and math.isfinite(value) else None
