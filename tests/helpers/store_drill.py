"""A store without room, and one that cannot be written: run inside a mount namespace of its own (see the test).

    unshare --mount --map-root-user python -m tests.helpers.store_drill DRILL MOUNT_POINT PROTOCOL REFERENCE_STORE

Mounts a small tmpfs as the store, has it full or read-only while a study is trained or reported there, and compares.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.helpers.real_study import Study, finish, wait_for

SMALL, LARGE = "220k", "20m"


def mount(point: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(point)], check=True)


def remount(point: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(point)], check=True)


def close(store: Path) -> None:
    """Put a read-only view of the store in front of it, at once.

    The view is made beside the store and then moved: a bound mount that a worker opens a file in for writing before
    it is read-only would be refused as busy.
    """
    view = store.parent / "view"
    view.mkdir()
    subprocess.run(["mount", "--bind", str(store), str(view)], check=True)
    remount(view, "bind,ro")
    subprocess.run(["mount", "--move", str(view), str(store)], check=True)


def check_same(study: Study, reference: Study) -> None:
    assert study.metrics() == reference.metrics(), "another table"
    assert study.digests() == reference.digests()


def drill_room_in_time(study: Study, reference: Study) -> None:
    """Room is made while workers wait for it: nothing fails."""
    mount(study.store, f"size={SMALL}")
    process = study.start()
    wait_for(lambda: shutil.disk_usage(study.store).free < 8_000)
    time.sleep(3.0)
    assert process.poll() is None, "workers wait for room"
    assert 0 < len(study.results()) < 11
    remount(study.store, f"size={LARGE}")
    code, _, err = finish(process)
    assert code == 0, err
    check_same(study, reference)
    print(f"full store, room made in time: exit code {code}, same table")


def drill_full(study: Study, reference: Study) -> None:
    """No room for longer than workers wait: a clear message, then the same command finishes."""
    mount(study.store, f"size={SMALL}")
    done = study.run()
    assert done.returncode == 1, done.stderr
    assert "no room left on this file system" in done.stderr, done.stderr
    assert "make room" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    kept = study.results()
    assert kept
    study.digests()
    remount(study.store, f"size={LARGE}")
    again = study.run()
    assert again.returncode == 0, again.stderr
    assert study.results().items() >= kept.items()
    check_same(study, reference)
    print(f"full store: exit code 1, {len(kept)} of 11 results kept; with room: exit code 0, same table")


def drill_full_from_the_start(study: Study, _: Study) -> None:
    mount(study.store, "size=8k")
    done = study.run()
    assert done.returncode == 1, (done.returncode, done.stderr)
    assert "no room left" in done.stderr
    assert "Traceback" not in done.stderr
    print("store without any room: exit code 1 and a message")


def drill_read_only(study: Study, reference: Study) -> None:
    mount(study.store, f"size={LARGE}")
    process = study.start()
    wait_for(lambda: len(study.results()) >= 2)
    process.send_signal(signal.SIGINT)
    assert finish(process)[0] in (0, 130)
    remount(study.store, "ro")
    kept = study.results()
    again = study.run()
    assert again.returncode == 2, again.stderr
    assert "cannot be written (Read-only file system)" in again.stderr
    assert study.results() == kept
    remount(study.store, "rw")
    last = study.run()
    assert last.returncode == 0, last.stderr
    check_same(study, reference)
    print(f"read-only store: exit code 2, {len(kept)} results kept; writable again: exit code 0, same table")


def drill_closed_for_a_while(study: Study, reference: Study) -> None:
    """The store is read-only for a while, in front of files that are open already: nothing fails."""
    mount(study.store, f"size={LARGE}")
    process = study.start()
    wait_for(lambda: len(study.results()) >= 2)
    close(study.store)
    time.sleep(4.0)
    assert process.poll() is None, "workers wait for the permission to write"
    assert 2 <= len(study.results()) < 11
    subprocess.run(["umount", "--lazy", str(study.store)], check=True)
    code, _, err = finish(process)
    assert code == 0, err
    assert "cannot be written now: runs wait for it" in err, err
    assert set(study.attempts().values()) == {1}, "no run was tried twice"
    check_same(study, reference)
    print(f"store closed for a while: exit code {code}, said, same table")


def drill_report_of_read_only(study: Study, reference: Study) -> None:
    """A study without measures is reported from where nothing can be written."""
    mount(study.store, f"size={LARGE}")
    shutil.copytree(reference.folder, study.folder)
    (study.folder / "metrics.json").unlink()
    remount(study.store, "ro")
    outside = study.file.parent / "report"
    os.environ["XDG_CACHE_HOME"] = str(study.file.parent / "cache")
    for _ in range(2):
        done = study.run_command("report", str(study.folder), "--format", "json")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["arms"] == reference.metrics(), "another table"
    assert list((study.file.parent / "cache").rglob("metrics.json")), "kept for the next time"
    done = study.run_command("report", str(study.folder), "--out", str(outside))
    assert done.returncode == 0, done.stderr
    assert {"table.csv", "table.parquet", "figure3-instability.pdf"} <= {path.name for path in outside.iterdir()}
    os.environ["XDG_CACHE_HOME"] = "/proc/none"
    done = study.run_command("report", str(study.folder))
    assert (done.returncode, done.stderr) == (0, ""), "and without a cache"
    assert not (study.folder / "metrics.json").exists()
    print("read-only study without measures: reported, same table")


DRILLS = {
    "room in time": drill_room_in_time,
    "full": drill_full,
    "full from the start": drill_full_from_the_start,
    "read-only": drill_read_only,
    "closed for a while": drill_closed_for_a_while,
    "report of read-only": drill_report_of_read_only,
}


def main() -> None:
    point, file, reference_store = map(Path, sys.argv[2:5])
    DRILLS[sys.argv[1]](Study(file, point), Study(file, reference_store))


if __name__ == "__main__":
    main()
