"""JSON files as tests write and read them, without a record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from engine.study.files import refuse_exhaustion, write_bytes


def write_json(path: Path, content: dict[str, Any], *, compact: bool = False) -> None:
    """Replace a JSON file as a whole; see `write_bytes`. `compact` for long lists of numbers.

    Raises:
        ValueError: If the content holds a number that is not finite: such values are null plus a flag.
    """
    write_bytes(path, (json.dumps(content, allow_nan=False, indent=None if compact else 1) + "\n").encode())


def read_json(path: Path) -> dict[str, Any] | None:
    """Read the object in a JSON file; None where the file is absent, empty, torn or something else.

    Raises:
        StudyError: If the process has too many files open to look.
    """
    try:
        content: Any = json.loads(path.read_bytes())
    except OSError as error:
        refuse_exhaustion(error, path)
        return None
    except ValueError:
        return None
    return cast("dict[str, Any]", content) if isinstance(content, dict) else None
