"""What a user reads of a program that goes wrong is what docs/your-training.md says, and nothing of it is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.study.processes import PROC, list_pids
from tests.helpers.traps import TRAPS, escape, find_sentence, meet

PAGE = Path(__file__).parents[2] / "docs" / "your-training.md"

pytestmark = pytest.mark.slow


TRIED = (
    "takes the time as its seed",
    'the same with `PYTHONHASHSEED = "random"`',
    "leaves a process behind",
    "fills the disk",
    "writes half an array",
)
"""The traps of the gate; trap_drill.py runs all of them, and writes the page's table."""


@pytest.mark.parametrize("name", TRIED)
def test_page_says_what_a_user_reads(name: str, tmp_path: Path) -> None:
    sentence = meet(TRAPS[name], tmp_path)
    assert f"| {name} | {escape(sentence)} |" in PAGE.read_text()
    assert not [pid for pid in list_pids() if str(tmp_path).encode() in read_words(pid)]


def read_words(pid: int) -> bytes:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


def test_page_has_a_row_for_each_trap() -> None:
    page = PAGE.read_text()
    assert [name for name in TRAPS if f"| {name} | " not in page] == []


def test_sentence_is_that_of_the_self_test() -> None:
    said = "/tmp/x/trap: the self-test failed, and nothing more is trained: it was ended (/tmp/x/attempts/01/log.txt)"
    assert find_sentence("a\nself-test: b", f"noise\n{said}") == (
        "the self-test failed, and nothing more is trained: it was ended"
    )
    assert find_sentence("self-test: same (SHA-256 0123456789ab…)", "") == "same (SHA-256 …)"
