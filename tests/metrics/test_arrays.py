"""Arrays of others: what would run code when it is loaded is refused before it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.metrics.arrays import read_header
from engine.metrics.replicas import read_labels
from engine.study.opening import open_regular


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Path]]:
        return Path.mkdir, (self.folder,)


def test_pickle_in_an_array_is_refused_and_not_loaded(tmp_path: Path) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / "labels.npy"
    np.save(path, np.array([Trap(sprung)], dtype=object), allow_pickle=True)
    np.load(path, allow_pickle=True)
    assert sprung.is_dir(), "the trap is one"
    sprung.rmdir()
    with open_regular(path) as (descriptor, status), pytest.raises(ValueError, match="Python objects"):
        read_header(descriptor, status.st_size)
    assert "Python objects" in str(read_labels(path))
    assert not sprung.exists()
