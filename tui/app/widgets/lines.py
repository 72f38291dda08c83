"""A scrolling list of styled lines in one widget, drawn through the line API and only when they changed.

It stands where the framework has OptionList and RichLog. To replace 700 lines takes these 56 and 160 ms of processor
time against 11 ms here, and most lists are replaced every second. OptionList also forgets its cursor then, and wraps
what is too wide instead of scrolling to it; RichLog has no cursor.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events, getters
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.protocol.faults import printable
from tui.app.widgets.owner import app_class
from tui.text.bound import bind, release
from tui.text.format import UNICODE

PLAIN = Style(color="default", bgcolor="default", dim=False)
"""Takes colours away."""


@dataclass(frozen=True)
class Line:
    """Holds one line; without a key it cannot be chosen."""

    text: Text
    key: str | None = None

    def __eq__(self, other: object) -> bool:
        """Tell whether another line looks the same; texts as such are equal whatever style they have as a whole."""
        if not isinstance(other, Line):
            return NotImplemented
        return (self.key, self.text, self.text.style) == (other.key, other.text, other.text.style)

    def __hash__(self) -> int:
        """Return what equal lines have in common."""
        return hash((self.key, self.text.plain))


def wrap_lines(text: str, width: int, *, indent: str = "") -> list[Line]:
    """Return a message as lines to read: line breaks are kept, words that are too long are broken.

    Args:
        text: The message.
        width: Columns of a line.
        indent: Before what goes on from the line above.
    """
    wrap = textwrap.TextWrapper(max(20, width), subsequent_indent=indent).wrap
    return [Line(Text(release(part))) for row in text.splitlines() for part in wrap(bind(printable(row))) or [""]]


class LinesView(ScrollView, can_focus=True):
    """Shows lines; those that have a key can be gone to with a cursor, and chosen with Enter or the mouse."""

    app = getters.app(app_class)

    COMPONENT_CLASSES: ClassVar[set[str]] = {"lines--cursor", "lines--resting"}
    """The line under the cursor, while the widget has the focus and while it has not."""

    key: var[str | None] = var(None)
    """Key of the line under the cursor; every change of it is told with `Moved`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "cursor_down", "Down", show=False),
        Binding("up,k", "cursor_up", "Up", show=False),
        Binding("right,l", "scroll_right", "Right", show=False),
        Binding("left,h", "scroll_left", "Left", show=False),
        Binding("g,home", "first", "First", show=False),
        Binding("G,end", "last", "Last", show=False),
        Binding("pagedown,ctrl+d", "page_down", "Page down", show=False),
        Binding("pageup,ctrl+u", "page_up", "Page up", show=False),
        Binding("enter", "choose", "Open"),
    ]

    class AtLine(Message):
        """Tells of a line that has a key."""

        def __init__(self, view: LinesView, key: str) -> None:
            """Take the widget and the line's key."""
            super().__init__()
            self.view, self.key = view, key

        @property
        def control(self) -> LinesView:
            """Return the widget."""
            return self.view

    class Chosen(AtLine):
        """Tells that Enter was pressed on a line, or that it was clicked."""

    class Moved(AtLine):
        """Tells that the cursor is on another line."""

    def __init__(self, *, name_id: str | None = None, classes: str | None = None, cursor: bool = True) -> None:
        """Begin without lines.

        Args:
            name_id: Id of the widget.
            classes: Its style classes.
            cursor: Whether lines can be chosen; where they cannot, the arrows scroll.
        """
        super().__init__(id=name_id, classes=classes)
        self.has_cursor = cursor
        self.lines: list[Line] = []
        self.strips: dict[int, Strip] = {}
        self.row = 0
        self.base = Style.null()

    def set_lines(self, lines: Sequence[Line]) -> None:
        """Show other lines; the cursor stays on its key where that is still there. Equal lines draw nothing."""
        lines = list(lines)
        if lines == self.lines:
            return
        before, cursor = self.lines, self.row
        self.lines, self.strips = lines, {}
        keys = [line.key for line in lines]
        wanted = keys.index(self.key) if self.key is not None and self.key in keys else min(self.row, len(lines) - 1)
        self.row = self._nearest(max(0, wanted), 1)
        self.key = self._key_at(self.row)
        width = max((line.text.cell_len for line in lines), default=0)
        self.virtual_size = Size(width, len(lines))
        self._send_changes(before, cursor)

    def _send_changes(self, before: Sequence[Line], cursor: int) -> None:
        """Send the rows in view that differ from what was shown: bytes matter over SSH.

        Args:
            before: The lines that were shown.
            cursor: The line that the cursor was on.
        """
        moved = {cursor, self.row} if cursor != self.row else set[int]()
        top = self.scroll_offset.y
        for number in range(top, top + self.size.height):
            if number in moved or before[number : number + 1] != self.lines[number : number + 1]:
                self.refresh(Region(0, number - top, self.size.width, 1))

    def _key_at(self, row: int) -> str | None:
        return self.lines[row].key if 0 <= row < len(self.lines) else None

    def watch_key(self, key: str | None) -> None:
        """Tell which line is under the cursor now."""
        if key is not None:
            self.post_message(self.Moved(self, key))

    def move_to(self, key: str) -> None:
        """Put the cursor on a line."""
        for number, line in enumerate(self.lines):
            if line.key == key:
                self._go(number, 1)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw some rows; what lies below their styles is found once: all that is around has a part in it."""
        self.base = self.rich_style
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """Draw one row of the widget."""
        number = y + self.scroll_offset.y
        width = self.size.width
        if not 0 <= number < len(self.lines):
            return Strip.blank(width, self.base)
        strip = self.strips.get(number)
        if strip is None:
            strip = self.strips[number] = Strip(self._draw(self.lines[number].text))
        left = self.scroll_offset.x
        shown = strip.crop(left, left + width).extend_cell_length(width)
        seen = self.scrollable_content_region.width
        if strip.cell_length > left + seen > left:
            *before, last = shown.crop(0, seen)
            shown = Strip([*before, Segment(last.text[:-1] + UNICODE.ellipsis, last.style)]).extend_cell_length(width)
        if self.has_cursor and self.lines[number].key is not None and self.is_marked(number):
            cursor = self.get_component_rich_style("lines--cursor" if self.has_focus else "lines--resting")
            if cursor.reverse:  # colours of arms would make patches of it
                shown = Strip(Segment.apply_style(shown, post_style=PLAIN), shown.cell_length)
            return shown.apply_style(self.base + cursor)
        return shown.apply_style(self.base)

    def is_marked(self, number: int) -> bool:
        """Tell whether the cursor is on a line."""
        return number == self.row

    def _draw(self, text: Text) -> list[Segment]:
        segments = [segment for segment in text.render(self.app.console) if segment.text != "\n"]
        # rich leaves out the style of a text as a whole where no part of it has one of its own.
        whole = None if text.spans else self.app.console.get_style(text.style)
        return list(Segment.apply_style(segments, whole))

    def _nearest(self, row: int, direction: int) -> int:
        """Return the next line with a key in a direction, else in the other one."""
        for step in (direction, -direction):
            number = row
            while 0 <= number < len(self.lines):
                if self.lines[number].key is not None:
                    return number
                number += step
        return max(0, min(row, len(self.lines) - 1))

    def _go(self, row: int, direction: int) -> None:
        if not self.lines:
            return
        self.row = self._nearest(max(0, min(row, len(self.lines) - 1)), direction)
        self.key = self._key_at(self.row)
        # Headings right above a line are shown with it, as far as there is room.
        top = self.row
        while 0 < top > self.row - self.size.height + 1 and self.lines[top - 1].key is None:
            top -= 1
        self.scroll_to_region(Region(0, top, 1, self.row - top + 1), animate=False, force=True)
        self.refresh()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to open a line only where there is a cursor to say which."""
        return self.has_cursor if action == "choose" else super().check_action(action, parameters)

    def _moves(self) -> bool:
        return self.has_cursor and any(line.key is not None for line in self.lines)

    def action_cursor_down(self) -> None:
        """Go a line on."""
        if self._moves():
            self._go(self.row + 1, 1)
        else:
            self.scroll_relative(y=1, animate=False, force=True)

    def action_cursor_up(self) -> None:
        """Go a line back."""
        if self._moves():
            self._go(self.row - 1, -1)
        else:
            self.scroll_relative(y=-1, animate=False, force=True)

    def action_scroll_right(self) -> None:
        """Scroll to the right."""
        self.scroll_relative(x=4, animate=False, force=True)

    def action_scroll_left(self) -> None:
        """Scroll back to the left."""
        self.scroll_relative(x=-4, animate=False, force=True)

    def action_page_down(self) -> None:
        """Go a page on."""
        self._page(max(1, self.size.height - 1))

    def action_page_up(self) -> None:
        """Go a page back."""
        self._page(-max(1, self.size.height - 1))

    def _page(self, rows: int) -> None:
        if self._moves():
            self._go(self.row + rows, 1 if rows > 0 else -1)
        else:
            self.scroll_relative(y=rows, animate=False, force=True)

    def action_first(self) -> None:
        """Go to the first line."""
        self._go(0, 1)
        self.scroll_to(y=0, animate=False, force=True)

    def action_last(self) -> None:
        """Go to the last line."""
        if self._moves():
            self._go(len(self.lines) - 1, -1)
        else:
            self.scroll_to(y=len(self.lines), animate=False, force=True)

    def action_choose(self) -> None:
        """Open the line under the cursor."""
        if self.key is not None:
            self.post_message(self.Chosen(self, self.key))

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to a line that is clicked; do what Enter does where it is there already."""
        place = event.get_content_offset(self)
        number = -1 if place is None else place.y + self.scroll_offset.y
        if self._key_at(number) is not None:
            again = number == self.row
            self._go(number, 1)
            if again:
                self.action_choose()


def render_lines(renderables: Sequence[RenderableType], width: int) -> list[Line]:
    """Return what rich would print, as lines without a key: the command line's panels shown by the app."""
    console = Console(
        width=max(20, width), color_system=None, highlight=False, force_terminal=True, legacy_windows=False
    )
    lines: list[Line] = []
    for renderable in renderables:
        for row in console.render_lines(renderable, console.options.update(width=max(20, width)), pad=False):
            lines.append(Line(Text.assemble(*((segment.text, segment.style or "") for segment in row if segment.text))))
    return lines
