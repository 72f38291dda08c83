"""Fixtures of the tests of measures."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.study.paths import StudyPaths
from tests.helpers.arrays_study import write_study_of_arrays


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    """A study of two arms whose replicas are arrays."""
    return write_study_of_arrays(tmp_path / "study")
