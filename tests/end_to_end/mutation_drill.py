"""Change files of a study in every way, and look at it: `python tests/end_to_end/mutation_drill.py --mutations 2000`.

Looks with everything that reads studies after each change; ends at the first traceback, hang or flood of memory, and
names its number. Needs about a tenth of a second of one core per change.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.helpers.mutations import Bench, mutate

KEPT = Path(__file__).parents[1] / "study" / "kept"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=2000, help="how many changes there are in all")
    parser.add_argument("--seed", type=int, default=1, help="of the changes and their order")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mutation-drill-") as folder:
        bench = Bench(KEPT, Path(folder))
        bench.restore()
        bench.look()  # what is imported late is no part of a look
        mutate(bench, range(options.mutations), options.seed)
    print(f"{options.mutations} changed files, 0 faults")


if __name__ == "__main__":
    main()
