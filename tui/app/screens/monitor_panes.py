"""The parts of the monitor that are text: each is bound to what it shows of the screen's attributes, and draws that."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.text import Text
from textual.reactive import var

from engine.protocol.faults import printable
from engine.study.snapshot import StudySnapshot
from engine.study.study_state import StudyState
from tui.app.follow import Picture
from tui.app.machine import Gauge
from tui.app.options import Options
from tui.app.schemes import arm_style
from tui.app.screens.monitor_lines import arm_lines, describe_epoch, describe_failed, now_lines
from tui.app.screens.monitor_plots import ArmPlot, SpreadPlot, explain_empty
from tui.app.widgets.lines import Line, wrap_lines
from tui.app.widgets.panes import LinesPane, TextPane
from tui.app.widgets.titles import set_border_title
from tui.text.counts import plural
from tui.text.decisions import describe_comparison
from tui.text.format import UNICODE, Symbols, describe_state, fit_name, format_seconds, mark_arm, shorten
from tui.text.places import count_training
from tui.text.verdict import make_verdicts

STALE_S = 3
"""A picture that is older says so."""

WAYS_ON: dict[StudyState, str] = {
    "incomplete": "C trains the rest",
    "cancelled": "C trains the rest",
    "failed": "C tries again",
}
"""State of a study that nothing trains though runs are left → the key that trains them."""

READOUT_NAME = 30
"""Columns of a name before figures at most."""


def describe_waiting(snapshot: StudySnapshot) -> str | None:
    """Say what a study waits for whose slots are all held by others; None where it does not wait.

    Workers of a supervisor that was killed train on, and hold the slots of the next one.
    """
    slots = snapshot.slots
    waiting = [slot for slot in slots if slot.state == "waiting"]
    is_trained = bool(snapshot.counts.get("running")) or any(slot.state == "training" for slot in slots)
    if not snapshot.supervised or not waiting or is_trained:
        return None
    reasons = dict.fromkeys(printable(slot.message) for slot in waiting if slot.message)
    told = [reason.removeprefix("waiting: ") for reason in reasons]
    more = f", and {len(told) - 1} more" if len(told) > 1 else ""
    return f"waiting: {told[0]}{more}" if told else "waiting for a slot"


class Heading(TextPane):
    """Says in one line how far the study is, or why it cannot be read."""

    SHOWS = ("picture", "fault", "held", "age_s", "symbols")
    picture: var[Picture | None] = var(None)
    fault: var[str | None] = var(None)
    held: var[bool] = var(False)
    age_s: var[int] = var(0)
    symbols: var[Symbols] = var(UNICODE)

    def __init__(self, study: str, options: Options) -> None:
        """Take the study's name, which is shown until it has been read, and what the app was started with."""
        super().__init__(id="title", classes="title")
        self.study, self.options = study, options

    def make_text(self) -> Text:
        """Make the line from the last picture."""
        if self.fault is not None:
            return Text(f" {printable(self.study)}   {self.symbols.failed} cannot be read", style="bold")
        if self.picture is None:
            return Text(f" {printable(self.study)}   reading {self.symbols.ellipsis}")
        return Text(" " + "   ".join(self._describe(self.picture)), style="bold", no_wrap=True, overflow="ellipsis")

    def _describe(self, picture: Picture) -> list[str]:
        snapshot = picture.snapshot
        done, total = snapshot.counts.get("done", 0), len(snapshot.runs)
        waiting = describe_waiting(snapshot)
        state = describe_state(snapshot.state, snapshot.counts.get("failed", 0), self.symbols)
        parts = [
            printable(snapshot.study),
            state if waiting is None else f"{self.symbols.queued} {waiting}",
            f"{done} of {plural(total, 'run')}",
        ]
        if snapshot.supervised and waiting is None:
            parts.append(count_training(snapshot.slots))
        if done < total and snapshot.seconds_left is not None and snapshot.supervised and waiting is None:
            parts.append(f"about {format_seconds(snapshot.seconds_left)} left")
        if picture.measuring is not None:
            parts.append(f"measuring {picture.measuring}")
        if (way_on := WAYS_ON.get(snapshot.state)) is not None and not self.options.readonly:
            parts.append(way_on)
        if self.held:
            parts.append("view held")
        if self.age_s > STALE_S:
            parts.append(f"updated {format_seconds(self.age_s)} ago")
        return parts


class Readout(TextPane):
    """Says the figures of the arm under the cursor at one epoch."""

    SHOWS = ("picture", "measure", "top", "epoch", "symbols")
    picture: var[Picture | None] = var(None)
    measure: var[str] = var("accuracy")
    top: var[str | None] = var(None)
    epoch: var[int] = var(2)
    symbols: var[Symbols] = var(UNICODE)

    def make_text(self) -> Text:
        """Make the line from the epoch that the plot points at; its name gives way to the figures."""
        picture = self.picture
        if picture is None:
            return Text()
        place = picture.find_arm(self.top)
        if not picture.measures or place is None:
            return Text(f" {explain_empty(picture)}")
        number, arm = place
        head, figures = (
            f" epoch {self.epoch}   ",
            describe_epoch(picture, arm.name, self.measure, self.epoch, self.symbols),
        )
        name = printable(arm.name)
        room = max(4, min(READOUT_NAME, len(name), self.size.width - len(head) - len(figures) - len("●   ") - 1))
        named = f"{mark_arm(number, self.symbols)} {fit_name(name, room).rstrip()}"
        return Text(head, no_wrap=True).append(named, arm_style(number, self.app.theme)).append(f"  {figures}")

    def on_resize(self) -> None:
        """Find out how much of the name can be said."""
        self.redraw()


VERDICT_ROWS = 2
"""Rows of the sentence below."""


class Verdict(TextPane):
    """Says what can be told of the spread of the arm under the cursor by now, in as many words as there is room for."""

    SHOWS = ("picture", "top", "symbols")
    picture: var[Picture | None] = var(None)
    top: var[str | None] = var(None)
    symbols: var[Symbols] = var(UNICODE)

    def make_text(self) -> Text:
        """Make the sentence from the measures."""
        place = None if self.picture is None else self.picture.find_arm(self.top)
        if self.picture is None or place is None:
            return Text()
        compared = describe_comparison(self.picture.snapshot, self.symbols)
        if compared:
            return Text("\n".join(f" {line}" for line in compared[:VERDICT_ROWS]), no_wrap=True, overflow="ellipsis")
        names, width = [arm.name for arm in self.picture.snapshot.arms], max(20, self.size.width - 2)
        texts = make_verdicts(names, self.picture.metrics, place[0], self.symbols)
        failed = describe_failed(*place, self.symbols)
        measured = self.picture.metrics.get(place[1].name)
        if failed is not None and (measured is None or measured.n == 0):
            texts, failed = [failed], None  # why there is nothing to tell
        first = [] if failed is None else [shorten(failed, width, self.symbols)]
        rows = [textwrap.wrap(text, width, break_on_hyphens=False) for text in texts]
        room = VERDICT_ROWS - len(first)
        fitting = next((one for one in rows if len(one) <= room), rows[-1][:room])
        return Text("\n".join(f" {row}" for row in (*first, *fitting)), no_wrap=True)

    def on_resize(self) -> None:
        """Find out how much can be said."""
        self.redraw()


class ArmList(LinesPane):
    """Lists the arms with their measures so far; Enter on one opens its runs."""

    FRAME = "interval"

    SHOWS = ("picture", "fault", "hidden", "symbols")
    picture: var[Picture | None] = var(None)
    fault: var[str | None] = var(None)
    hidden: var[frozenset[str]] = var(frozenset())
    symbols: var[Symbols] = var(UNICODE)

    def list_explained(self) -> list[str]:
        """List what its lines are about, then the pictures above, which have no cursor."""
        return [*super().list_explained(), SpreadPlot.FRAME, ArmPlot.FRAME]

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make a line per arm; or say why there is nothing to list."""
        ends = f"{self.symbols.whiskers[0]}{self.symbols.bar_rest}{self.symbols.dot}{self.symbols.bar_rest}"
        set_border_title(
            self, f"Arms   {ends}{self.symbols.whiskers[1]} 95 %{explain_marks(self.picture, self.symbols)}"
        )
        if self.picture is None:
            return wrap_lines(self.fault or "", width)
        return arm_lines(self.picture, hidden=self.hidden, width=width, theme=self.app.theme, symbols=self.symbols)


class NowList(LinesPane):
    """Shows what is being trained, what stands in the way, how busy the machine is, and a mark per run."""

    SHOWS = ("picture", "gauges", "symbols")
    picture: var[Picture | None] = var(None)
    gauges: var[tuple[Gauge, ...]] = var(())
    symbols: var[Symbols] = var(UNICODE)

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the lines from the last picture."""
        running = self.picture is not None and self.picture.snapshot.supervised
        title = "Now" if running else "Runs"
        set_border_title(self, f"{title}{explain_marks(self.picture, self.symbols)}")
        if self.picture is None:
            return ()
        return now_lines(self.picture, self.gauges, width=max(20, width), theme=self.app.theme, symbols=self.symbols)


def explain_marks(picture: Picture | None, symbols: Symbols) -> str:
    """Return what the mark of a diverged run means, where there is one."""
    diverged = picture is not None and picture.snapshot.diverged
    return f"   {symbols.diverged} diverged: loss not finite" if diverged else ""
