"""Tells, before anything is loaded, whether the files of a data preset are there; no file is read for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.catalog.presets import DATA
from engine.errors import DataError
from engine.plan.corpora import FOLDERS, find_files


@dataclass(frozen=True)
class MissingData:
    """Says what of a preset's files is not there."""

    text: str
    fetched: bool
    """Whether training fetches them itself."""


def find_missing(preset: str, root: Path) -> MissingData | None:
    """Say that a preset's files are not there; None where nothing is missing.

    Args:
        preset: The name of a data preset; of one without files, nothing is missing.
        root: The folder that data files are in.
    """
    facts = DATA.get(preset)
    if facts is not None and facts.download is not None and not (root / facts.download.folder).is_dir():
        return MissingData(f"{preset} is not in {root} yet: training downloads it first", fetched=True)
    if preset in FOLDERS:
        try:
            find_files(preset, root)
        except DataError as error:
            return MissingData(str(error), fetched=False)
    return None
