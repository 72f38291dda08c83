"""Derives what the terminal can show from its environment variables: pure functions of a mapping."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass

from tui.commands.streams import asks_for_ascii
from tui.text.plot import GlyphSet

Environment = Mapping[str, str]


@dataclass(frozen=True)
class Terminal:
    """Holds what the app takes into account of its terminal."""

    glyphs: GlyphSet
    remote: bool
    """Over SSH: nothing moves that need not."""
    tmux: bool
    few_colours: bool
    """16 or fewer: the terminal's own palette is used."""


def find_obstacle(
    environment: Environment, encoding: str | None, *, interactive: bool, glyphs: str = "auto"
) -> str | None:
    """Say why the app cannot be shown here, and what can be done instead; None where it can.

    Args:
        environment: The variables.
        encoding: That of the terminal.
        interactive: Whether input and output are a terminal.
        glyphs: The user's choice.
    """
    instead = "`nondet-tui --batch PROTOCOL.toml` trains and `nondet-tui status STUDY` shows a study without it"
    if not interactive:
        return f"the app needs a terminal for input and output: {instead}"
    term = environment.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        return f"TERM={term or 'unset'} cannot place characters: set TERM (xterm-256color fits most), or {instead}"
    try:
        utf8 = codecs.lookup(encoding or "ascii").name == "utf-8"
    except LookupError:
        utf8 = False
    if not utf8 and describe_terminal(environment, glyphs).glyphs != "ascii":
        return (
            f"the terminal's encoding is {encoding or 'unknown'}, and the app draws with UTF-8: set LC_ALL=C.UTF-8 (or "
            f'another UTF-8 locale), or glyphs = "ascii" in the settings, or {instead}'
        )
    return None


def describe_terminal(environment: Environment, glyphs: str = "auto") -> Terminal:
    """Find out what there is to know of a terminal; `glyphs` is the user's choice."""
    term = environment.get("TERM", "")
    # The Linux console has no braille in its fonts.
    chosen: GlyphSet = "ascii" if asks_for_ascii(environment) else "block" if term == "linux" else "braille"
    if glyphs in ("braille", "block", "ascii"):
        chosen = glyphs  # pyright: ignore[reportAssignmentType] - checked in the line before
    return Terminal(
        glyphs=chosen,
        remote=bool(environment.get("SSH_CONNECTION") or environment.get("SSH_TTY")),
        tmux=bool(environment.get("TMUX")),
        few_colours="256" not in term and environment.get("COLORTERM", "") not in ("truecolor", "24bit"),
    )
