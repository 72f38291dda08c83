"""A store that cannot be written for a while is waited for; one that cannot be for longer ends the worker."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from engine.errors import StoreUnavailableError, StudyError
from engine.study.files import explain_write_errors
from engine.training import full_store
from engine.training.full_store import patiently


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO, errno.ESTALE])
def test_write_goes_on_once_the_store_lets_it(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refusals = [number] * 3

    def write() -> str:
        with explain_write_errors(tmp_path):
            if refusals:
                raise OSError(refusals.pop(), os.strerror(number))
        return "written"

    waits: list[float] = []
    monkeypatch.setattr(full_store.time, "sleep", waits.append)
    assert patiently(write) == "written"
    assert len(waits) == 3
    assert caplog.text.count("waiting for it") == 1, "however long it is waited"
    assert caplog.text.count("the store can be written again") == 1
    assert patiently(lambda: "at once") == "at once"
    assert len(caplog.records) == 2


def test_patience_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write() -> None:
        with explain_write_errors(tmp_path):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(full_store, "STORE_PATIENCE_S", -1.0)
    with pytest.raises(StoreUnavailableError, match="cannot be written"):
        patiently(write)


def test_what_does_not_pass_is_not_waited_for() -> None:
    def write() -> None:
        raise StudyError("damaged")

    with pytest.raises(StudyError, match="damaged"):
        patiently(write)
