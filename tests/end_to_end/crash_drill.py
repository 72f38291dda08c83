"""Kill processes of studies until there were so many kills: `python tests/end_to_end/crash_drill.py --kills 1000`.

Prints one line per study, then the kills by victim and signal, and everything that was lost, doubled, different,
stuck or left behind. Exits with 1 where there was any. Needs about four seconds of two cores per kill.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.helpers.crash_drill import KINDS, SIGNALS, VICTIMS, Tally, disturb, train_reference

KILLS_OF_A_STUDY = 12


def print_tally(tally: Tally) -> None:
    """Print the kills as a table: a row per victim, a column per signal."""
    print(f"{'':24}" + "".join(f"{name:>11}" for name in SIGNALS))
    for victim in VICTIMS:
        print(f"{victim:24}" + "".join(f"{tally.hits[victim, name]:11}" for name in SIGNALS))
    print(
        f"{tally.hits.total()} kills of {tally.processes} processes, {tally.starts} further starts: "
        f"{len(tally.faults)} faults"
    )
    for fault in tally.faults:
        print(fault)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="how many hits there are in all")
    parser.add_argument("--seed", type=int, default=1, help="of victims, signals and moments")
    parser.add_argument("--keep", action="store_true", help="keep the folder of a study with a fault")
    options = parser.parse_args()
    generator, tally = random.Random(options.seed), Tally()
    root = Path(tempfile.mkdtemp(prefix="crash-drill-"))
    references = {kind: train_reference(root / f"{kind}-reference", kind) for kind in KINDS}
    number = 0
    while (left := options.kills - tally.hits.total()) > 0:
        kind, folder = list(KINDS)[number % len(KINDS)], root / f"{number}"
        number, before, faults, started = number + 1, tally.hits.total(), len(tally.faults), time.monotonic()
        kills = min(left, KILLS_OF_A_STUDY)
        disturb(folder, kind, references[kind], kills=kills, generator=generator, tally=tally)
        print(
            f"{folder.name:>4} {kind:6} {tally.hits.total() - before:3} kills in {time.monotonic() - started:4.0f} s, "
            f"{tally.hits.total()} of {options.kills}, {len(tally.faults)} faults",
            flush=True,
        )
        if len(tally.faults) == faults or not options.keep:
            shutil.rmtree(folder)
    print_tally(tally)
    if not (tally.faults and options.keep):
        shutil.rmtree(root)
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
