"""`python -P -m engine.metrics STUDY`: bring a study's metrics.json up to date."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from engine.errors import EXIT_USAGE, NondetError, StudyError
from engine.metrics.checked import format_seen, read_seen
from engine.metrics.curves import measure_curves
from engine.metrics.study import FORMAT, measure_study
from engine.study.files import read_json, write_json
from engine.study.paths import StudyPaths


def main() -> int:
    """Measure the study named on the command line."""
    if len(sys.argv) != 2:
        print("usage: python -P -m engine.metrics STUDY", file=sys.stderr)
        return EXIT_USAGE
    paths = StudyPaths(Path(sys.argv[1]))
    try:
        known = read_json(paths.metrics) or {}
        seen = read_seen(paths.checked)
        before = dict(seen)
        content = measure_study(paths, previous=known if known.get("v") == FORMAT else None, seen=seen)
        if content != known:
            write_json(paths.metrics, content)
        if seen != before:
            with contextlib.suppress(StudyError):  # it saves time, and a study that can only be read has none
                write_json(paths.checked, format_seen(seen), compact=True)
        curves = read_json(paths.curves) if paths.curves.exists() else None
        now = measure_curves(paths, read_json(paths.plan) or {}, curves)
        if now != curves:
            write_json(paths.curves, now, compact=True)
    except NondetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
