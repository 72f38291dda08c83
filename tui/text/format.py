"""Numbers as text: pure functions, without knowledge of where a number comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len

from engine.catalog.arm_marks import find_mark
from engine.protocol.faults import printable
from engine.study.study_state import StudyState

MISSING = "–"

MAX_DECIMALS = 6
"""A number that needs more is written with an exponent."""

LARGEST = 1e7
"""A number as large as this is written with an exponent."""

MAX_DIGITS = 15
"""Decimals of a number with an exponent: a float holds no more."""


@dataclass(frozen=True)
class Symbols:
    """Characters beyond ASCII that a stream may not be able to show."""

    missing: str = MISSING
    plus_minus: str = "±"
    delta: str = "Δ"
    running: str = "●"
    done: str = "✓"
    failed: str = "✗"
    queued: str = "◌"
    lost: str = "!"
    diverged: str = "~"
    hidden: str = "·"
    """Behind the name of an arm that a plot leaves out."""
    paused: str = "‖"  # the button of players is a picture of two columns in some terminals, and in many fonts none
    bar: str = "━"
    bar_rest: str = "─"
    ellipsis: str = "…"
    dot: str = "●"
    """A value on an axis."""
    whiskers: str = "├┤"
    """The ends of an interval on an axis."""
    beyond: str = "◂▸"
    """The ends of an interval that goes on beyond an axis."""
    published: str = "◇"
    """A published value on an axis."""
    axis: str = "└┴─"
    """The corner, the ticks and the line of an axis below intervals."""
    folded: str = "▸"
    unfolded: str = "▾"

    @property
    def frame(self) -> box.Box:
        """The characters of a panel's frame."""
        return box.ROUNDED if self is UNICODE else box.ASCII

    @property
    def states(self) -> dict[StudyState, str]:
        """State of a study → its glyph."""
        return {
            "done": self.done, "running": self.running, "paused": self.paused, "stopping": self.running,
            "cancelled": self.queued, "failed": self.failed, "incomplete": self.lost, "damaged": self.failed,
        }  # fmt: skip


UNICODE = Symbols()
ASCII = Symbols(
    missing="-", plus_minus="+-", delta="delta", running="*", done="+", failed="x", queued=".", hidden="-", paused="=",
    bar="#", bar_rest="-", ellipsis="...",
    dot="o", whiskers="||", beyond="<>", published="&", axis="++-", folded=">", unfolded="v",
)  # fmt: skip


def choose_symbols(encoding: str | None) -> Symbols:
    """Choose Unicode where the stream's encoding holds all of it, else ASCII."""
    text = "".join(str(value) for value in vars(UNICODE).values()) + "╭╮╰╯│"
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def mark_arm(number: int, symbols: Symbols = UNICODE) -> str:
    """Return the mark of an arm by its place in the protocol, from 0."""
    mark = find_mark(number)
    return mark.ascii if symbols is ASCII else mark.char


def describe_state(state: StudyState, failed: int, symbols: Symbols = UNICODE) -> str:
    """Say a study's state in a word with its glyph; how many runs failed, where that is the state."""
    word = f"{failed} failed" if state == "failed" else state
    return f"{symbols.states[state]} {word}"


def digits_for(error: float) -> int:
    """Return the decimals that show an error with two significant digits."""
    if error <= 0 or not math.isfinite(error):
        return 2
    return min(12, max(0, _last_place(error)))


def _last_place(error: float) -> int:
    """Return the decimal place of an error's second significant digit, below 0 for one left of the point."""
    return 1 - math.floor(math.log10(error))


def _needs_exponent(*numbers: float, places: int) -> bool:
    """Tell whether numbers with so many decimals take more room than with exponents."""
    return places > MAX_DECIMALS or any(abs(number) >= LARGEST for number in numbers)


def format_number(value: float | None, decimals: int, symbols: Symbols = UNICODE) -> str:
    """Format a number with fixed decimals; one that these would round to 0 or 1 has more, and 0 and 1 have none.

    Very large and very small numbers have an exponent.
    """
    if value is None or not math.isfinite(value):
        return symbols.missing
    if abs(value) >= LARGEST:
        return f"{value:.2e}"
    if value in (0, 1):
        return str(int(value))
    text = _round(value, decimals)
    if float(text) == 0:
        places = digits_for(abs(value))
        return f"{value:.1e}" if places > MAX_DECIMALS else f"{value:.{places}f}"
    return _tell_from_one(value, decimals + 1) if float(text) == 1 else text


def _tell_from_one(value: float, decimals: int) -> str:
    """Return a value near 1 with at least some decimals, and as many as tell it from 1; else its distance from 1."""
    texts = (f"{value:.{places}f}" for places in range(decimals, MAX_DECIMALS + 1))
    return next((text for text in texts if float(text) != 1), f"1{value - 1:+.0e}")


def _round(value: float, decimals: int) -> str:
    """Return a value with a fixed number of decimals; a value that is rounded to 0 has no sign."""
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def format_title(title: str, symbols: Symbols) -> str:
    """Return the title of a measure in characters that can be shown."""
    return title.replace(UNICODE.delta, symbols.delta)


def _round_with_exponent(value: float, decimals: int) -> str:
    """Return a value with an exponent and the digits that a fixed number of decimals, or a place, would show of it."""
    shown = decimals + math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{min(max(0, shown), MAX_DIGITS)}e}"


def format_with_error(value: float | None, error: float | None, decimals: int, symbols: Symbols = UNICODE) -> str:
    """Format a number and its error, both with the decimals that give the error two significant digits.

    Args:
        value: None is missing.
        error: None leaves the number alone, with `decimals`, and so does what is not above 0.
        decimals: Where there is no error to go by.
        symbols: What can be shown.
    """
    if value is None or error is None or error <= 0 or not (math.isfinite(value) and math.isfinite(error)):
        return format_number(value, decimals, symbols)
    places = digits_for(error)
    if _needs_exponent(value, error, places=places):
        last = min(places, _last_place(error))
        return f"{_round_with_exponent(value, last)} {symbols.plus_minus} {_round_with_exponent(error, last)}"
    return f"{_round(value, places)} {symbols.plus_minus} {error:.{places}f}"


def format_interval(
    value: float | None, interval: tuple[float, float] | None, decimals: int, symbols: Symbols = UNICODE
) -> str:
    """Format a number and its interval in brackets, where it is wide enough to be seen."""
    if value is None or interval is None or interval[0] == interval[1]:
        return format_number(value, decimals, symbols)
    places = min(_digits_of_ends(value, interval), decimals + 1)
    if _needs_exponent(value, *interval, places=places):
        return f"{value:.1e} [{interval[0]:.1e} {interval[1]:.1e}]"
    low, middle, high = (_round(number, places) for number in (interval[0], value, interval[1]))
    return middle if low == middle == high else f"{middle} [{low} {high}]"


def _digits_of_ends(value: float, interval: tuple[float, float]) -> int:
    """Return the decimals that show the nearer end of an interval as apart from the value, with two digits."""
    reaches = [reach for reach in (value - interval[0], interval[1] - value) if reach > 0]
    return digits_for(min(reaches, default=0.0))


def format_ends(value: float, interval: tuple[float, float]) -> str:
    """Format the two ends of a value's interval in brackets; nothing where it has no width."""
    if interval[0] == interval[1]:
        return ""
    places = _digits_of_ends(value, interval)
    if _needs_exponent(*interval, places=places):
        return f"[{interval[0]:.1e} {interval[1]:.1e}]"
    return f"[{_round(interval[0], places)} {_round(interval[1], places)}]"


def format_seconds(seconds: float | None, symbols: Symbols = UNICODE) -> str:
    """Format a duration in its two largest fitting units."""
    if seconds is None or not math.isfinite(seconds):
        return symbols.missing
    whole = round(max(0.0, seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if minutes < 10 else f"{round(whole / 60)} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours / 24:.1f} d"


def format_bytes(count: float) -> str:
    """Format a size in the unit that leaves it below 1,000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def fit_name(name: str, width: int) -> str:
    """Fit a name from outside into `width` columns of one cell each, for pictures made of cells."""
    return shorten("".join(c if cell_len(c) == 1 else "?" for c in printable(name)), width).ljust(width)


def shorten_apart(texts: Sequence[str], width: int, symbols: Symbols = UNICODE) -> list[str]:
    """Cut texts to a width so that those which differ still do.

    What would be cut to the same beginning as another text is cut in its middle; where the ends are the same too, the
    text's place, from 1, stands behind its beginning.
    """

    def cut_middle(number: int) -> str:
        left = max(0, width - len(symbols.ellipsis))
        text, tail = texts[number], left // 2
        return text[: left - tail] + symbols.ellipsis + text[len(text) - tail :]

    def count(number: int) -> str:
        place = str(number + 1)
        return shorten(texts[number], width - len(place), symbols) + place

    shown = [shorten(text, width, symbols) for text in texts]
    for cut in (cut_middle, count):
        meant: dict[str, set[str]] = {}
        for text, one in zip(texts, shown, strict=True):
            meant.setdefault(one, set()).add(text)
        alike = [n for n, text in enumerate(texts) if len(meant[shown[n]]) > 1 and len(text) > width]
        for number in alike:
            shown[number] = cut(number)
    return shown


def shorten(text: str, width: int, symbols: Symbols = UNICODE) -> str:
    """Cut a text to a width, its loss shown."""
    if len(text) <= width:
        return text
    return text[: max(0, width - len(symbols.ellipsis))] + symbols.ellipsis
