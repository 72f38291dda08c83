"""The tab of pairs: every two replicas of an arm as a square with a cursor; compared when it is first looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.reactive import var

from engine.errors import NondetError
from engine.protocol.faults import printable
from engine.study.metrics_record import ArmMeasures
from engine.study.pairs_record import ArmPairs
from engine.study.paths import StudyPaths
from tui.app.schemes import arm_style
from tui.app.screens.results_data import ShownMeasures
from tui.app.widgets.lines import Line, LinesView, wrap_lines
from tui.app.widgets.panes import LinesPane
from tui.app.widgets.titles import set_border_title
from tui.commands.pairs import find_pairs
from tui.text.format import Symbols, mark_arm
from tui.text.heat import Heat, describe_pair, describe_scale, draw_heat
from tui.text.tables import arm_name

MOST_ROWS = 4
"""Rows of a pair at most; it has twice as many columns, so that a square looks like one."""

LABEL = 5
"""Columns of a replica's number before its row."""

LEAST_ARMS, MOST_ARMS = 20, 48
"""Columns of the list of arms, its frame included."""

HEAD_ROWS = 3
"""Rows above the square."""


@dataclass
class PairsFound(Message):
    """Brings the pairs of an arm, or why there are none."""

    arm: str
    pairs: ArmPairs | None
    fault: str = ""


class ArmChoice(LinesPane):
    """Lists the arms with two replicas or more; the one under the cursor is drawn."""

    SHOWS = ("measured",)
    measured: var[ShownMeasures | None] = var(None)

    def __init__(self, symbols: Symbols) -> None:
        """Take what can be shown."""
        super().__init__(name_id="pairarms", classes="box")
        self.symbols = symbols
        self.border_title = "Arms"

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make a line per arm."""
        if self.measured is None:
            return []
        longest = max((cell_len(arm_name(arm)) for arm in self.measured.arms), default=0)
        self.styles.width = "1fr" if self.screen.has_class("-small") else max(LEAST_ARMS, min(MOST_ARMS, longest + 5))
        return [
            Line(Text(f"{mark_arm(n, self.symbols)} {arm_name(arm)}", arm_style(n, self.app.theme)), arm.name)
            for n, arm in self.measured.number_arms()
            if arm.n > 1
        ]


class HeatPane(LinesPane):
    """Shows the square, with a cursor on one pair."""

    FRAME = "pairs"

    SHOWS = ("heat", "fault", "row_at", "column_at", "number")
    heat: var[Heat | None] = var(None)
    fault: var[str] = var("")
    number: var[int] = var(0)
    """The arm's place in the plan."""
    row_at: var[int] = var(0)
    column_at: var[int] = var(1)

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "go(1, 0)", "Down", show=False),
        Binding("up,k", "go(-1, 0)", "Up", show=False),
        Binding("right,l", "go(0, 1)", "Right", show=False),
        Binding("left,h", "go(0, -1)", "Left", show=False),
    ]

    def __init__(self, symbols: Symbols) -> None:
        """Take what can be shown."""
        super().__init__(name_id="heat", classes="box", cursor=False)
        self.symbols = symbols
        self.border_title = "Pairs of replicas"
        self._drawn: tuple[Heat | None, list[list[str]]] = (None, [])

    @property
    def scale(self) -> int:
        """The rows of a pair: as many as fill the room."""
        size = 1 if self.heat is None else max(1, len(self.heat.order))
        across, down = (self.size.width - LABEL) // (2 * size), (self.size.height - HEAD_ROWS) // size
        return max(1, min(MOST_ROWS, across, down))

    def action_go(self, rows: int, columns: int) -> None:
        """Move the cursor to another pair."""
        if self.heat is not None:
            last, scale = len(self.heat.order) - 1, self.scale
            self.row_at = min(last, max(0, self.row_at + rows))
            self.column_at = min(last, max(0, self.column_at + columns))
            x, y = LABEL + 2 * scale * self.column_at, HEAD_ROWS + scale * self.row_at
            self.scroll_to(x=max(0, x - self.size.width // 2), y=max(0, y - self.size.height // 2), animate=False)

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the pair that is clicked."""
        place = event.get_content_offset(self)
        if place is not None and self.heat is not None:
            row = (place.y + self.scroll_offset.y - HEAD_ROWS) // self.scale
            column = (place.x + self.scroll_offset.x - LABEL) // (2 * self.scale)
            if 0 <= row < len(self.heat.order) and 0 <= column < len(self.heat.order):
                self.row_at, self.column_at = row, column

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make what the pair under the cursor is, the scale, and the square."""
        if self.heat is None:
            return wrap_lines(self.fault or "comparing every two replicas …", max(width, 20))
        set_border_title(self, f"{self.heat.title} of every two replicas, those alike side by side")
        last = len(self.heat.order) - 1
        at = (min(self.row_at, last), min(self.column_at, last))
        said = wrap_lines(describe_pair(self.heat, *at), max(20, width))[: HEAD_ROWS - 1]
        lines = [*said, *[Line(Text(""))] * (HEAD_ROWS - 1 - len(said))]
        lines.append(Line(Text(describe_scale(self.heat, self.symbols), "dim")))
        plain, scale = Style(dim=False) + arm_style(self.number, self.app.theme), self.scale
        if self._drawn[0] is not self.heat:
            self._drawn = (self.heat, draw_heat(self.heat, self.symbols))
        for row, chars in enumerate(self._drawn[1]):
            for part in range(scale):
                number = "" if part else str(self.heat.replicas[self.heat.order[row]])
                text = Text(f"{number:>{LABEL - 1}} ", "dim", no_wrap=True)
                cells = [char * 2 * scale for char in chars]
                if row == at[0]:
                    text.append("".join(cells[: at[1]]), plain)
                    text.append(f"[{'':{2 * scale - 2}}]", Style(dim=False, bold=True, reverse=True))
                    cells = cells[at[1] + 1 :]
                text.append("".join(cells), plain)
                lines.append(Line(text))
        return lines


class PairsPage(Vertical):
    """Lets an arm and a quantity be chosen, and shows its square."""

    measured: var[ShownMeasures | None] = var(None)
    page: var[str] = var("")
    arm: var[str] = var("")
    heat: var[Heat | None] = var(None)
    fault: var[str] = var("")
    number: var[int] = var(0)
    quantity: var[int] = var(0)
    """0 is the disagreement, then the layers that were compared."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "quantity(1)", "Next layer"),
        Binding("tab", "app.focus_next", "Arms/Pairs"),
    ]

    def __init__(self, paths: StudyPaths, symbols: Symbols) -> None:
        """Take the study; nothing is compared yet."""
        super().__init__(id="pairspage")
        self.paths, self.symbols = paths, symbols
        self.known: dict[str, ArmPairs | str] = {}
        """Arm → its pairs, or why there are none."""

    def compose(self) -> ComposeResult:
        """Lay out the arms and the square."""
        cls = PairsPage
        with Horizontal(id="pairparts"):
            yield ArmChoice(self.symbols).data_bind(cls.measured)
            yield HeatPane(self.symbols).data_bind(cls.heat, cls.fault, cls.number)

    def begin_at(self, arms: Sequence[str]) -> None:
        """Put the cursor on the first of some arms that can be shown."""
        choice = self.query_one(ArmChoice)
        there = {line.key for line in choice.lines}
        wanted = next((arm for arm in arms if arm in there), None)
        if wanted is not None:
            choice.move_to(wanted)

    def watch_measured(self) -> None:
        """Forget what was compared: there may be more replicas."""
        self.known.clear()
        self.show()

    def watch_page(self) -> None:
        """Compare when the tab is opened."""
        self.show()

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        """Show another arm."""
        event.stop()
        self.arm, self.quantity = event.key, 0
        self.show()

    def action_quantity(self, step: int) -> None:
        """Show the next layer, or the disagreement again."""
        self.quantity += step
        self.show()

    def show(self) -> None:
        """Show the arm's square; have it compared first where it was not."""
        found = self._find_arm()
        if found is None or self.page != "pairs":
            return
        self.number, arm = found
        known = self.known.get(arm.name)
        if known is None:
            self.heat, self.fault = None, ""
            self._compare(arm.name)
        elif isinstance(known, str):
            self.heat, self.fault = None, known
        else:
            heats = list_heats(known, self.measured, arm.name)
            self.heat = heats[self.quantity % len(heats)]

    def _find_arm(self) -> tuple[int, ArmMeasures] | None:
        arms = [] if self.measured is None else [one for one in self.measured.number_arms() if one[1].n > 1]
        return next((one for one in arms if one[1].name == self.arm), arms[0] if arms else None)

    @work(thread=True, exclusive=True, group="pairs")
    def _compare(self, arm: str) -> None:
        """Compare the replicas in a process of its own."""
        try:
            self.post_message(PairsFound(arm, find_pairs(self.paths, arm)))
        except NondetError as error:
            self.post_message(PairsFound(arm, None, str(error)))

    def on_pairs_found(self, event: PairsFound) -> None:
        """Keep what was found, and show it."""
        self.known[event.arm] = event.fault if event.pairs is None else event.pairs
        self.show()


def list_heats(pairs: ArmPairs, measured: ShownMeasures | None, arm: str) -> list[Heat]:
    """List what is known of every two replicas of an arm: their disagreement, then the CKA of each layer."""
    heats = [Heat("disagreement", "%", pairs.replicas, pairs.runs, pairs.order, pairs.disagreement)]
    numbers = dict(zip(pairs.runs, pairs.replicas, strict=True))
    ranks = {pairs.runs[place]: rank for rank, place in enumerate(pairs.order)}
    for similar in () if measured is None else measured.layers:
        for layer in similar.layers if similar.name == arm else ():
            order = sorted(range(len(layer.runs)), key=lambda place, runs=layer.runs: ranks.get(runs[place], place))
            replicas = tuple(numbers.get(run, place + 1) for place, run in enumerate(layer.runs))
            heats.append(Heat(f"CKA of {printable(layer.name)}", "of 1", replicas, layer.runs, tuple(order), layer.cka))
    return heats
