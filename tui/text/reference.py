"""The reference of the protocol's keys and of the sources, as Markdown made from their declarations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from engine.catalog import presets
from engine.catalog.measure_declaration import Group, describe_uncertainty
from engine.catalog.measures import MEASURES
from engine.catalog.sources import SOURCES
from engine.protocol.arm_keys import ARM, ARM_OVERRIDES
from engine.protocol.keys import Key
from engine.protocol.sections import RECORDS, SECTIONS

GROUPS: dict[Group, str] = {
    "images": "Networks that classify",
    "text": "Language models",
    "diagnostics": "What a spread is made of",
}

HEADS = ("key", "default", "what it does", "note", "allowed")

SEEDS_MEANING = "[seeds]: the base seeds, which hold while a source does not vary"
ARM_MEANING = "[[arm]]: one row of the table; may be repeated"


def list_keys() -> str:
    """Return a table of keys for every section: default, what is allowed, what the key does."""
    parts: list[str] = []
    for section, keys in SECTIONS.items():
        meaning = SEEDS_MEANING if section == "seeds" else (RECORDS[section].__doc__ or "").rstrip(".")
        parts.append(_section(meaning, keys))
    overrides = [
        f"- `{section}`: {', '.join(f'`{name}`' for name in names)}" for section, names in ARM_OVERRIDES.items()
    ]
    own = "An arm may also set keys of these sections for itself, as in `train = { lr = 0.2 }`:\n\n"
    parts.append(_section(ARM_MEANING, ARM) + "\n" + own + "\n".join(overrides) + "\n")
    return "\n".join(parts)


def _section(meaning: str, keys: dict[str, Key]) -> str:
    head, _, rest = meaning.partition(": ")
    rows = [
        (f"`{name}`", _default(key.default), key.meaning, _note(key), key.check.allowed) for name, key in keys.items()
    ]
    return f"### `{head}`\n\n{rest[:1].upper()}{rest[1:]}.\n\n" + make_table(HEADS, rows)


def _note(key: Key) -> str:
    """Return the key's remedy, or nothing where it lists the names that stand under "allowed" already."""
    return "" if key.remedy.startswith("available: ") else key.remedy


def _default(value: Any) -> str:
    return "–" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def list_sources() -> str:
    """Return a table of the sources: what varies between replicas, and what holds while it does not."""
    rows = [(f"`{name}`", source.title, source.meaning, source.held) for name, source in SOURCES.items()]
    return make_table(("source", "name", "what varies between replicas", "while it does not vary"), rows)


def list_presets() -> str:
    """Return tables of the data sets and of the networks that the program knows."""
    data = [
        (f"`{name}`", f"{one.train_size:,}", f"{one.test_size:,}", "x".join(map(str, one.shape)), one.note)
        for name, one in presets.DATA.items()
    ]
    data += [(f"`{name}`", "–", "–", "text", one.note) for name, one in presets.LANGUAGE.items()]
    known = presets.MODELS | presets.LANGUAGE_MODELS
    models = [(f"`{name}`", f"{one.parameters:,}", one.note) for name, one in known.items()]
    return (
        make_table(("data", "training examples", "test examples", "shape", "what it is"), data)
        + "\n"
        + make_table(("model", "parameters", "what it is"), models)
    )


def make_table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return rows below their heads as a table in Markdown."""
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def list_measures() -> str:
    """Return a table of measures for every group: field, unit, meaning, formula, source."""
    parts: list[str] = []
    for group, title in GROUPS.items():
        rows = [
            (
                f"`{one.key}`",
                one.title,
                one.unit,
                f"{one.meaning} {describe_uncertainty(one)}".strip(),
                one.formula,
                one.source,
            )
            for one in MEASURES[group]
        ]
        parts.append(f"### {title}\n\n" + make_table(("field", "title", "unit", "meaning", "formula", "source"), rows))
    return "\n".join(parts)


REFERENCES: dict[str, Callable[[], str]] = {
    "keys": list_keys,
    "sources": list_sources,
    "presets": list_presets,
    "measures": list_measures,
}
"""Name of a generated part of docs/ → what writes it."""
