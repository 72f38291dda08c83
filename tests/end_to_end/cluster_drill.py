"""Disturb studies on a simulated Slurm cluster: `python tests/end_to_end/cluster_drill.py --times 10`.

Prints a line per drill, then a table with what was lost, doubled and mixed, and after how many seconds the study knew.
Exits with 1 where any of that is not 0. Needs Debian's Slurm and root, and about half a minute of two cores per drill.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.helpers.cluster_drill import KINDS, Drill, Outcome, do_nothing, run_drill, without_hangup
from tests.helpers.slurm_cluster import find_obstacle, running_cluster


def print_table(outcomes: list[Outcome]) -> None:
    """Print a row per kind of drill."""
    print(f"{'drill':24}{'times':>6}{'lost':>6}{'doubled':>9}{'mixed':>7}{'noticed after, s':>22}")
    for name in dict.fromkeys(outcome.drill for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.drill == name]
        noticed = sorted(outcome.noticed_s for outcome in own if outcome.noticed_s is not None)
        seen = f"{noticed[0]:.1f} to {noticed[-1]:.1f}" if noticed else "–"
        sums = [sum(getattr(outcome, what) for outcome in own) for what in ("lost", "doubled", "mixed")]
        print(f"{name:24}{len(own):6}{sums[0]:6}{sums[1]:9}{sums[2]:7}{seen:>22}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=1, help="how often each drill is done")
    parser.add_argument("--only", action="append", choices=tuple(KINDS), help="one of the drills; may be repeated")
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
        do_nothing(undisturbed, Outcome("undisturbed"))
        undisturbed.finish(Outcome("undisturbed"))
        reference = undisturbed.study.digests()
        for number in range(options.times):
            for name in options.only or KINDS:
                outcome = run_drill(name, cluster, root / f"{number}-{name.replace(' ', '-')}", reference)
                outcomes.append(outcome)
                print(outcome, flush=True)
    print_table(outcomes)
    faults = sum(outcome.lost + outcome.doubled + outcome.mixed for outcome in outcomes)
    if not faults:
        shutil.rmtree(root)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
