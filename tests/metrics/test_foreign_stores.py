"""Studies that cannot be written are measured all the same: kept in the user's cache, or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StudyError
from engine.metrics import __main__ as process
from engine.metrics import renewal, study
from engine.metrics.cache import MAX_STUDIES, find_cache, find_copy, make_copy
from engine.metrics.renewal import measure
from engine.study import files
from engine.study.measured import decode_measured, encode_measured, read_measured
from engine.study.measuring_record import describe_measuring
from engine.study.paths import StudyPaths

KEPT = Path(__file__).parents[1] / "study" / "kept"
STALE: dict[str, Callable[[StudyPaths], object]] = {
    "missing": lambda paths: paths.metrics.unlink(),
    "empty": lambda paths: paths.metrics.write_bytes(b""),
    "stale": lambda paths: paths.metrics.write_text(
        paths.metrics.read_text().replace('"name": "Control"', '"name": "Other"')
    ),
}


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    shutil.copytree(KEPT, tmp_path / "kept")
    found = StudyPaths(tmp_path / "kept")
    measure(found, cache=None)  # earlier versions measured less
    return found


def lock(paths: StudyPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every write below a study, as a read-only mount does; modes say nothing to root."""
    opened, access = os.open, os.access

    def refuse(path: object, flags: int, *rest: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and str(path).startswith(str(paths.folder)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return opened(path, flags, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(Path, "open", lambda path, mode="r": os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT), mode))
    monkeypatch.setattr(os, "access", lambda path, mode: False if path == paths.folder else access(path, mode))


def test_sign_of_measuring_is_there_meanwhile_alone(paths: StudyPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []
    measure_arm = study.measure_arm

    def look(*arguments: Any, **settings: Any) -> object:
        seen.append(describe_measuring(paths))
        return measure_arm(*arguments, **settings)

    monkeypatch.setattr(study, "measure_arm", look)
    paths.metrics.unlink()
    measure(paths, cache=None)
    arms = len(read_measured(paths).metrics.arms)
    assert seen[0] == f"0 of {arms} arms"
    assert not paths.measuring.exists()
    paths.metrics.unlink()
    monkeypatch.setattr(study, "measure_arm", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        measure(paths, cache=None)
    assert not paths.measuring.exists()


@pytest.mark.slow
@pytest.mark.parametrize("state", STALE)
def test_measures_of_a_study_that_cannot_be_written_are_those_that_would_be(
    paths: StudyPaths, tmp_path: Path, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, cache = read_measured(paths), tmp_path / "cache"
    STALE[state](paths)
    before = {path: path.read_bytes() for path in paths.folder.rglob("*") if path.is_file()}
    with monkeypatch.context() as locked:
        lock(paths, locked)
        assert measure(paths, cache=None) == expected, "in memory alone"
        assert not cache.exists()
        assert measure(paths, cache=cache) == expected
        counted: list[str] = []
        locked.setattr("engine.metrics.study.measure_arm", lambda arm, *_, **__: counted.append(arm.name))
        assert measure(paths, cache=cache) == expected, "the second time from the cache"
        assert counted == []
    assert {path: path.read_bytes() for path in paths.folder.rglob("*") if path.is_file()} == before
    assert measure(paths, cache=cache) is None, "it can be written again"
    assert read_measured(paths) == expected


def test_study_whose_measures_are_up_to_date_needs_no_cache(
    paths: StudyPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert measure(paths) is None
    lock(paths, monkeypatch)
    assert measure(paths, cache=tmp_path / "cache") is None
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("place", ["file", "/proc/none"])
def test_cache_that_cannot_be_written_is_no_fault(
    paths: StudyPaths, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    expected = read_measured(paths)
    paths.metrics.unlink()
    lock(paths, monkeypatch)
    assert measure(paths, cache=tmp_path / place / "cache") == expected


def test_full_disk_costs_no_report(paths: StudyPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read_measured(paths)
    paths.metrics.unlink()

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", refuse)
    assert measure(paths, cache=tmp_path / "cache") == expected


def test_measures_survive_the_pipe(paths: StudyPaths) -> None:
    measured = read_measured(paths)
    assert measured.curves
    assert decode_measured(encode_measured(measured)) == measured
    for content in (b"", b"{}\n{}\n", encode_measured(measured)[:100]):
        with pytest.raises(StudyError, match="no measures"):
            decode_measured(content)


def test_process_prints_what_it_could_not_keep(
    paths: StudyPaths, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    expected = read_measured(paths)
    monkeypatch.setattr("sys.argv", ["metrics", str(paths.folder)])
    monkeypatch.setattr(renewal, "measure", lambda paths, cache: expected)
    assert process.main() == 0
    process.sys.stdout.flush()
    assert decode_measured(capfdbinary.readouterr().out) == expected
    monkeypatch.setattr(renewal, "measure", lambda paths, cache: None)
    assert process.main() == 0
    assert capfdbinary.readouterr().out == b""


def test_cache_is_where_the_user_keeps_such_things() -> None:
    assert find_cache({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path("/c/nondet-tui/measures")
    assert find_cache({"XDG_CACHE_HOME": "relative", "HOME": "/h"}) == Path("/h/.cache/nondet-tui/measures")
    assert find_cache({"HOME": "/h"}) == Path("/h/.cache/nondet-tui/measures")
    assert find_cache({}) is None


def test_cache_knows_a_study_by_its_plan_and_forgets_the_oldest(paths: StudyPaths, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    copy = find_copy(paths, cache)
    assert copy is not None
    shutil.copytree(paths.folder, tmp_path / "elsewhere")
    assert find_copy(StudyPaths(tmp_path / "elsewhere"), cache) == copy
    make_copy(copy)
    assert copy.folder.stat().st_mode & 0o777 == 0o700
    os.utime(copy.folder, (0, 0))
    for number in range(MAX_STUDIES):
        make_copy(StudyPaths(cache / str(number)))
    assert not copy.folder.exists()
    assert len(list(cache.iterdir())) == MAX_STUDIES
    paths.plan.unlink()
    assert find_copy(paths, cache) is None
