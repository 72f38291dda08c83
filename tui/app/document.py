"""A protocol as an editable document: comments and order stay as they were written.

Settings are addressed as in messages: "train.epochs", and arms by number from 0. Nothing is checked here: the engine's
own checks judge the text.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import tomli
import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError
from tomlkit.items import AoT, Item

from engine.catalog.sources import SOURCES
from engine.errors import NondetError
from engine.protocol.checks import MAX_ARM_NAME, is_list, is_table
from engine.protocol.sections import SECTIONS, find_key

NUMBER_COLUMNS = 4
"""The columns of an arm's name that are left free for a number behind it."""


class Document:
    """Holds a protocol's text, which settings and arms are changed in."""

    def __init__(self, text: str, *, file: str) -> None:
        """Parse a text.

        Raises:
            NondetError: If it is not TOML.
        """
        try:
            self._content = tomlkit.parse(text)
        except (ParseError, TOMLKitError) as error:
            raise NondetError(f"{file}: not valid TOML: {error}") from error
        self._named: dict[tuple[int, frozenset[str]], str] = {}
        """(arm, its sources) → the name that the arm last had with them."""
        self._given: set[str] = set()
        """Names that were made here."""

    def text(self) -> str:
        """Return exactly what is saved."""
        return tomlkit.dumps(self._content)

    def _find(self, key: str) -> Any:
        """Return the section, or the arms, that stand under a key; None where nothing does."""
        return cast("dict[str, Any]", self._content).get(key)

    def get(self, key: str) -> Any:
        """Return a setting's value as it is written; None where the default holds."""
        section, _, name = key.partition(".")
        table = self._find(section)
        value = table.get(name) if is_table(table) else None
        return value.unwrap() if isinstance(value, Item) else value

    def set(self, key: str, value: Any) -> None:
        """Write a setting; None takes it out."""
        section, _, name = key.partition(".")
        table = self._find(section)
        if value is None:
            if isinstance(table, dict) and name in table:
                del table[name]
            return
        if not isinstance(table, dict):
            table = tomlkit.table()
            # The section goes before the arms, where a reader looks for it.
            arms = self._find("arm")
            if arms is not None:
                self._content.remove("arm")
            self._content.append(section, table)
            if arms is not None:
                self._content.append("arm", arms)
        table[name] = value

    @property
    def arms(self) -> list[Any]:
        """The [[arm]] tables."""
        found = self._find("arm")
        return list(found) if is_list(found) else []

    @property
    def names(self) -> list[str]:
        """The arms' names."""
        return [str(arm.get("name", "")) for arm in self.arms]

    def toggle(self, number: int, source: str) -> None:
        """Let a source vary in an arm, or hold it; sources keep the order in which the paper names them.

        An arm that is called after its sources keeps being called so, and is called again what it was called before
        with the same sources. A name that somebody chose stays.
        """
        arm, vary = self.arms[number], self._sources(number)
        follows = self._is_named_after_sources(number)
        self._named[number, frozenset(vary)] = str(arm.get("name", ""))
        chosen = set(vary) ^ {source}
        arm["vary"] = [name for name in SOURCES if name in chosen] + [name for name in vary if name not in SOURCES]
        if follows:
            arm["name"] = self._name_for_sources(number)
            self._given.add(str(arm["name"]))

    def _sources(self, number: int) -> list[str]:
        return [str(name) for name in self.arms[number].get("vary", [])]

    def _name_for_sources(self, number: int) -> str:
        """Return the name that the arm had with these sources, or the first that is free."""
        vary = self._sources(number)
        known = self._named.get((number, frozenset(vary)))
        if known is not None and self.free_name(known, leave_out=number) == known:
            return known
        return self.free_name(name_sources(vary), leave_out=number)

    def _is_named_after_sources(self, number: int) -> bool:
        """Tell whether the arm has no name, a name that was made here, or the name that would be made."""
        name = str(self.arms[number].get("name", ""))
        automatic = self.free_name(name_sources(self._sources(number)), leave_out=number)
        return name in ("", automatic) or name in self._given

    def set_arm(self, number: int, key: str, value: Any) -> None:
        """Write one key of an arm; None takes it out."""
        arm = self.arms[number]
        if value is None:
            arm.pop(key, None)
        else:
            arm[key] = value

    def add_arm(self, name: str) -> None:
        """Add a control at the end."""
        table = tomlkit.table()
        table["name"], table["vary"] = name, []
        self._append(table)
        self._given.add(name)

    def copy_arm(self, number: int, name: str) -> None:
        """Add the same arm under another name, at the end."""
        table = copy.deepcopy(self.arms[number])
        table["name"] = name
        self._append(table)

    def _append(self, table: Any) -> None:
        found = self._find("arm")
        if isinstance(found, AoT):
            cast("list[Any]", found).append(table)
        else:
            arms = tomlkit.aot()
            cast("list[Any]", arms).append(table)
            self._content["arm"] = arms

    def remove_arm(self, number: int) -> None:
        """Take an arm out."""
        found = self._find("arm")
        if isinstance(found, AoT):
            if len(found) == 1:
                self._content.remove("arm")
            else:
                del found[number]
        self._named = {
            (arm - (arm > number), sources): name for (arm, sources), name in self._named.items() if arm != number
        }

    def free_name(self, wanted: str, *, leave_out: int | None = None) -> str:
        """Return the name, with a number behind it where another arm has it; `leave_out` is an arm that may have it."""
        taken = {name for number, name in enumerate(self.names) if number != leave_out}
        number, name = 1, wanted
        while name in taken:
            number += 1
            name = f"{wanted} {number}"
        return name


@dataclass(frozen=True)
class Step:
    """Holds a change that can be taken back."""

    text: str
    """The protocol before it."""
    before: int | None
    """The arm under the cursor before it."""
    after: int | None
    """The same after it."""


def find_arm(number: int | None, names: Sequence[str], now: Sequence[str]) -> int | None:
    """Return the place, from 0, of an arm after others were added or taken out; None where it is gone.

    Args:
        number: Its place before; None for none.
        names: The names of all arms before the change.
        now: The names of all arms after the change.
    """
    if number is None or number >= len(names):
        return None
    if len(names) == len(now):
        return number
    return now.index(names[number]) if names[number] in now else None


def name_sources(vary: list[str]) -> str:
    """Return what the paper calls some sources together; the protocol's words where that is too long a name."""
    if set(vary) >= {"init", "shuffle", "lowlevel"}:
        return "All nondeterminism sources"
    known = [source for source in vary if source in SOURCES]
    name = " + ".join(SOURCES[source].title for source in known)
    return (name if len(name) <= MAX_ARM_NAME - NUMBER_COLUMNS else " + ".join(known)) or "Control"


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


def find_value_fault(text: str) -> str | None:
    """Return why a text is no value; None where it is one."""
    try:
        parse_value(text)
    except ValueError as error:
        return str(error)
    return None


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


SETTINGS: tuple[str, ...] = tuple(
    f"{section}.{name}" for section in SECTIONS if section != "seeds" for name in SECTIONS[section]
) + tuple(f"seeds.{name}" for name in SECTIONS["seeds"])
"""Every setting, in the order of DESIGN's protocol."""


def default_of(key: str) -> Any:
    """Return a setting's default."""
    return find_key(key).default


def remedy_of(key: str) -> str:
    """Return an example of a setting, or the reason of its limits."""
    return find_key(key).remedy


def allowed_of(key: str) -> str:
    """Return what a setting may be, in words: "a number at least 0 and below 1"."""
    return find_key(key).check.allowed


def check_value(key: str, text: str) -> str | None:
    """Return what is wrong with a typed value for a setting by itself, or None where nothing is."""
    try:
        value = parse_value(text)
    except ValueError as error:
        return str(error)
    return None if value is None else find_key(key).check.find_problem(value)
