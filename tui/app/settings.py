"""The user's settings: one TOML file in the XDG places, read whole, every fault named with file, key and value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import tomli

from engine.errors import NondetError
from engine.protocol.checks import is_number
from engine.protocol.faults import cut, printable, show_path, show_value, suggest
from engine.protocol.text_file import UnreadableError, read_text_file
from engine.study.opening import is_regular
from engine.study.paths import enter_path

VARIABLE = "NONDET_CONFIG"
MAX_RECENT = 20
MAX_BYTES = 100_000


@dataclass(frozen=True)
class Settings:
    """Holds what can be set, with its default."""

    theme: str = "auto"
    """auto, dark, light, contrast or ansi."""
    glyphs: str = "auto"
    """auto, braille, block or ascii."""
    mouse: bool = True
    notices: bool = True
    """Bell and desktop notice at the end of a study."""
    refresh_s: float = 1.0
    """Seconds between two looks at a study."""


CHOICES = {"theme": ("auto", "dark", "light", "contrast", "ansi"), "glyphs": ("auto", "braille", "block", "ascii")}


@dataclass(frozen=True)
class Locations:
    """Names the files and folders of the app."""

    config: Path
    recent: Path
    """Protocols that were opened lately, a path per line, newest first."""
    copies: Path
    """Texts that were too long to copy through the terminal."""


def find_locations(environment: Mapping[str, str], home: Path) -> Locations:
    """Find the XDG places; $NONDET_CONFIG names another config file."""

    def place(variable: str, fallback: str) -> Path:
        value = environment.get(variable, "")
        return (Path(value) if value.startswith("/") else home / fallback) / "nondet-tui"

    own = environment.get(VARIABLE)
    state = place("XDG_STATE_HOME", ".local/state")
    config = enter_path(own) if own else place("XDG_CONFIG_HOME", ".config") / "config.toml"
    return Locations(config=config, recent=state / "recent", copies=state / "copies")


def here() -> Locations:
    """Find the places of this user.

    Raises:
        NondetError: If nobody knows the user's home folder.
    """
    try:
        home = Path.home()
    except RuntimeError as error:
        raise NondetError("nondet-tui: there is no home folder for this user: set HOME to a folder of yours") from error
    return find_locations(os.environ, home)


def read_settings(path: Path) -> Settings:
    """Read the settings in a file; return the defaults where there is none.

    Raises:
        NondetError: With every fault of the file.
    """
    try:
        content = tomli.loads(read_text_file(path, limit=MAX_BYTES))
    except FileNotFoundError:
        return Settings()
    except UnreadableError as error:
        raise NondetError(f"{show_path(path)}: {error.problem}: {error.remedy}") from None
    except (ValueError, RecursionError) as error:
        problem = cut(printable(str(error)), 200)
        raise NondetError(f"{path}: cannot be read: {problem}: repair it, or remove it for the defaults") from None
    faults = [fault for key, value in content.items() if (fault := _find_fault(key, value)) is not None]
    if faults:
        raise NondetError("\n".join(f"{path}: {fault}" for fault in faults))
    return Settings(**content)


def _find_fault(key: str, value: Any) -> str | None:
    defaults = {field.name: field.default for field in fields(Settings)}
    if key not in defaults:
        return f"{cut(printable(key), 80)} is not a known key: {suggest(key, list(defaults))}"
    if key in CHOICES and value not in CHOICES[key]:
        return f"{key} = {show_value(value)}: must be one of {', '.join(CHOICES[key])}"
    if key == "refresh_s" and not (is_number(value) and 0.2 <= value <= 60):
        return f"{key} = {show_value(value)}: must be a number of seconds from 0.2 to 60"
    if isinstance(defaults[key], bool) and not isinstance(value, bool):
        return f"{key} = {show_value(value)}: must be true or false"
    return None


def read_recent(path: Path) -> list[Path]:
    """Return the protocols that were opened lately and are still there."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [Path(line) for line in lines[:MAX_RECENT] if line and is_regular(Path(line))]


def note_recent(path: Path, opened: Path) -> None:
    """Put a protocol first among the recent ones; where that cannot be written, nothing is lost."""
    kept = [entry for entry in read_recent(path) if entry != opened]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(map(str, [opened, *kept][:MAX_RECENT])) + "\n", encoding="utf-8")
    except OSError:
        return
