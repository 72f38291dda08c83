"""Two processes that both believe to be process 1, as in two containers, and that claim the same runs in lockstep.

    unshare --pid --fork --mount-proc python -m tests.helpers.equal_numbers FOLDER SIDE

Writes the numbers of the runs that this side was given, one in a line.
"""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
from pathlib import Path

from engine.dispatch.claims import claim
from engine.study.paths import RunPaths
from tests.helpers.records import make_attempt

CLAIMS = 1000
PATIENCE_S = 300.0
WORD = 4


def claim_side_by_side(folder: Path) -> tuple[set[int], set[int]]:
    """Return what each of the two was given."""
    folder.mkdir(parents=True)
    (folder / "steps").write_bytes(bytes(2 * WORD))
    made = [
        subprocess.Popen(
            ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-m", __name__, str(folder), str(side)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for side in (0, 1)
    ]
    told = [one.communicate(timeout=PATIENCE_S)[0] for one in made]
    if any(one.returncode for one in made):
        raise subprocess.SubprocessError(f"a claimant ended with {[one.returncode for one in made]}")
    first, second = ({int(line) for line in text.splitlines()} for text in told)
    return first, second


def main() -> None:
    folder, side = Path(sys.argv[1]), int(sys.argv[2])
    assert os.getpid() == 1, "a container's first process"
    with (folder / "steps").open("r+b") as file, mmap.mmap(file.fileno(), 2 * WORD) as steps:
        for number in range(1, CLAIMS + 1):
            run = RunPaths(folder / f"{number:04}")
            _meet(steps, side, number)
            if claim(run, 1, make_attempt(slot=str(side))) is not None:
                sys.stdout.write(f"{number}\n")


def _meet(steps: mmap.mmap, side: int, number: int) -> None:
    """Wait until the other side has come as far."""
    steps[side * WORD : (side + 1) * WORD] = number.to_bytes(WORD, "little")
    other = (1 - side) * WORD
    deadline = time.monotonic() + PATIENCE_S
    while int.from_bytes(steps[other : other + WORD], "little") < number:
        assert time.monotonic() < deadline, "the other side has ended"
        time.sleep(0)


if __name__ == "__main__":
    main()
