"""The table of measures with a cursor: sorted by a click on a title, read out cell by cell, copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.coordinate import Coordinate
from textual.message import Message
from textual.reactive import var
from textual.widgets import DataTable

from engine.catalog.measure_declaration import Measure
from engine.study.metrics_record import ArmMeasures
from tui.app.schemes import arm_style
from tui.app.screens.results_data import NAME_ORDER, PLAN_ORDER, ShownMeasures
from tui.app.widgets.explained import EXPLAIN, Explained
from tui.text.cells import CellRow, CellTable, make_cells
from tui.text.diagnostics import make_diagnostics_columns
from tui.text.disputes import make_disputes_columns
from tui.text.explanations import name_measure
from tui.text.format import Symbols, mark_arm
from tui.text.tables import Column, pick_columns

Kind = Literal["table", "diagnostics", "disputes"]
"""What the columns are."""

TITLES: dict[Kind, str] = {
    "table": "Diversity by source",
    "diagnostics": "What a spread is made of",
    "disputes": "What replicas disagree about",
}
ENDS = "[ ] 95 % over replicas"
LEGEND = f"SD with R, ± its SD over resamples   {ENDS}   * published figures outside the errors of both"

HEAD_ROWS = 2
"""Lines of the titles."""

ROOMY_ROWS, LEAST_BELOW = 34, 7
"""Rows of a screen on which something stands below the table; rows that are kept for the readout and the keys."""

DIM = Style(dim=True)


# The framework's own classes do not agree about names of arguments.
class MeasureTable(DataTable[Text], Explained):  # pyright: ignore[reportIncompatibleMethodOverride]
    """Shows measures as a table; its cursor is on one figure of one arm, which it tells."""

    measured: var[ShownMeasures | None] = var(None)
    order: var[str] = var(PLAN_ORDER)
    """The order of the rows; `sort` is the framework's."""
    published: var[bool] = var(True)
    diagnosed: var[bool] = var(False)

    BINDINGS: ClassVar[list[BindingType]] = [
        EXPLAIN,
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("h", "cursor_left", "Left", show=False),
        Binding("l", "cursor_right", "Right", show=False),
        Binding("g", "scroll_top", "First", show=False),
        Binding("G", "scroll_bottom", "Last", show=False),
    ]

    class Pointed(Message):
        """Tells which figure is under the cursor."""

        def __init__(self, arm: ArmMeasures, measure: Measure | None) -> None:
            """Take the arm, and the measure; None on its name and number of replicas."""
            super().__init__()
            self.arm, self.measure = arm, measure

    class SortWanted(Message):
        """Tells that the rows are wanted in another order."""

        def __init__(self, order: str) -> None:
            """Take the order."""
            super().__init__()
            self.order = order

    def __init__(self, symbols: Symbols, kind: Kind, *, name_id: str) -> None:
        """Begin without rows.

        Args:
            symbols: What can be shown.
            kind: What its columns are.
            name_id: Id of the widget.
        """
        super().__init__(
            id=name_id,
            cell_padding=0,
            fixed_columns=1,
            header_height=HEAD_ROWS,
            classes="box",
            cursor_foreground_priority="renderable",
            cursor_background_priority="css",
        )
        self.symbols = symbols
        self.kind: Kind = kind
        self.table: CellTable | None = None
        self.wanted: tuple[str, str] = ("", "")
        """The arm and the measure that the cursor begins at."""
        self.laid_out_for = (0, 0)

    def on_mount(self) -> None:
        """Follow what the table depends on."""
        for name in ("measured", "order", "published", "diagnosed"):
            self.watch(self, name, self.redraw, init=False)
        self.watch(self.app, "theme", self.redraw, init=False)

    def on_resize(self, event: events.Resize) -> None:
        """Lay the table out for another size."""
        if self.laid_out_for != (self.size.width, self.screen.size.height):
            self.redraw()

    def redraw(self) -> None:
        """Make the table anew, with the cursor where it was."""
        measured = self.measured
        if measured is None or not self.size.width:
            return
        rows = self.screen.size.height
        self.laid_out_for = (self.size.width, rows)
        row, column = self._find_keys()
        kind: Kind = "diagnostics" if self.diagnosed else self.kind
        reference = measured.reference if self.published and kind == "table" else None
        # What stands below the table keeps its rows where there are enough of them.
        kept = LEAST_BELOW if rows < ROOMY_ROWS else 2 * LEAST_BELOW + len(measured.arms)
        self.table = make_cells(
            measured.number_arms(self.order), choose_columns(kind, self.symbols, measured.arms), self.symbols,
            width=self.size.width - 1, height=rows - kept, reference=reference,
        )  # fmt: skip
        self._fill(self.table)
        frame = 0 if self.screen.has_class("-small") else 2
        wanted = self.table.lines * len(self.table.rows) + HEAD_ROWS + frame
        self.styles.height = min(wanted, max(8, rows - kept + HEAD_ROWS + frame))
        self.border_title = TITLES[kind]
        self.border_subtitle = LEGEND.replace("±", self.symbols.plus_minus) if kind == "table" else ENDS
        self._move_to(row, column)

    def _fill(self, table: CellTable) -> None:
        self.clear(columns=True)
        gap = " " * table.gap
        keys = [NAME_ORDER, PLAN_ORDER, *(column.measure.key for column in table.columns)]
        for place, (key, title) in enumerate(zip(keys, table.titles, strict=True)):
            shown = title if not place else "\n".join(gap + line for line in title.split("\n"))
            style = "bold underline" if key == self.order != PLAN_ORDER else "bold"
            self.add_column(Text(shown, style=style, no_wrap=True), key=key)
        for row in table.rows:
            self.add_row(*self._draw_row(row, gap), key=row.key, height=table.lines)

    def _draw_row(self, row: CellRow, gap: str) -> list[Text]:
        if row.kind:
            label = Text(f"{self.symbols.published} {row.cells[0].strip()}", style=DIM, no_wrap=True)
            style: Style = DIM
        else:
            colour = arm_style(row.number, self.app.theme)
            label = Text(mark_arm(row.number, self.symbols) + row.cells[0][1:], style=colour, no_wrap=True)
            style = Style.null()
        figures = (Text("\n".join(gap + line for line in c.split("\n")), style, no_wrap=True) for c in row.cells[1:])
        return [label, *figures]

    # The cursor ----------------------------------------------------------------------------------------------------

    def _find_keys(self) -> tuple[str, str]:
        """Return the keys of the row and the column under the cursor; those that are wanted where there is none yet."""
        if self.table is None or not self.row_count:
            arm, column = self.wanted
            arms = [] if self.measured is None else [one.name for one in self.measured.arms]
            return str(arms.index(arm)) if arm in arms else "0", column
        keys = self.coordinate_to_cell_key(self.cursor_coordinate)
        return keys.row_key.value or "", keys.column_key.value or ""

    def _move_to(self, row: str, column: str) -> None:
        rows = [key.value for key in self.rows]
        columns = [key.value for key in self.columns]
        at = Coordinate(rows.index(row) if row in rows else 0, columns.index(column) if column in columns else 2)
        self.move_cursor(row=at.row, column=at.column, animate=False)
        self.tell()

    def find_row(self) -> CellRow | None:
        """Return the row under the cursor."""
        if self.table is None or not self.table.rows:
            return None
        return self.table.rows[min(self.cursor_row, len(self.table.rows) - 1)]

    def find_measure(self) -> Measure | None:
        """Return the measure under the cursor; None on names and numbers of replicas."""
        place = self.cursor_column - 2
        return None if self.table is None or place < 0 else self.table.columns[place].measure

    def find_cell(self) -> str:
        """Return the text under the cursor, in one line."""
        row = self.find_row()
        return "" if row is None else " ".join(row.cells[self.cursor_column].split())

    def tell(self) -> None:
        """Tell which figure is under the cursor."""
        row = self.find_row()
        if row is not None and self.measured is not None:
            self.post_message(self.Pointed(self.measured.arms[row.number], self.find_measure()))

    def point_at(self, arm: str, measure: str | None) -> None:
        """Put the cursor on a figure."""
        if self.table is not None:
            row = next((row.key for row in self.table.rows if row.arm == arm and not row.kind), "0")
            self._move_to(row, measure or "")

    def on_data_table_cell_highlighted(self, event: DataTable.CellHighlighted) -> None:
        """Tell which figure the cursor has come to."""
        event.stop()
        self.tell()

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        """Ask for the order of the column whose title was clicked."""
        event.stop()
        self.post_message(self.SortWanted(event.column_key.value or PLAN_ORDER))

    def on_data_table_cell_selected(self, event: DataTable.CellSelected) -> None:
        """Explain the figure on which Enter was pressed, or that was clicked again."""
        event.stop()
        self.action_explain()

    # What is explained ---------------------------------------------------------------------------------------------

    def name_column(self, column: int) -> list[str]:
        """Return the key of what a column holds."""
        if self.table is None or column < 2:
            return [("arm", "replicas")[column]] if column >= 0 else []
        return [name_measure(self.table.columns[column - 2].measure)]

    def list_explained(self) -> list[str]:
        """List what the column under the cursor holds."""
        return self.name_column(self.cursor_column)

    def find_pointed(self, event: events.MouseMove) -> str | None:
        """Return what the column under the mouse holds."""
        column = event.style.meta.get("column", -1)
        return next(iter(self.name_column(column)), None)


def choose_columns(kind: Kind, symbols: Symbols, arms: Sequence[ArmMeasures]) -> tuple[Column, ...]:
    """Return the columns of a table of some arms; of panels those in which any arm has a figure, or all where none."""
    if kind == "table":
        return pick_columns(arms, symbols)
    columns = make_diagnostics_columns(symbols) if kind == "diagnostics" else make_disputes_columns(symbols)
    known = (column for column in columns if any(arm.find(column.measure.key).value is not None for arm in arms))
    return tuple(known) or columns
