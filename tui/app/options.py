"""Holds the options that the app was started with, as far as its screens need them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual.app import App
from textual.widget import Widget

from tui.text.format import ASCII, UNICODE, Symbols
from tui.text.plot import GlyphSet


@dataclass(frozen=True, kw_only=True)
class Options:
    """Holds what stays the same while the app runs."""

    store: Path
    """Folder of all studies, absolute and without detours."""
    readonly: bool
    """Nothing is started, stopped or deleted."""
    glyphs: GlyphSet
    """What plots are made of."""
    refresh_s: float
    """Seconds between two looks at a study."""
    recent: Path
    """File with the protocols that were opened lately."""

    @property
    def symbols(self) -> Symbols:
        """The characters that texts are made of."""
        return ASCII if self.glyphs == "ascii" else UNICODE


def may_change(asking: Widget | App[None], options: Options) -> bool:
    """Tell whether studies may be changed, and notify the person where they may not.

    Args:
        asking: The screen or app that would change something.
        options: What the app was started with.
    """
    if options.readonly:
        asking.notify("read only: started with --readonly", severity="warning")
    return not options.readonly
