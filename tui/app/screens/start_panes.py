"""The parts of the start screen: each is bound to what it shows of the screen's attributes, and draws that."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text
from textual.reactive import var

from engine.protocol.faults import printable
from tui.app.previewed import Preview
from tui.app.screens.start_lines import LINE, Listing, explain_line, make_choices, make_preview
from tui.app.widgets.lines import Line
from tui.app.widgets.panes import LinesPane, TextPane
from tui.text.explanations import draw_apart
from tui.text.format import UNICODE
from tui.text.plot import GlyphSet


class Heading(TextPane):
    """Says in one line how much there is."""

    SHOWS = ("listing",)
    listing: var[Listing | None] = var(None)

    def __init__(self, *, readonly: bool) -> None:
        """Take whether nothing may be changed, which is said too."""
        super().__init__(id="title", classes="title")
        self.note = "   read only" if readonly else ""

    def make_text(self) -> Text:
        """Make the line from the last listing."""
        if self.listing is None:
            return Text(" nondet-tui   reading …")
        studies, protocols = self.listing.studies, self.listing.protocols
        running = sum(study.state == "running" for study in studies.values())
        title = Text(" nondet-tui", style="bold", no_wrap=True)
        title.append(f"   {count(len(studies), 'study', 'studies')}, {running} running")
        title.append(f"   {count(len(protocols), 'protocol', 'protocols')}{self.note}")
        room = self.size.width - title.cell_len - len("   store ")
        return title.append(f"   store {cut_path(str(self.listing.store), room)}") if room > len("…/studies") else title


class ChoiceList(LinesPane):
    """Lists the studies, then the protocol files, that match a filter."""

    BORDER_TITLE = "Studies and protocols"
    SHOWS = ("listing", "needle", "folded", "marked")
    listing: var[Listing | None] = var(None)
    needle: var[str] = var("")
    folded: var[frozenset[str]] = var(frozenset[str]())
    marked: var[str] = var("")

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the lines from the last listing."""
        return (
            ()
            if self.listing is None
            else make_choices(self.listing, self.needle, self.folded, width, marked=self.marked)
        )

    def list_explained(self) -> list[str]:
        """List the line under the cursor."""
        return [] if self.key is None else [LINE + self.key]

    def draw_explained(self, keys: Sequence[str]) -> list[RenderableType]:
        """Draw what is said of lines."""
        if self.listing is None:
            return []
        found = [explain_line(self.listing, key.removeprefix(LINE)) for key in keys]
        return draw_apart(one for one in found if one is not None)


class PreviewPane(LinesPane):
    """Says what a protocol would train, or what a study has found."""

    SHOWS = ("preview",)
    preview: var[Preview | str | None] = var(None)

    def __init__(self, glyphs: GlyphSet) -> None:
        """Take what lines of a picture are made of."""
        super().__init__(name_id="preview", classes="box", cursor=False)
        self.glyphs: GlyphSet = glyphs

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the lines from what was read."""
        return make_preview(self.preview, width, self.app.theme, height=self.size.height, glyphs=self.glyphs)


def cut_path(path: str, width: int) -> str:
    """Return a path as harmless text in so many columns; its end is what tells it from others."""
    shown = printable(path)
    while cell_len(shown) > width:
        shown = UNICODE.ellipsis + shown[2:]
    return shown


def count(number: int, one: str, many: str) -> str:
    """Return a number with the word that goes with it."""
    return f"{number} {one if number == 1 else many}"
