"""Reads tables of a protocol: every known key checked, every unknown one named."""

from __future__ import annotations

from typing import Any

from engine.protocol.faults import Fault, show_value, suggest
from engine.protocol.keys import Key

MAX_UNKNOWN = 20
"""Unknown keys of one table that are reported one by one."""
Table = dict[str, Any]


def find_unknown(prefix: str, table: Table, valid: list[str]) -> list[Fault]:
    """Find the keys of a table that are none of the valid ones; of very many, the first."""
    unknown = [key for key in table if key not in valid]
    faults = [
        Fault(f"{prefix}{key}", "is not a known key", suggest(key, valid), show_value(table[key]))
        for key in unknown[:MAX_UNKNOWN]
    ]
    if len(unknown) > MAX_UNKNOWN:
        problem = f"holds {len(unknown) - MAX_UNKNOWN:,} more keys that are not known"
        faults.append(Fault(prefix.rstrip(".") or "the file", problem, f"remove them; valid: {', '.join(valid)}"))
    return faults


def check_keys(prefix: str, table: Table, keys: dict[str, Key], faults: list[Fault]) -> Table:
    """Return a value for every key: the table's, or the default where it is left out or faulty."""
    checked: Table = {}
    for name, key in keys.items():
        problem = key.check.find_problem(table[name]) if name in table else None
        if problem is not None:
            faults.append(Fault(f"{prefix}{name}", problem, _remedy(table[name], key), show_value(table[name])))
        checked[name] = table[name] if name in table and problem is None else key.default
    return checked


def _remedy(value: Any, key: Key) -> str:
    """Return the key's own remedy, or the nearest allowed word where one was mistyped."""
    return suggest(value, key.check.names) if key.check.is_unknown_name(value) else key.remedy
