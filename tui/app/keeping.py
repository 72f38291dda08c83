"""Writes what the user chose in the app into the file of the settings, and leaves its other lines as they are."""

from __future__ import annotations

import os
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from engine.errors import NondetError
from engine.protocol.faults import printable, show_path
from engine.study.files import write_bytes


def keep_setting(key: str, value: str, config: Path) -> None:
    """Set a key in the user's settings; comments and order of the file stay.

    Args:
        key: A field of `Settings`.
        value: What it becomes.
        config: The file; it is made where there is none, and a link to it stays one.

    Raises:
        NondetError: If the file cannot be read as TOML, or not be written.
    """
    try:
        document = tomlkit.parse(config.read_text(encoding="utf-8") if config.exists() else "")
        document[key] = value
        config.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(Path(os.path.realpath(config)), tomlkit.dumps(document).encode())
    except (OSError, ValueError, TOMLKitError) as error:
        raise NondetError(f"{show_path(config)}: {key} = {value} is not kept: {printable(str(error))}") from None
