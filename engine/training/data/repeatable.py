"""Makes sure that a user's data function returns the same examples for all runs of a study."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from engine.errors import DataError
from engine.recipe import DataRecipe
from engine.study.files import create_file, make_folder, write_bytes
from engine.study.opening import read_regular
from engine.study.paths import StudyPaths
from engine.training.data.datasets import Dataset
from engine.training.data.text import Corpus
from engine.training.full_store import patiently

DIGITS = 64
"""Of a SHA-256 in hexadecimal."""

WRITING_S = 2.0
"""What another worker may take from making the record to filling it; later it is taken for one that was killed."""

SHOWN = 12


def require_same_data(paths: StudyPaths, recipe: DataRecipe, data: Dataset) -> None:
    """Compare what a user's function returned with what it returned for the study's runs before; the first is kept.

    Otherwise an unseeded draw in it, or a file that changed, would be part of what every arm measures.

    Raises:
        DataError: If it returned other examples.
    """
    if recipe.target is None:
        return
    digest, record = digest_data(data), paths.data_digest(_name(recipe))
    patiently(lambda: make_folder(record.parent))
    if patiently(lambda: create_file(record, digest.encode())):
        return
    deadline = time.monotonic() + WRITING_S
    while len(known := _read_whole(record)) < DIGITS:
        if time.monotonic() > deadline:
            patiently(lambda: write_bytes(record, digest.encode()))
            return
        time.sleep(WRITING_S / 40)
    if known != digest:
        raise DataError(
            f"{recipe.target}: returned other examples than for the study's runs before (SHA-256 {digest[:SHOWN]}… "
            f"instead of {known[:SHOWN]}…): it must return the same whenever it is called, so give every draw in it a "
            "seed; where the files that it reads were changed, take another protocol.name"
        )


def _read_whole(record: Path) -> str:
    """Return a record's digest, or less while another worker writes it, or has taken it back for want of room."""
    try:
        return read_regular(record, DIGITS).decode("ascii", "replace")
    except OSError:
        return ""


def require_data_of_study(paths: StudyPaths, recipe: DataRecipe, data: Dataset | Corpus) -> None:
    """Compare what a user's function returned with what the study was trained on, where that is on record.

    Raises:
        DataError: If it returned other examples.
    """
    if recipe.target is None or isinstance(data, Corpus):
        return
    digest, known = digest_data(data), _read_whole(paths.data_digest(_name(recipe)))
    if len(known) == DIGITS and known != digest:
        raise DataError(
            f"{recipe.target}: returned other examples than those that the study was trained on (SHA-256 "
            f"{digest[:SHOWN]}… instead of {known[:SHOWN]}…), so its runs cannot be trained again: bring back the "
            "files that it reads, and the seeds of what it draws"
        )


def digest_data(data: Dataset) -> str:
    """Return the SHA-256 of all examples and labels with their shapes and types, and of how they are scaled."""
    found = hashlib.sha256(repr((data.classes, data.mean, data.std)).encode())
    for tensor in (data.train_inputs, data.train_labels, data.test_inputs, data.test_labels):
        found.update(repr((tuple(tensor.shape), str(tensor.dtype))).encode())
        found.update(tensor.cpu().contiguous().numpy().data)
    return found.hexdigest()


def _name(recipe: DataRecipe) -> str:
    """Return a name of what decides which examples are loaded; arms that differ in how they draw from them share it."""
    return hashlib.sha256(repr((recipe.target, recipe.target_sha256, recipe.train_size)).encode()).hexdigest()[:16]
