"""A protocol as an editable document: comments and order stay as they were written.

Settings are addressed as in messages: "train.epochs", and arms by number from 0. Nothing is checked here: the engine's
own checks judge the text.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, cast

import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError
from tomlkit.items import AoT, Item

from engine.catalog import presets
from engine.catalog.sources import SOURCES
from engine.errors import NondetError
from engine.protocol.arm_keys import ARM, ARM_OVERRIDES
from engine.protocol.checks import MAX_ARM_NAME, is_list, is_table
from tui.app.setting_values import format_value

NUMBER_COLUMNS = 4
"""The columns of an arm's name that are left free for a number behind it."""


@dataclass(frozen=True)
class ArmNaming:
    """Remembers of one arm where its name comes from."""

    made: str | None = None
    """The name that was made here last; None where none was."""
    chosen: bool = False
    """Whether a person has typed its name, which then stays."""
    earlier: Mapping[frozenset[str], str] = field(default_factory=lambda: MappingProxyType({}))
    """Its sources → the name that it last had with them."""


@dataclass(frozen=True)
class Snapshot:
    """Holds a document as it was: its text, and where the names of its arms come from."""

    text: str
    naming: tuple[ArmNaming, ...] = ()


class Document:
    """Holds a protocol's text, which settings and arms are changed in."""

    def __init__(self, text: str, *, file: str, naming: tuple[ArmNaming, ...] = ()) -> None:
        """Parse a text.

        Args:
            text: The protocol.
            file: Its file, for messages.
            naming: What is known of the names of its arms, in their order; of those beyond it nothing is.

        Raises:
            NondetError: If it is not TOML.
        """
        try:
            self._content = tomlkit.parse(text)
        except (ParseError, TOMLKitError) as error:
            raise NondetError(f"{file}: not valid TOML: {error}") from error
        self._naming = list(naming)

    def text(self) -> str:
        """Return exactly what is saved."""
        return tomlkit.dumps(self._content)

    def snapshot(self) -> Snapshot:
        """Return the document as it is now."""
        return Snapshot(self.text(), tuple(self._naming))

    def _find(self, key: str) -> Any:
        """Return the section, or the arms, that stand under a key; None where nothing does."""
        return cast("dict[str, Any]", self._content).get(key)

    def get(self, key: str) -> Any:
        """Return a setting's value as it is written; None where the default holds."""
        section, _, name = key.partition(".")
        table = self._find(section)
        value = table.get(name) if is_table(table) else None
        return value.unwrap() if isinstance(value, Item) else value

    def list_settings(self) -> frozenset[str]:
        """Return the keys of all settings that are written."""
        sections = cast("dict[str, Any]", self._content).items()
        return frozenset(f"{section}.{name}" for section, table in sections if is_table(table) for name in table)

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
    def reads_text(self) -> bool:
        """Tell whether a model of the protocol, or of one of its arms, is for text."""
        models = [self.get("model.preset"), *(self.get_own(n, "model.preset") for n in range(len(self.arms)))]
        return any(model in presets.LANGUAGE_MODELS for model in models)

    @property
    def runs_command(self) -> bool:
        """Tell whether the protocol runs a program of the user's own."""
        return self._find("command") is not None

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
        with self._renaming(number):
            arm, vary = self.arms[number], self._sources(number)
            chosen = set(vary) ^ {source}
            arm["vary"] = [name for name in SOURCES if name in chosen] + [name for name in vary if name not in SOURCES]

    @contextmanager
    def _renaming(self, number: int) -> Generator[None]:
        """Let an arm's name follow what varies in it, where it does, over a change of that."""
        arm, naming, before = self.arms[number], self._naming_of(number), self._content_key(number)
        name = str(arm.get("name", ""))
        follows = not naming.chosen and name in ("", naming.made, self._make_name(number))
        yield
        after = self._content_key(number)
        if before == after:
            return
        naming = replace(naming, earlier=MappingProxyType({**naming.earlier, before: name}))
        if follows:
            known = naming.earlier.get(after)
            made = known if known and self.free_name(known, leave_out=number) == known else self._make_name(number)
            arm["name"], naming = made, replace(naming, made=made)
        self._set_naming(number, naming)

    def _sources(self, number: int) -> list[str]:
        return [str(name) for name in self.arms[number].get("vary", [])]

    def _content_key(self, number: int) -> frozenset[str]:
        """Return what an arm's own name depends on."""
        arm = self.arms[number]
        others = (f"{key} {format_value(arm[key])}" for key in ("crossed", "ensemble") if key in arm)
        return frozenset((*self._sources(number), *others))

    def _make_name(self, number: int) -> str:
        """Return the first free name after what varies in an arm."""
        return self.free_name(name_arm(self.arms[number]), leave_out=number)

    def _naming_of(self, number: int) -> ArmNaming:
        return self._naming[number] if number < len(self._naming) else ArmNaming()

    def _set_naming(self, number: int, naming: ArmNaming) -> None:
        self._naming += [ArmNaming()] * (number + 1 - len(self._naming))
        self._naming[number] = naming

    def rename(self, number: int, name: str) -> None:
        """Give an arm a name that stays, whatever varies in it; ensembles of its runs go with it."""
        before = str(self.arms[number].get("name", ""))
        self.arms[number]["name"] = name
        self._set_naming(number, ArmNaming(chosen=True))
        self._lead_ensembles(before, name)

    def _lead_ensembles(self, before: str, name: str) -> None:
        """Write an arm's new name into the ensembles of its runs."""
        for arm in self.arms:
            members = arm.get("ensemble")
            if is_table(members) and members.get("of") == before:
                members["of"] = name

    def set_arm(self, number: int, key: str, value: Any) -> None:
        """Write one key of an arm; None takes it out. What says what varies leaves no other such key beside it."""
        arm = self.arms[number]
        with self._renaming(number):
            if value is None:
                arm.pop(key, None)
            else:
                arm[key] = _make_inline(value) if is_table(value) else value
            says = {"crossed": ("vary", "replicas", "onset", "ensemble"), "ensemble": (*ARM, *ARM_OVERRIDES)}
            for other in says.get(key, ()) if value is not None else ():
                if other not in ("name", key):
                    arm.pop(other, None)
            if not any(one in arm for one in ("vary", "crossed", "ensemble")):
                arm["vary"] = []

    def get_own(self, number: int, key: str) -> Any:
        """Return an arm's own value of a setting; None where it has none."""
        section, _, name = key.partition(".")
        table = self.arms[number].get(section)
        value = table.get(name) if is_table(table) else None
        return value.unwrap() if isinstance(value, Item) else value

    def set_own(self, number: int, key: str, value: Any) -> None:
        """Write an arm's own value of a setting; None takes it out."""
        section, _, name = key.partition(".")
        arm = self.arms[number]
        table = arm.get(section)
        if value is None:
            if is_table(table):
                table.pop(name, None)
                if not table:
                    arm.pop(section)
        elif is_table(table):
            table[name] = value
        else:
            arm[section] = _make_inline({name: value})

    def add_arm(self, name: str) -> None:
        """Add a control at the end."""
        table = tomlkit.table()
        table["name"], table["vary"] = name, []
        self._append(table)
        self._set_naming(len(self.arms) - 1, ArmNaming(made=name))

    def copy_arm(self, number: int, name: str) -> None:
        """Add the same arm under another name, at the end; where the first one's was chosen, its stays too."""
        before = str(self.arms[number].get("name", ""))
        naming = self._naming_of(number)
        follows = not naming.chosen and before in ("", naming.made, self._make_name(number))
        table = copy.deepcopy(self.arms[number])
        table["name"] = name
        self._append(table)
        self._set_naming(len(self.arms) - 1, ArmNaming(made=name) if follows else ArmNaming(chosen=True))

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
        del self._naming[number : number + 1]

    def free_name(self, wanted: str, *, leave_out: int | None = None) -> str:
        """Return the name, with a number behind it where another arm has it; `leave_out` is an arm that may have it."""
        taken = {name for number, name in enumerate(self.names) if number != leave_out}
        number, name = 1, wanted
        while name in taken:
            number += 1
            name = f"{wanted} {number}"
        return name


def find_text_fault(text: str) -> str | None:
    """Return why a text is no TOML, with the line; None where it is."""
    try:
        Document(text, file="")
    except NondetError as error:
        return str(error).removeprefix(": ")
    return None


def _make_inline(value: Mapping[str, Any]) -> Any:
    """Return a table that is written in one line."""
    table: Any = tomlkit.inline_table()
    table.update(value)
    return table


def name_arm(arm: Mapping[str, Any]) -> str:
    """Return what an arm is called after what varies in it."""
    crossed, ensemble = arm.get("crossed"), arm.get("ensemble")
    if is_table(crossed):
        return " x ".join(SOURCES[source].title if source in SOURCES else str(source) for source in crossed)
    if is_table(ensemble):
        return f"Ensembles of {ensemble.get('size')}: {ensemble.get('of')}"[: MAX_ARM_NAME - NUMBER_COLUMNS]
    vary = arm.get("vary", [])
    return name_sources([str(name) for name in vary] if is_list(vary) else [])


def name_sources(vary: list[str]) -> str:
    """Return what the paper calls some sources together; the protocol's words where that is too long a name."""
    if set(vary) >= {"init", "shuffle", "lowlevel"}:
        return "All nondeterminism sources"
    known = [source for source in vary if source in SOURCES]
    name = " + ".join(SOURCES[source].title for source in known)
    return (name if len(name) <= MAX_ARM_NAME - NUMBER_COLUMNS else " + ".join(known)) or "Control"
