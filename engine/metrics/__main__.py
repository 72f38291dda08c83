"""`python -P -m engine.metrics STUDY`: bring a study's metrics.json, curves.json and checked.json up to date.

With the name of an arm behind STUDY nothing is written: how far every two of its replicas are apart is printed.
`compare STUDY ARM STUDY ARM MEASURE MARGIN EVERY` prints how two arms compare; MEASURE and MARGIN may be empty, and
any text as EVERY compares the other measures, too. `plan` with the first six and POWER prints how many replicas a
difference of the margin needs; the second STUDY and ARM may be empty. `spread SD REPLICAS MEASURE MARGIN POWER` prints
the same from an SD of so many replicas, which may be empty; `ratio RATIO POWER`, how many tell two SDs apart.
`growth` reads where two runs part on standard input, and prints the same with the rates at which they do.

Where the study cannot be written, its measures are kept in this user's cache, and printed; see `engine.study.measured`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.errors import EXIT_USAGE, NondetError, StudyError
from engine.study.divergence_record import Divergence
from engine.study.measured import encode_measured
from engine.study.paths import StudyPaths
from engine.study.processes import end_with_parent
from engine.study.records import Record, decode_record, encode_record

COMPUTE_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}
"""What the process sets before it loads numpy: its own threads share the work, and those of BLAS, which wait for more
by spinning, would take processor time from them."""


QUESTIONS = {"compare": 8, "plan": 8, "spread": 6, "ratio": 3, "growth": 1}
"""What can be asked, with the number of words."""


def answer(asked: str, arguments: Sequence[str]) -> Record:
    """Answer a question; see above."""
    if asked == "growth":
        return answer_growth(sys.stdin.buffer.read())
    if asked in ("spread", "ratio"):
        return answer_without_study(asked, arguments)
    from engine.metrics.arm_comparison import compare_arms, plan_arms  # noqa: PLC0415 - loads numpy

    study, arm, other, other_arm, measure, margin, last = arguments
    first = StudyPaths(Path(study)), arm
    second = (StudyPaths(Path(other)), other_arm) if other else None
    if asked == "plan" or second is None:
        return plan_arms(first, second, measure or None, float(margin), float(last))
    return compare_arms(first, second, measure or None, float(margin) if margin else None, every=bool(last))


def answer_without_study(asked: str, arguments: Sequence[str]) -> Record:
    """Answer a question about numbers alone; see above."""
    from engine.metrics.planning import plan_ratio, plan_spread  # noqa: PLC0415 - loads numpy

    if asked == "ratio":
        return plan_ratio(float(arguments[0]), float(arguments[1]))
    spread, replicas, measure, margin, power = arguments
    known = int(replicas) if replicas else None
    return plan_spread(float(spread), known, margin=float(margin), power=float(power), measure=measure)


def answer_growth(content: bytes) -> Record:
    """Answer a question about two runs that part; see above."""
    from engine.metrics.growth import add_rates  # noqa: PLC0415 - loads numpy

    found = decode_record(content, Divergence)
    if isinstance(found, str):
        raise StudyError(f"what is read {found}")
    return add_rates(found)


def main() -> int:
    """Measure the study, the pairs of the arm, or the two arms that are named on the command line."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends as at SIGTERM: a traceback would tell nobody anything
    arguments = sys.argv[1:]
    asked = arguments[0] if arguments[:1] and QUESTIONS.get(arguments[0]) == len(arguments) else None
    if asked is None and len(arguments) not in (1, 2):
        print("usage: python -P -m engine.metrics STUDY [ARM]", file=sys.stderr)
        return EXIT_USAGE
    end_with_parent()
    os.environ.update(COMPUTE_ENVIRONMENT)
    from engine.metrics.cache import find_cache  # noqa: PLC0415 - as the next one
    from engine.metrics.renewal import measure  # noqa: PLC0415 - loads numpy

    try:
        if asked is not None:
            sys.stdout.buffer.write(encode_record(answer(asked, arguments[1:]), compact=True))
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
