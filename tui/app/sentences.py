"""Paints the sentences that a study says: names of arms in their colours, behind their marks."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from tui.app.schemes import arm_style
from tui.text.answers.sentences import Answer, ArmName
from tui.text.bound import bind, release
from tui.text.format import Symbols, mark_arm


def wrap_sentence(text: Text, console: Console, width: int) -> list[Text]:
    """Return the lines of a sentence, which end between words and not inside of intervals; its styles are kept."""
    bound = text.copy()
    bound.plain = bind(text.plain)
    rows = list(bound.wrap(console, width))
    for row in rows:
        row.plain = release(row.plain)
    return rows


def paint_sentence(answer: Answer, numbers: Mapping[str, int], theme: str, symbols: Symbols) -> Text:
    """Return a sentence with the names of arms in their colours.

    Args:
        answer: The sentence.
        numbers: The name of an arm as it is shown → its place in the protocol, from 0.
        theme: The framework's name of the theme.
        symbols: What the terminal can show.
    """
    text = Text("", style="bold red" if answer.weight == "warning" else "")
    for part in answer.parts:
        number = numbers.get(part) if isinstance(part, ArmName) else None
        if number is None:
            text.append(part)
        else:
            text.append(f"{mark_arm(number, symbols)} {part}", arm_style(number, theme))
    return text
