"""Kill -9 at random moments: `python -m tests.helpers.crash_drill --moments 20` tries each victim that often.

After every kill the same command is run again; it has to end with exit code 0, every result that was there has to
be there unchanged and without a further attempt, and the table has to be the reference's to the last digit.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.helpers.real_study import Study, finish, kill, protocol_text, stop_everything

VICTIMS: dict[str, Callable[[Study, int], list[int | None]]] = {
    "supervisor": lambda study, viewer: [study.supervisor()],
    "worker": lambda study, viewer: [*study.workers()[:1]],
    "both": lambda study, viewer: [study.supervisor(), *study.workers()],
    "viewer": lambda study, viewer: [viewer],
}


def make_study(folder: Path) -> Study:
    folder.mkdir(parents=True)
    file = folder / "small.toml"
    file.write_text(protocol_text())
    return Study(file, folder / "store")


def train_reference(folder: Path) -> tuple[Study, float]:
    """The undisturbed study, and how many seconds its command took."""
    study, started = make_study(folder), time.monotonic()
    done = study.run()
    assert done.returncode == 0, done.stderr
    return study, time.monotonic() - started


def drill(folder: Path, victim: str, moment_s: float, reference: Study) -> str:
    """Kill a victim some time after the start, then finish; returns what there was at that moment."""
    study = make_study(folder)
    try:
        viewer = study.start()
        time.sleep(moment_s)
        kill(VICTIMS[victim](study, viewer.pid))
        before = study.results()
        attempts = study.attempts() if (study.folder / "runs").is_dir() else {}
        first_code, _, _ = finish(viewer)
        done = study.run()
        assert done.returncode == 0, done.stderr
        after = study.results()
        assert all(after.get(run) == digest for run, digest in before.items()), "a finished run was lost or changed"
        twice = [run for run in before if study.attempts()[run] != attempts[run]]
        assert not twice, f"trained again: {twice}"
        assert study.metrics() == reference.metrics(), "another table"
        assert study.digests() == reference.digests()
        leftovers = [path for path in study.folder.rglob(".*") if path.suffix == ".tmp" or ".claim" in path.name]
        return f"{len(before)} of {len(after)} runs done, first exit {first_code}, {len(leftovers)} stray files"
    finally:
        stop_everything(study)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    generator = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as root:
        reference, seconds = train_reference(Path(root) / "reference")
        print(f"undisturbed: {seconds:.1f} s", flush=True)
        for victim in VICTIMS:
            for number in range(options.moments):
                moment_s = generator.uniform(0.2, seconds)
                seen = drill(Path(root) / f"{victim}-{number}", victim, moment_s, reference)
                print(f"{victim:10} killed after {moment_s:4.1f} s: {seen}; same table", flush=True)


if __name__ == "__main__":
    main()
