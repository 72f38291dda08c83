"""`python -P -m engine.metrics STUDY`: bring a study's metrics.json, curves.json and checked.json up to date."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from engine.catalog.measures import digest_measures
from engine.errors import EXIT_USAGE, NondetError, StudyError
from engine.metrics.checked import Basis, read_basis, write_basis
from engine.metrics.curves import measure_curves
from engine.metrics.study import measure_study
from engine.study.curves_record import StudyCurves
from engine.study.metrics_record import read_metrics, write_metrics
from engine.study.paths import StudyPaths
from engine.study.processes import end_with_parent
from engine.study.records import Damage, find_record, write_record
from engine.study.study_plan import read_plan


def main() -> int:
    """Measure the study named on the command line."""
    if len(sys.argv) != 2:
        print("usage: python -P -m engine.metrics STUDY", file=sys.stderr)
        return EXIT_USAGE
    end_with_parent()
    try:
        measure(StudyPaths(Path(sys.argv[1])))
    except NondetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def measure(paths: StudyPaths) -> None:
    """Measure what is there, and write the files whose content has changed.

    Raises:
        NondetError: If the study's plan cannot be read or a file cannot be written.
    """
    plan, found, before = read_plan(paths), read_metrics(paths.metrics), read_basis(paths.checked)
    if isinstance(found, Damage) and found.later:
        raise StudyError(str(found))
    known = None if isinstance(found, Damage) else found
    basis = Basis(digest_measures(), dict(before.seen))
    previous = known if before.measures == basis.measures else None
    content = measure_study(paths, plan, previous=previous, seen=basis.seen)
    if content != known:
        write_metrics(paths.metrics, content)
    if basis != before:
        with contextlib.suppress(StudyError):  # it saves time, and a study that can only be read has none
            write_basis(paths.checked, basis)
    curves = find_record(paths.curves, StudyCurves)
    now = measure_curves(paths, plan, curves)
    if now != curves:
        write_record(paths.curves, now, compact=True)


if __name__ == "__main__":
    sys.exit(main())
