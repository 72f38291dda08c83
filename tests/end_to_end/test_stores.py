"""A full and a read-only store, on a small tmpfs that is mounted in a namespace of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.real_study import Study
from tests.helpers.store_drill import DRILLS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
UNSHARE = ["unshare", "--mount", "--map-root-user"]


def can_mount() -> bool:
    try:
        return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.timeout(300)
@pytest.mark.skipif(not can_mount(), reason="needs mount namespaces (unshare --mount --map-root-user)")
@pytest.mark.parametrize("name", DRILLS)
def test_store_without_room_or_read_only_loses_nothing(name: str, study: Study, reference: Study) -> None:
    study.store.mkdir()
    drill = [sys.executable, "-m", "tests.helpers.store_drill", name]
    arguments = [str(study.store), str(study.file), str(reference.store)]
    done = subprocess.run([*UNSHARE, *drill, *arguments], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout, "it came to its end"
