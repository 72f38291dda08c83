"""Settings by their keys: what is declared of each, and values as a person types them and is shown them."""

from __future__ import annotations

from typing import Any

import tomli

from engine.protocol.checks import Check, flag, is_list, is_table
from engine.protocol.sections import SECTIONS, find_key

SETTINGS: tuple[str, ...] = tuple(
    f"{section}.{name}" for section in SECTIONS if section != "seeds" for name in SECTIONS[section]
) + tuple(f"seeds.{name}" for name in SECTIONS["seeds"])
"""Every setting, in the order of the sections, those of [seeds] last."""


def default_of(key: str) -> Any:
    """Return a setting's default."""
    return find_key(key).default


def meaning_of(key: str) -> str:
    """Return one sentence that says what a setting does."""
    return find_key(key).meaning


def remedy_of(key: str) -> str:
    """Return an example of a setting, or the reason of its limits."""
    return find_key(key).remedy


def allowed_of(key: str) -> str:
    """Return what a setting may be, in words: "a number at least 0 and below 1"."""
    return find_key(key).check.allowed


def names_of(key: str) -> tuple[str, ...]:
    """Return the words that a setting is one of; none where it is no word out of a list."""
    return find_key(key).check.names


def is_flag(key: str) -> bool:
    """Tell whether a setting is true or false."""
    return find_key(key).check is flag


def check_of(key: str) -> Check:
    """Return what judges a setting's values."""
    return find_key(key).check


def parse_value(text: str) -> Any:
    """Return the value that a person typed, as TOML reads it; a bare word is text.

    Raises:
        ValueError: If it is no value at all.
    """
    text = text.strip()
    if not text:
        return None
    try:
        return tomli.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        if "\n" in text or '"' in text:
            raise ValueError(f"{text}: is no TOML value") from None
        return text


def read_value(check: Check, text: str) -> Any:
    """Return the value that a person typed for a key: text as it stands where the key is text, else as TOML reads it.

    Raises:
        ValueError: If it is no value at all.
    """
    text = text.strip()
    try:
        value = parse_value(text)
    except ValueError:
        if check.accepts(text):
            return text
        raise
    return text if value is not None and not check.accepts(value) and check.accepts(text) else value


def find_value_fault(check: Check, text: str) -> str | None:
    """Return what is wrong with a typed value by itself; None where nothing is."""
    try:
        value = read_value(check, text)
    except ValueError as error:
        return str(error)
    return None if value is None else check.find_problem(value)


def format_value(value: Any) -> str:
    """Return a value as a person would type it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_list(value):
        return "[" + ", ".join(f'"{v}"' if isinstance(v, str) else str(v) for v in value) + "]"
    if is_table(value):
        return "{ " + ", ".join(f"{k} = {format_typed(v)}" for k, v in value.items()) + " }"
    return "" if value is None else f"{value}"


def format_typed(value: Any) -> str:
    """Return a value as a person would type it inside a table, where text has quotes."""
    return f'"{value}"' if isinstance(value, str) else format_value(value)
