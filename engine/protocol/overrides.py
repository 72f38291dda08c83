"""`--set KEY=VALUE`: changes to a protocol's document from the command line."""

from __future__ import annotations

from typing import Any

import tomli

from engine.protocol.faults import Fault, find_near, show_value
from engine.protocol.sections import SECTIONS


def apply_overrides(document: dict[str, Any], overrides: tuple[str, ...]) -> list[Fault]:
    """Set each "section.key=value" in the document; the values are checked later, with the file's own.

    Returns:
        Faults of the texts themselves: no equals sign, no such section or key.
    """
    faults: list[Fault] = []
    for override in overrides:
        key, equals, value_text = override.partition("=")
        section, dot, name = key.strip().partition(".")
        fault = _fault(override, section, name, complete=bool(equals and dot))
        if fault is not None:
            faults.append(fault)
            continue
        table = document.setdefault(section, {})
        if isinstance(table, dict):
            table[name] = parse_value(value_text.strip())
    return faults


def parse_value(text: str) -> Any:
    """Return the TOML value that a text denotes; a text that is no TOML value, such as a plain word, stays a string."""
    try:
        document = tomli.loads(f"value = {text}")
    except (ValueError, RecursionError):  # no TOML, more digits than a number may have, or nested too deep
        return text
    return document["value"] if set(document) == {"value"} else text


def _fault(override: str, section: str, name: str, *, complete: bool) -> Fault | None:
    keys = [f"{section_name}.{key}" for section_name, fields in SECTIONS.items() for key in fields]
    if not complete:
        remedy = "write --set SECTION.KEY=VALUE, e.g. --set train.epochs=20"
        return Fault("--set", "is not SECTION.KEY=VALUE", remedy, show_value(override))
    if section not in SECTIONS or name not in SECTIONS[section]:
        near = find_near(f"{section}.{name}", keys)
        remedy = f"{'' if near is None else f'did you mean {near}? '}`nondet-tui keys` lists all"
        return Fault(f"--set {section}.{name}", "is not a known key", remedy)
    if not _is_text(override):
        remedy = "write it in UTF-8, as the terminal's locale (LC_ALL) should be"
        return Fault(f"{section}.{name}", "is not UTF-8 text", remedy, show_value(override.partition("=")[2]))
    return None


def _is_text(override: str) -> bool:
    """Tell whether an argument is text: bytes that are none come as lone surrogates, which no file can hold."""
    return not any("\ud800" <= char <= "\udfff" for char in override)
