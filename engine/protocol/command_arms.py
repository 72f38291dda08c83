"""Checks [command] with its arms: sources are varied through placeholders, and arms differ by them and by arguments."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.catalog.placeholders import (
    ARM_PREFIX,
    CHECKPOINT,
    EVERYTHING,
    PLAIN,
    SEED_PREFIX,
    find_placeholders,
    name_source,
    write_placeholder,
)
from engine.catalog.sources import SOURCES
from engine.protocol.arm_keys import ARM, ARM_OVERRIDES, check_presence
from engine.protocol.checks import MAX_REPLICAS, MAX_SEED, allow, differ, is_list, is_table, is_whole
from engine.protocol.command_section import MAX_TITLE, SOURCE_NAME, Command
from engine.protocol.definition import Arm
from engine.protocol.faults import Fault, show_value, suggest
from engine.protocol.keys import Key
from engine.protocol.tables import Table, check_keys, find_unknown
from engine.recipe import DataRecipe, ModelRecipe, Scalar, TrainRecipe

REPLACED = ("data", "model", "trust", "train", "lowlevel", "bit", "evaluate")
"""Sections that say how this program trains."""

RESUMING = ("python", "out", EVERYTHING, CHECKPOINT)
"""The placeholders that words to go on with may hold, beside seeds."""

COMMAND_ARM = ("name", "vary", "replicas", "crossed", "arguments")
"""The keys of an arm that trains."""

NO_DATA, NO_MODEL, NO_TRAINING = DataRecipe(), ModelRecipe(), TrainRecipe(epochs=1, batch_size=1)
"""Stand in a command's arms and recipes for what its own program knows."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Holds what a command says of its sources and arguments."""

    command: Command
    sources: tuple[str, ...] = ()
    """Those that have a placeholder, in order."""
    titles: dict[str, str] = field(default_factory=dict[str, str])
    """What [sources] calls them."""
    seeds: dict[str, int] = field(default_factory=dict[str, int])
    """Base seed of each of them."""
    arguments: frozenset[str] = frozenset()
    """The keys of {arm.KEY}."""
    line: str = ""
    """Where `run` stands in the file, for messages."""


def split_seeds(document: Mapping[str, Any]) -> tuple[Table, Table]:
    """Return the document without the base seeds of a command's own sources, and these."""
    seeds = document.get("seeds")
    if "command" not in document or not is_table(seeds):
        return dict(document), {}
    own = {name: value for name, value in seeds.items() if name not in SOURCES}
    return {**document, "seeds": {name: value for name, value in seeds.items() if name not in own}}, own


def refuse_strays(document: Mapping[str, Any], faults: list[Fault]) -> None:
    """Report what has a meaning only beside [command], in a file that has none."""
    if "sources" in document:
        problem = "belongs to a [command], and there is none"
        faults.append(Fault("sources", problem, "remove it, or describe your training program in [command]"))
    tables = document.get("arm")
    for number, table in enumerate(tables if is_list(tables) else (), start=1):
        if is_table(table) and "arguments" in table:
            problem = "belongs to a [command], and there is none"
            remedy = "use train = { … } or model = { … }, or describe your training program in [command]"
            faults.append(Fault(f"arm[{number}].arguments", problem, remedy, show_value(table["arguments"])))


def read_terms(
    document: Mapping[str, Any],
    command: Command,
    faults: list[Fault],
    *,
    base: Mapping[str, int],
    own: Table,
    text: str,
) -> Terms:
    """Check a command by itself, and return what its arms may do.

    Args:
        document: The whole file.
        command: Its section, checked key by key.
        faults: Extended.
        base: The base seeds of the known sources.
        own: Those of the others, not checked yet.
        text: The file's text, to say in which line something stands.
    """
    line = find_line(text, "command", "run")
    if command.run is None and not any(fault.key == "command.run" for fault in faults):
        faults.append(Fault("command.run", "is missing", Command.__dataclass_fields__["run"].metadata["key"].remedy))
    for section in REPLACED:
        if section in document:
            problem = "stands beside [command], whose program has its own"
            faults.append(Fault(section, problem, "remove the section, or give the program an argument"))
    titles = _read_titles(document.get("sources", {}), faults)
    known = (*SOURCES, EVERYTHING, *(name for name in titles if name not in SOURCES and name != EVERYTHING))
    placed = find_placeholders([*(command.run or ()), *command.environment.values()])
    _check_placeholders(placed, known, line, faults)
    _check_resume(command, known, faults)
    named = {source for placeholder in placed if (source := name_source(placeholder)) is not None}
    seeds = {name: value for name, value in base.items() if name in named} | ({"bit": 0} if "bit" in named else {})
    for name, value in own.items():
        if name not in known:
            remedy = suggest(name, known)
            faults.append(Fault(f"seeds.{name}", "is no source of this file", remedy, show_value(value)))
        elif not is_whole(value) or not 0 <= value <= MAX_SEED:
            remedy = "1 where it is left out"
            problem = f"must be a whole number from 0 to {MAX_SEED}"
            faults.append(Fault(f"seeds.{name}", problem, remedy, show_value(value)))
        else:
            seeds[name] = value
    sources = tuple(name for name in known if name in named)
    return Terms(
        command=command,
        sources=sources,
        titles=titles,
        seeds={name: seeds.get(name, 1) for name in sources},
        arguments=frozenset(name.removeprefix(ARM_PREFIX) for name in placed if name.startswith(ARM_PREFIX)),
        line=line,
    )


def find_line(text: str, section: str, key: str) -> str:
    """Say in which line of a file a section's key stands, as " (line 7)"; an empty text where it is not found."""
    inside = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("["):
            inside = re.match(rf"\s*\[\s*{section}\s*\]", line) is not None
        if inside and re.match(rf"\s*{key}\s*=", line):
            return f" (line {number})"
    return ""


def _read_titles(table: Any, faults: list[Fault]) -> dict[str, str]:
    if not is_table(table):
        faults.append(Fault("sources", "must be a section", "write [sources] on a line of its own", show_value(table)))
        return {}
    titles: dict[str, str] = {}
    for name, title in table.items():
        if SOURCE_NAME.fullmatch(name) is None:
            problem = "is no name of a source: letters, digits and _, 40 at most, no digit first"
            faults.append(Fault(f"sources.{name}", problem, 'e.g. dataloader = "Workers of the data loader"'))
        elif not isinstance(title, str) or not 0 < len(title.strip()) <= len(title) <= MAX_TITLE:
            problem = f"must be a title of 1 to {MAX_TITLE} characters"
            faults.append(Fault(f"sources.{name}", problem, "it is shown beside the source's name", show_value(title)))
        else:
            titles[name] = title
    return titles


def _check_placeholders(placed: dict[str, str], known: tuple[str, ...], line: str, faults: list[Fault]) -> None:
    for placeholder, word in placed.items():
        if placeholder == CHECKPOINT:
            problem = "holds {checkpoint}, which is known only where a run goes on"
            faults.append(Fault("command.run", problem, "move it to resume", show_value(word)))
        source = name_source(placeholder)
        if source is not None and source not in known:
            problem = f"holds {{{placeholder}}}, and no source is named {source}{line}"
            remedy = f'{suggest(source, known)}; a source of your own gets a title: [sources] {source} = "…"'
            faults.append(Fault("command.run", problem, remedy, show_value(word)))
        if source is None and placeholder not in PLAIN and not placeholder.startswith(ARM_PREFIX):
            valid = [*PLAIN, f"{SEED_PREFIX}SOURCE", f"{ARM_PREFIX}KEY"]
            problem = f"holds {{{placeholder}}}, which is no placeholder{line}"
            faults.append(Fault("command.run", problem, suggest(placeholder, valid), show_value(word)))


def _check_resume(command: Command, known: tuple[str, ...], faults: list[Fault]) -> None:
    placed = find_placeholders(command.resume)
    if command.resume and CHECKPOINT not in placed:
        problem = "names no {checkpoint}, so the program would not know what to go on from"
        faults.append(Fault("command.resume", problem, 'e.g. ["--resume", "{checkpoint}"]', show_value(command.resume)))
    for placeholder in placed:
        if placeholder not in RESUMING and name_source(placeholder) not in known:
            problem = f"holds {{{placeholder}}}, which is no placeholder here"
            faults.append(Fault("command.resume", problem, suggest(placeholder, RESUMING), show_value(command.resume)))


def build_command_arm(prefix: str, table: Table, terms: Terms, replicas: int, faults: list[Fault]) -> tuple[Arm, ...]:
    """Return the arm of one [[arm]] table that trains; none where it is faulty."""
    before = len(faults)
    for key in table:
        if key in ARM_OVERRIDES or key == "onset":
            problem = "has no meaning for a [command], whose program trains"
            remedy = "leave it out, or give the program an argument: arguments = { … }"
            faults.append(Fault(f"{prefix}{key}", problem, remedy, show_value(table[key])))
    left_out = {*ARM_OVERRIDES, "onset", "ensemble"}
    known = {key: value for key, value in table.items() if key not in left_out}
    faults.extend(find_unknown(prefix, known, list(COMMAND_ARM)))
    keys = {**{key: ARM[key] for key in COMMAND_ARM}, "vary": _vary_key(), "crossed": _crossed_key()}
    own = check_keys(prefix, known, keys, faults)
    crossed: dict[str, int] = own["crossed"] or {}
    arguments: dict[str, Scalar] = own["arguments"] or {}
    grid = tuple(crossed.items())
    check_presence(prefix, table, ("vary", "replicas"), faults)
    if grid and terms.command.kind not in ("logits", "probabilities"):
        problem = f"needs the outputs for every class, and command.kind is {terms.command.kind}"
        faults.append(
            Fault(f"{prefix}crossed", problem, "vary each source in an arm of its own", show_value(dict(grid)))
        )
    chosen: list[str] = own["vary"] or [name for name, _ in grid]
    for source in chosen:
        _check_source(f"{prefix}{'crossed' if grid else 'vary'}", source, terms, faults)
    _check_arguments(prefix, arguments, terms, faults)
    if len(faults) > before or own["name"] is None or (own["vary"] is None and not grid):
        return ()
    arm = Arm(
        name=own["name"],
        vary=tuple(name for name in terms.sources if name in chosen),
        replicas=math.prod(levels for _, levels in grid) if grid else own["replicas"] or replicas,
        crossed=grid,
        arguments=tuple(sorted(arguments.items())),
        data=NO_DATA,
        model=NO_MODEL,
        train=NO_TRAINING,
    )
    return (arm,)


def refuse_ensemble(prefix: str, table: Table, terms: Terms, faults: list[Fault]) -> None:
    """Report ensembles of predictions that cannot be averaged."""
    if terms.command.kind not in ("logits", "probabilities"):
        problem = f"averages the outputs for every class, and command.kind is {terms.command.kind}"
        faults.append(Fault(f"{prefix}ensemble", problem, "leave the arm out", show_value(table["ensemble"])))


def _check_source(key: str, source: str, terms: Terms, faults: list[Fault]) -> None:
    """Report a source that the command cannot vary, because its placeholder stands nowhere."""
    if source in terms.sources:
        return
    known = (*SOURCES, EVERYTHING, *terms.titles)
    if source not in known:
        faults.append(Fault(key, "names no source", suggest(source, terms.sources or known), show_value(source)))
        return
    placeholder = write_placeholder(source)
    problem = f"varies {source}, and its placeholder {placeholder} stands nowhere in command.run{terms.line}"
    remedy = f'give the program that seed, e.g. "--{source}-seed", "{placeholder}", or vary another source'
    faults.append(Fault(key, problem, remedy, show_value(source)))


def _check_arguments(prefix: str, arguments: Table, terms: Terms, faults: list[Fault]) -> None:
    for name in sorted(terms.arguments - arguments.keys()):
        problem = f"has no {name}, and command.run holds {{{ARM_PREFIX}{name}}}{terms.line}"
        faults.append(Fault(f"{prefix}arguments", problem, f"write arguments = {{ {name} = … }} in this arm"))
    for name in arguments:
        if name not in terms.arguments:
            problem = f"stands nowhere as {{{ARM_PREFIX}{name}}} in command.run{terms.line}"
            remedy = suggest(name, terms.arguments) if terms.arguments else f'add "--{name}", "{{{ARM_PREFIX}{name}}}"'
            faults.append(Fault(f"{prefix}arguments.{name}", problem, remedy, show_value(arguments[name])))


def _vary_key() -> Key:
    def accepts(value: Any) -> bool:
        return is_list(value) and all(isinstance(one, str) for one in value) and differ(value)

    check = allow("a list of different sources; empty for a control", accepts)
    return Key(check, None, ARM["vary"].remedy, ARM["vary"].meaning)


def _crossed_key() -> Key:
    def accepts(value: Any) -> bool:
        counted = is_table(value) and len(value) == 2 and all(is_whole(n) and n >= 2 for n in value.values())
        return counted and math.prod(value.values()) <= MAX_REPLICAS

    check = allow(f"two sources, each with 2 or more seeds, at most {MAX_REPLICAS} pairs", accepts)
    return Key(check, None, ARM["crossed"].remedy, ARM["crossed"].meaning)
