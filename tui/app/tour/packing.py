"""Packs the study of the tour into one file that comes along, and unpacks it where the tour looks at it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from engine.errors import NondetError
from engine.protocol.faults import printable, show_path

PACKED = Path(__file__).parent / "study.zip"
LEFT_OUT = frozenset(
    {"model.safetensors", "supervisor.log", "log.txt", "start.lock", "beat.json", "supervisor-beat.json", "control"}
)
"""Files and folders that nobody needs who looks at a finished study."""

NOBODY = {"host": "elsewhere", "boot_id": "", "pid_namespace": "", "pid": 1, "start_ticks": 0}
"""Stands for who trained it: names of machines and folders do not come along."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time that files are packed with, so that equal studies make equal packages."""


def pack_study(folder: Path) -> bytes:
    """Pack a study's folder, files in the order of their names, without what only training needs."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder.parent)
            if path.is_file() and not LEFT_OUT.intersection(name.parts):
                content = path.read_bytes()
                content = _forget_places(content) if path.suffix == ".json" else content
                archive.writestr(zipfile.ZipInfo(str(name), EPOCH), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _forget_places(content: bytes) -> bytes:
    """Return a record without the names of the machine and of the folders in which the study was trained."""
    record = json.loads(content)
    if not record.keys() & {"owner", "search_path"}:
        return content
    places: dict[str, Any] = {"owner": NOBODY, "search_path": ["."]}
    if "provenance" in record:
        places["provenance"] = record["provenance"] | {"host": NOBODY["host"]}
    return json.dumps({key: places.get(key, value) for key, value in record.items()}).encode()


def unpack_study(store: Path) -> Path:
    """Unpack the study that comes along into a folder.

    Args:
        store: The folder, which is there.

    Returns:
        The study's folder.

    Raises:
        NondetError: If there is no room for it, or it did not come along.
    """
    try:
        with zipfile.ZipFile(PACKED) as archive:
            archive.extractall(store)
            return store / archive.namelist()[0].partition("/")[0]
    except (OSError, zipfile.BadZipFile) as error:
        raise NondetError(
            f"{show_path(store)}: the study of the tour cannot be unpacked ({printable(str(error))}): set TMPDIR to a "
            "folder with 10 MB of room, or install nondet-tui again"
        ) from None
