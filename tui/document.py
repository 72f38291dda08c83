"""A protocol as an editable document: comments and order stay as they were written.

Settings are addressed as in messages: "train.epochs", and arms by number from 0. Nothing is checked here: the engine's
own checks judge the text.
"""

from __future__ import annotations

import copy
from typing import Any

import tomli
import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError
from tomlkit.items import AoT, Item

from engine.errors import NondetError
from engine.protocol.fields import SECTIONS
from engine.sources import SOURCES


class Document:
    """See the module."""

    def __init__(self, text: str, *, file: str) -> None:
        """Parse a text.

        Raises:
            NondetError: If it is not TOML.
        """
        try:
            self._content = tomlkit.parse(text)
        except (ParseError, TOMLKitError) as error:
            raise NondetError(f"{file}: not valid TOML: {error}") from error

    def text(self) -> str:
        """Exactly what is saved."""
        return tomlkit.dumps(self._content)

    def get(self, key: str) -> Any:
        """A setting's value as it is written; None where the default holds."""
        section, _, name = key.partition(".")
        table = self._content.get(section)
        value = table.get(name) if isinstance(table, dict) else None
        return value.unwrap() if isinstance(value, Item) else value

    def set(self, key: str, value: Any) -> None:
        """Write a setting; None takes it out."""
        section, _, name = key.partition(".")
        table = self._content.get(section)
        if value is None:
            if isinstance(table, dict) and name in table:
                del table[name]
            return
        if not isinstance(table, dict):
            table = tomlkit.table()
            # Before the arms, where a reader looks for it.
            arms = self._content.get("arm")
            if arms is not None:
                self._content.remove("arm")
            self._content.append(section, table)
            if arms is not None:
                self._content.append("arm", arms)
        table[name] = value

    @property
    def arms(self) -> list[Any]:
        """The [[arm]] tables."""
        found = self._content.get("arm")
        return list(found) if isinstance(found, (AoT, list)) else []

    def toggle(self, number: int, source: str) -> None:
        """Let a source vary in an arm, or hold it; sources keep the order in which the paper names them."""
        arm = self.arms[number]
        vary = [str(name) for name in arm.get("vary", [])]
        chosen = set(vary) ^ {source}
        arm["vary"] = [name for name in SOURCES if name in chosen] + [name for name in vary if name not in SOURCES]

    def set_arm(self, number: int, key: str, value: Any) -> None:
        """Write one key of an arm; None takes it out."""
        arm = self.arms[number]
        if value is None:
            arm.pop(key, None)
        else:
            arm[key] = value

    def add_arm(self, name: str) -> None:
        """A control at the end."""
        table = tomlkit.table()
        table["name"], table["vary"] = name, []
        self._append(table)

    def copy_arm(self, number: int, name: str) -> None:
        """The same arm under another name, at the end."""
        table = copy.deepcopy(self.arms[number])
        table["name"] = name
        self._append(table)

    def _append(self, table: Any) -> None:
        found = self._content.get("arm")
        if isinstance(found, AoT):
            found.append(table)
        else:
            arms = tomlkit.aot()
            arms.append(table)
            self._content["arm"] = arms

    def remove_arm(self, number: int) -> None:
        """Take an arm out."""
        found = self._content.get("arm")
        if isinstance(found, AoT):
            if len(found) == 1:
                self._content.remove("arm")
            else:
                del found[number]

    def free_name(self, wanted: str) -> str:
        """The name, with a number behind it where another arm has it."""
        taken = {str(arm.get("name")) for arm in self.arms}
        number, name = 1, wanted
        while name in taken:
            number += 1
            name = f"{wanted} {number}"
        return name


def name_sources(vary: list[str]) -> str:
    """What the paper calls a combination of sources."""
    if set(vary) >= {"init", "shuffle", "lowlevel"}:
        return "All nondeterminism sources"
    names = {
        "init": "Parameter Initialization", "shuffle": "Data shuffling", "augment": "Data Augmentation",
        "stochastic": "Stochastic Operations", "lowlevel": "Low-level operations", "bit": "Random Bit Change",
    }  # fmt: skip
    return " + ".join(names[source] for source in vary if source in names) or "Control"


def parse_value(text: str) -> Any:
    """What a person typed, as TOML reads it; a bare word is text.

    Raises:
        ValueError: If it is no value at all.
    """
    text = text.strip()
    if not text:
        return None
    try:
        return tomli.loads(f"value = {text}")["value"]
    except tomli.TOMLDecodeError:
        if "\n" in text or '"' in text:
            raise ValueError(f"{text}: is no TOML value") from None
        return text


def find_value_fault(text: str) -> str | None:
    """Why a text is no value; None where it is one."""
    try:
        parse_value(text)
    except ValueError as error:
        return str(error)
    return None


def format_value(value: Any) -> str:
    """A value as a person would type it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(f'"{v}"' if isinstance(v, str) else str(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {format_typed(v)}" for k, v in value.items()) + " }"
    return "" if value is None else f"{value}"


def format_typed(value: Any) -> str:
    """The same inside a table, where text has quotes."""
    return f'"{value}"' if isinstance(value, str) else format_value(value)


SETTINGS: tuple[str, ...] = tuple(
    f"{section}.{name}" for section in SECTIONS if section != "seeds" for name in SECTIONS[section]
) + tuple(f"seeds.{name}" for name in SECTIONS["seeds"])
"""Every setting, in the order of DESIGN's protocol."""


def default_of(key: str) -> Any:
    """A setting's default."""
    section, _, name = key.partition(".")
    return SECTIONS[section][name].default


def remedy_of(key: str) -> str:
    """What is allowed, or an example."""
    section, _, name = key.partition(".")
    return SECTIONS[section][name].remedy


def allowed_of(key: str) -> str:
    """What a setting may be, as its own check says it: "a number at least 0 and below 1"."""
    section, _, name = key.partition(".")
    said = SECTIONS[section][name].check(object()) or ""
    return said.removeprefix("must be ")


def check_value(key: str, text: str) -> str | None:
    """What is wrong with a typed value for a setting by itself; None where nothing is."""
    section, _, name = key.partition(".")
    try:
        value = parse_value(text)
    except ValueError as error:
        return str(error)
    return None if value is None else SECTIONS[section][name].check(value)
