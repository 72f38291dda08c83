"""Numbers as text: digits that the error justifies, and nothing that a terminal cannot show."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.text.format import (
    ASCII,
    UNICODE,
    choose_symbols,
    format_bytes,
    format_ends,
    format_interval,
    format_number,
    format_seconds,
    format_with_error,
    shorten,
)


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (12.345, 1, "12.3"),
        (None, 2, "–"),
        (math.nan, 2, "–"),
        (math.inf, 2, "–"),
        (9_999_999.0, 2, "9999999.00"),
        (3.14159e26, 4, "3.14e+26"),
        (-1e7, 0, "-1.00e+07"),
    ],
)
def test_number_has_fixed_decimals_and_may_be_missing(value: float | None, decimals: int, text: str) -> None:
    assert format_number(value, decimals) == text


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.5183, 0.0712, "0.518 ± 0.071"),
        (12.3456, 1.2, "12.3 ± 1.2"),
        (123.4, 23.0, "123 ± 23"),
        (0.000123456, 0.0000023, "1.235e-04 ± 2.3e-06"),
        (1.5e-9, 2.5e-10, "1.50e-09 ± 2.5e-10"),
        (0.0, 2.5e-10, "0e+00 ± 2.5e-10"),
        (-1e-12, 2.5e-10, "-1e-12 ± 2.5e-10"),
        (3.14159e26, 2.7e25, "3.14e+26 ± 2.7e+25"),
        (5.0, 1.3e12, "5e+00 ± 1.3e+12"),
        (-4.2e8, 0.3, "-4.2000000000e+08 ± 3.0e-01"),
        (123456.0, 23000.0, "123456 ± 23000"),
        (0.5, 0.0, "0.50"),
        (0.5, None, "0.50"),
        (None, 0.1, "–"),
    ],
)
def test_error_has_two_digits_and_decides_those_of_the_value(value: float, error: float, text: str) -> None:
    assert format_with_error(value, error, 2) == text


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (3.4012, (2.94, 3.85), "3.40 [2.94 3.85]"),
        (0.7594, (0.74, 0.78), "0.759 [0.740 0.780]"),
        (0.0, (0.0, 0.0), "0"),
        (3.4, None, "3.40"),
        (None, None, "–"),
        (2.0, (2.0 - 1e-9, 2.0 + 1e-9), "2.000"),
        (34.1, (-0.3, 68.2), "34 [0 68]"),
        (3.14159e26, (1e25, 7.6e26), "3.1e+26 [1.0e+25 7.6e+26]"),
        (5.0, (1.0, 2e9), "5.0e+00 [1.0e+00 2.0e+09]"),
    ],
)
def test_interval_stands_in_brackets_where_it_can_be_seen(
    value: float | None, interval: tuple[float, float] | None, text: str
) -> None:
    assert format_interval(value, interval, 2) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min 00 s"),
        (599, "9 min 59 s"),
        (3599, "60 min"),
        (3600, "1 h 00 min"),
        (86_400, "24 h 00 min"),
        (200_000, "2.3 d"),
        (-5, "0 s"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1.5e6, "2 MB"), (999.6e6, "1 GB"), (7e12, "7.0 TB")],
)
def test_sizes(count: float, text: str) -> None:
    assert format_bytes(count) == text


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12), st.floats(1e-12, 1e6))
def test_any_value_with_any_error_is_short(value: float, error: float) -> None:
    shown = format_with_error(value, error, 2)
    assert "±" in shown
    assert len(shown) < 40


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3).map(sorted), st.integers(0, 4)
)
def test_numbers_of_any_size_have_a_bounded_width(numbers: list[float], decimals: int) -> None:
    low, value, high = numbers
    assert len(format_number(value, decimals)) <= 15
    assert len(format_interval(value, (low, high), decimals)) <= 48
    assert len(format_ends(value, (low, high))) <= 40
    assert len(format_with_error(value, abs(high), decimals)) <= 40


@given(st.text(), st.integers(0, 30))
def test_shortened_text_fits(text: str, width: int) -> None:
    assert len(shorten(text, width)) <= max(width, 1)


@pytest.mark.parametrize(
    ("encoding", "symbols"),
    [("utf-8", UNICODE), ("ascii", ASCII), ("latin-1", ASCII), (None, ASCII), ("no-such-encoding", ASCII)],
)
def test_symbols_fit_the_stream(encoding: str | None, symbols: object) -> None:
    assert choose_symbols(encoding) is symbols
    assert all(value.isascii() for value in vars(ASCII).values())


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (2.6e-09, 4, "2.6e-09"), (-2.6e-09, 2, "-2.6e-09"), (0.004, 2, "0.0040"), (0.00004, 4, "0.000040"),
        (0.0049, 1, "0.0049"), (0.9999, 3, "0.9999"), (0.99996, 3, "0.99996"), (0.9999996, 3, "1-4e-07"),
        (1.0000004, 3, "1+4e-07"), (0.9994, 3, "0.999"), (0.0, 4, "0"), (1.0, 3, "1"), (-0.0, 2, "0"),
    ],
)  # fmt: skip
def test_rounded_number_is_never_taken_for_exactly_0_or_1(value: float, decimals: int, text: str) -> None:
    assert format_number(value, decimals) == text


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 6))
def test_number_reads_as_0_or_1_only_where_it_is(value: float, decimals: int) -> None:
    text = format_number(value, decimals)
    if re.fullmatch(r"-?\d+(\.\d+)?(e[+-]\d+)?", text):
        assert (float(text) == value) if float(text) in (0, 1) else value not in (0, 1)


@pytest.mark.parametrize("error", [-1.5e308, -0.1, 0.0])
def test_error_that_is_none_is_not_shown(error: float) -> None:
    """A file from others may hold an error below 0."""
    assert format_with_error(3.25, error, 2) == "3.25"


def test_symbols_are_text_of_one_column_everywhere() -> None:
    """Pictures, such as those of a player's buttons, have two columns in some terminals and no glyph in many fonts."""
    for symbol in "".join(str(value) for value in vars(UNICODE).values() if isinstance(value, str)):
        assert not 0x23E9 <= ord(symbol) <= 0x23FA
        assert not ord(symbol) >= 0x1F000
        assert cell_len(symbol) == 1
