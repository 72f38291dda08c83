"""Holds what the start screen shows of the thing under the cursor, once it has been read: see `preview`.

Nothing that reads it is imported here: the first screen is drawn before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.protocol.faults import printable
from engine.study.summary import StudySummary
from tui.text.counts import plural
from tui.text.format import UNICODE, format_seconds
from tui.text.places import count_places

if TYPE_CHECKING:
    from engine.plan.data_presence import MissingData
    from engine.protocol.compare_section import Comparing
    from engine.study.instability import SpreadSeries
    from engine.study.metrics_record import ArmMeasures
    from tui.text.answers.sentences import Answer


@dataclass(frozen=True)
class ArmPreview:
    """Says what an arm would train."""

    name: str
    vary: tuple[str, ...]
    runs: int
    group: int
    """Runs behind each replica of an ensemble; 1 for runs of its own."""


@dataclass(frozen=True)
class ProtocolPreview:
    """Says what a protocol would train."""

    name: str
    description: str
    arms: tuple[ArmPreview, ...] = ()
    workload: str = ""
    """Which networks are trained on which data."""
    runs: int = 0
    epochs: tuple[int, int] = (0, 0)
    """The fewest and the most of a run."""
    finished: frozenset[str] = frozenset()
    """The runs that are done."""
    places: tuple[str, ...] = ()
    counts: tuple[int, int] | None = None
    """The fewest and the most places that there will be, where how many is tried out before the training."""
    devices: str = ""
    """The devices that the protocol names, which that is tried out on."""
    undecided: Comparing | None = None
    """The comparison that it trains pairs of replicas for until it is decided; None where all are trained, or it is."""
    seconds: float | None = None
    """How long what is missing will take at most, at the pace of the runs that are done; None where none is."""
    missing: tuple[MissingData, ...] = ()
    """Data that are not there."""
    own_data: bool = False
    """Whether a function of the user's makes data, of which nobody knows beforehand whether they are there."""
    code: tuple[str, ...] = ()
    """Functions of the user's that training runs."""
    faults: tuple[str, ...] = ()
    """Why nothing could be trained."""
    text: str = ""
    """What its file says."""

    @property
    def obstacles(self) -> tuple[str, ...]:
        """Return why it cannot be trained: its faults, and data that nobody fetches."""
        return self.faults or tuple(one.text for one in self.missing if not one.fetched)

    @property
    def done(self) -> int:
        """Return how many runs are done."""
        return len(self.finished)

    @property
    def left(self) -> int:
        """Return how many runs are to be trained."""
        return self.runs - self.done

    @property
    def side_by_side(self) -> int:
        """Return how many runs are trained at once, at least."""
        return max(1, min(len(self.places) if self.counts is None else self.counts[0], self.left or self.runs))


@dataclass(frozen=True)
class StudyPreview:
    """Says what a study has found so far."""

    summary: StudySummary
    arms: tuple[ArmMeasures, ...] = ()
    question: str = ""
    """The description of its protocol."""
    answers: tuple[Answer, ...] = ()
    """What it says, the most important first."""
    spread: tuple[SpreadSeries, ...] = ()
    """The SD over replicas of the first of its figures, by epoch."""
    figure: str = ""
    """The name of that figure, a key of EPOCH_FIGURES."""


Preview = ProtocolPreview | StudyPreview


def describe_work(preview: ProtocolPreview) -> list[str]:
    """Say how many runs a protocol has, where they would be trained, for how long, and what would hinder that."""
    few, many = preview.epochs
    epochs = f"{few}" if few == many else f"{few} to {many}"
    most = "" if preview.undecided is None else "at most "
    done = f", {preview.done} of them done" if preview.done else ""
    rows = [f"{most}{plural(preview.runs, 'run')} of {epochs} {'epoch' if epochs == '1' else 'epochs'}{done}"]
    if preview.undecided is not None:
        rows.append(
            f"in pairs, until {printable(preview.undecided.a)} and {printable(preview.undecided.b)} are told apart"
        )
    if preview.left == 0:
        rows.append("nothing is left to train")
    else:
        where = f"on {count_places(preview.places, counts=preview.counts)}"
        at_most = "" if preview.counts is None else "at most "
        pace = "for how long is known once a run is done; t in the builder times an epoch"
        took = pace if preview.seconds is None else f"{at_most}about {format_seconds(preview.seconds)}"
        rows.append(f"{where}: {took}")
    if preview.code:
        rows.append(f"{UNICODE.lost} runs your code: {', '.join(map(printable, preview.code))}")
    rows += [f"{UNICODE.lost} {printable(one.text)}" for one in preview.missing]
    if not preview.missing and not preview.own_data:
        rows.append(f"{UNICODE.done} its data are there")
    return rows
