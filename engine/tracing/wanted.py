"""Says what one run of a watched program is run for; the file that carries it to the program's process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple, Optional

FIXES = ("hash", "threads", "kernels", "workers", "seeds", "time")
"""What a run may hold fixed, to see whether two runs agree then."""


class Wanted(NamedTuple):
    """Describes one run.

    Marks are counted from 0: at the beginning of each optimiser's first step, and at the end of each step.
    """

    folder: str
    """Folder that the process writes into."""
    steps: Optional[int] = None
    """Steps after which the program is ended; None: it ends by itself."""
    begin: Optional[int] = None
    """Operations are recorded from the mark before this one, or from the import of torch for 0; None: they are not."""
    end: Optional[int] = None
    """The mark at which the program is ended."""
    others: str = ""
    """File of another run's marks: the program is ended at the first that differs."""
    watch: Optional[int] = None
    """The record whose tensors are kept."""
    kept: str = ""
    """File of another run's kept tensors, which this run's are compared with."""
    fixed: tuple[str, ...] = ()
    """Which of FIXES are held fixed."""


class Mark(NamedTuple):
    """Describes what was the same, or not, at one moment of a training."""

    kind: str
    """`begin` before the first step of an optimiser, `step` after one."""
    step: int
    """Steps until then, of all optimisers."""
    inputs: int
    """Fingerprint of all that networks were called with since the mark before."""
    parameters: int
    """Fingerprint of all parameters of the optimiser."""
    gradients: int
    """Fingerprint of their gradients before the first step of an optimiser; 0 after a step, whose end shows it."""
    optimiser: str


def write_wanted(wanted: Wanted, path: Path) -> None:
    """Write what is wanted into a file."""
    path.write_text(json.dumps(wanted._asdict()), encoding="utf-8")


def read_wanted(path: Path) -> Wanted:
    """Read it in the program's process."""
    found = Wanted(**json.loads(path.read_text(encoding="utf-8")))
    return found._replace(fixed=tuple(found.fixed))


def read_marks(path: Path) -> list[Mark]:
    """Read the marks of a run, without a last line that was not finished."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [Mark(*json.loads(line)) for line in lines if line.endswith("\n")]
