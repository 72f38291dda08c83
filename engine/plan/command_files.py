"""Looks for what a command needs on this machine: its folder, its interpreter and its files, which are digested."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from engine.protocol.command_section import Command
from engine.protocol.faults import Fault, ProtocolError, show_value
from engine.protocol.load import find_protocol_folder

MAX_FILES = 10_000
MAX_TOTAL_BYTES = 2_000_000_000
"""Of all files of a program: data sets belong elsewhere."""


def find_command_folder(command: Command, file: str) -> Path:
    """Return the folder that the program of a protocol file is started in."""
    return (find_protocol_folder(file) / Path(command.folder).expanduser()).resolve()


def find_python(command: Command, file: str) -> str:
    """Return the interpreter that {python} stands for; links are kept, as an environment's interpreter is one."""
    if command.python is None:
        return sys.executable
    if "/" not in command.python:
        return shutil.which(command.python) or command.python
    return str(find_protocol_folder(file) / Path(command.python).expanduser())


def digest_command(command: Command, file: str) -> str | None:
    """Digest the files of a program, which count with their names below its folder; None where none are named.

    Raises:
        ProtocolError: If the folder, the interpreter or a file is not there.
    """
    folder, faults = find_command_folder(command, file), list[Fault]()
    if not folder.is_dir():
        remedy = "name the folder that your program is started in, seen from the protocol file"
        faults.append(Fault("command.folder", f"is no folder: {folder}", remedy, show_value(command.folder)))
    if command.python is not None and shutil.which(find_python(command, file)) is None:
        remedy = "name the interpreter of your environment, such as ../venv/bin/python"
        problem = f"is no program that can be run: {find_python(command, file)}"
        faults.append(Fault("command.python", problem, remedy, show_value(command.python)))
    files = {} if faults else _find_files(command, folder, faults)
    if faults:
        raise ProtocolError(file, faults)
    lines = [f"{name} {_digest_file(path)}" for name, path in sorted(files.items())]
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest() if lines else None


def _find_files(command: Command, folder: Path, faults: list[Fault]) -> dict[str, Path]:
    """Return the files that patterns name, by their names below the folder."""
    files: dict[str, Path] = {}
    for number, pattern in enumerate(command.files, start=1):
        try:
            found = [path for path in folder.glob(pattern) if path.is_file()]
        except (ValueError, NotImplementedError, OSError) as error:
            faults.append(Fault(f"command.files[{number}]", f"cannot be looked for ({error})", "name a file", pattern))
            continue
        if not found:
            problem = f"matches no file in {folder}"
            faults.append(Fault(f"command.files[{number}]", problem, "repair the name, or leave it out", pattern))
        files |= {
            path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path): path for path in found
        }
    total = sum(path.stat().st_size for path in files.values())
    if len(files) > MAX_FILES or total > MAX_TOTAL_BYTES:
        problem = (
            f"match {len(files):,} files of {total:,} bytes; at most {MAX_FILES:,} of {MAX_TOTAL_BYTES:,} are digested"
        )
        faults.append(Fault("command.files", problem, "name the program's own files only, not its data"))
    return files


def _digest_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_uncovered(command: Command, file: str) -> tuple[str, ...]:
    """Return the words that name a file in the program's folder which `files` does not cover: edits go unnoticed."""
    folder = find_command_folder(command, file)
    covered = set(_find_files(command, folder, []).values())
    named = [
        word for word in command.run or () if "{" not in word and not word.startswith("-") and (folder / word).is_file()
    ]
    return tuple(word for word in named if folder / word not in covered and not Path(word).is_absolute())
