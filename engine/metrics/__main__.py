"""`python -P -m engine.metrics STUDY`: bring a study's metrics.json, curves.json and checked.json up to date.

With the name of an arm behind STUDY nothing is written: how far every two of its replicas are apart is printed.
`compare STUDY ARM STUDY ARM MEASURE MARGIN` prints how two arms compare; MEASURE and MARGIN may be empty.

Where the study cannot be written, its measures are kept in this user's cache, and printed; see `engine.study.measured`.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from engine.errors import EXIT_USAGE, NondetError
from engine.study.measured import encode_measured
from engine.study.paths import StudyPaths
from engine.study.processes import end_with_parent
from engine.study.records import encode_record

COMPUTE_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}
"""What the process sets before it loads numpy: its own threads share the work, and those of BLAS, which wait for more
by spinning, would take processor time from them."""


COMPARED = 7
"""Arguments of a comparison."""


def main() -> int:
    """Measure the study, the pairs of the arm, or the two arms that are named on the command line."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends as at SIGTERM: a traceback would tell nobody anything
    arguments = sys.argv[1:]
    compared = arguments[:1] == ["compare"] and len(arguments) == COMPARED
    if not compared and len(arguments) not in (1, 2):
        print("usage: python -P -m engine.metrics STUDY [ARM]", file=sys.stderr)
        return EXIT_USAGE
    end_with_parent()
    os.environ.update(COMPUTE_ENVIRONMENT)
    from engine.metrics.cache import find_cache  # noqa: PLC0415 - as the next one
    from engine.metrics.renewal import measure  # noqa: PLC0415 - loads numpy

    try:
        if compared:
            from engine.metrics.arm_comparison import compare_arms  # noqa: PLC0415 - as the others

            one, arm, other, other_arm, measured, margin = arguments[1:]
            sides = (StudyPaths(Path(one)), arm), (StudyPaths(Path(other)), other_arm)
            both = compare_arms(*sides, measured or None, float(margin) if margin else None)
            sys.stdout.buffer.write(encode_record(both, compact=True))
            return 0
        if len(arguments) == 2:
            from engine.metrics.pair_matrix import measure_pairs  # noqa: PLC0415 - as the others

            pairs = measure_pairs(StudyPaths(Path(arguments[0])), arguments[1])
            sys.stdout.buffer.write(encode_record(pairs, compact=True))
            return 0
        found = measure(StudyPaths(Path(arguments[0])), cache=find_cache(os.environ))
    except NondetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if found is not None:
        sys.stdout.buffer.write(encode_measured(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
