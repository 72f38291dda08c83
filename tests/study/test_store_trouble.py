"""Trouble with a store is told once for each change."""

from __future__ import annotations

import logging

import pytest

from engine.errors import StoreForbiddenError, StoreFullError
from engine.study.store_trouble import StoreTrouble


def test_trouble_is_told_once_for_each_change(caplog: pytest.LogCaptureFixture) -> None:
    trouble = StoreTrouble(logging.getLogger("test"))
    trouble.end()
    for number in range(3):
        trouble.note(StoreFullError(f"file {number}: no room"))
    trouble.note(StoreForbiddenError("not yours"), "no checkpoint: not yours")
    trouble.end()
    trouble.end()
    trouble.note(StoreFullError("file 4: no room"))
    assert [record.message for record in caplog.records] == [
        "file 0: no room", "no checkpoint: not yours", "the store can be written again", "file 4: no room",
    ]  # fmt: skip
