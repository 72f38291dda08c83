"""Disturb studies on a simulated Slurm cluster: `python tests/end_to_end/cluster_drill.py --repeat 10`.

Prints a line per drill, then a table with what was lost, doubled and mixed, and after how many seconds the study knew.
Exits with 1 where any of that is not 0. Needs Debian's Slurm and root, and about half a minute of two cores per drill;
Ctrl-C ends it with the table of what was done.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from tests.helpers.cluster_drill import (
    EQUAL_NUMBERS,
    KINDS,
    Drill,
    Outcome,
    do_nothing,
    run_drill,
    run_equal_numbers,
    without_hangup,
)
from tests.helpers.slurm_cluster import find_obstacle, running_cluster


def print_table(outcomes: list[Outcome]) -> None:
    """Print a row per kind of drill, as docs/cluster.md shows them."""
    print("| what happened | times | lost | doubled | mixed | known after, s: least | median | most |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name in dict.fromkeys(outcome.drill for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.drill == name]
        noticed = [outcome.noticed_s for outcome in own if outcome.noticed_s is not None]
        ends = (min(noticed), statistics.median(noticed), max(noticed)) if noticed else ()
        seen = [f"{seconds:.1f}" for seconds in ends] or ["–"] * 3
        sums = [str(sum(getattr(outcome, what) for outcome in own)) for what in ("lost", "doubled", "mixed")]
        print("| " + " | ".join([name, str(len(own)), *sums, *seen]) + " |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=1, help="how often each drill is done")
    parser.add_argument(
        "--only", action="append", choices=(*KINDS, EQUAL_NUMBERS), help="one of the drills; may be repeated"
    )
    options = parser.parse_args()
    obstacle = find_obstacle()
    if obstacle is not None:
        print(obstacle, file=sys.stderr)
        return 2
    root, outcomes = Path(tempfile.mkdtemp(prefix="cluster-drill-")), list[Outcome]()
    with without_hangup(), running_cluster(root / "cluster") as cluster:
        undisturbed = Drill(cluster, root / "undisturbed")
        undisturbed.write()
        undisturbed.start()
        print(f"from sbatch to the first claim: {undisturbed.measure_first_claim():.1f} s", flush=True)
        do_nothing(undisturbed, Outcome("undisturbed"))
        undisturbed.finish(Outcome("undisturbed"))
        reference = undisturbed.study.digests()
        with contextlib.suppress(KeyboardInterrupt):
            for number in range(options.repeat):
                for name in options.only or (*KINDS, EQUAL_NUMBERS):
                    folder = root / f"{number}-{name.replace(' ', '-')}"
                    if name == EQUAL_NUMBERS:
                        outcome = run_equal_numbers(folder)
                    else:
                        outcome = run_drill(name, cluster, folder, reference)
                    outcomes.append(outcome)
                    print(outcome, flush=True)
    print_table(outcomes)
    faults = sum(outcome.lost + outcome.doubled + outcome.mixed for outcome in outcomes)
    if not faults:
        shutil.rmtree(root)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
