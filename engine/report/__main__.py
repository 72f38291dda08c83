"""`python -P -m engine.report DIR`: write the figures of the measures on stdin, and Parquet beside every CSV in DIR.

`plan DIR` writes the picture of the plan on stdin. Prints the name of each file that it wrote, one per line.
"""

from __future__ import annotations

import sys
from pathlib import Path

from engine.errors import EXIT_USAGE, NondetError, StudyError
from engine.report.figures import draw_figures
from engine.report.parquet import convert_tables
from engine.report.power import draw_plan
from engine.study.comparison_record import PowerPlan
from engine.study.measured import decode_measured
from engine.study.records import decode_record


def main() -> int:
    """Export the study, or the plan, that is on stdin."""
    *asked, name = sys.argv[1:] or [""]
    if asked not in ([], ["plan"]) or not name:
        print("usage: python -P -m engine.report [plan] DIR", file=sys.stderr)
        return EXIT_USAGE
    folder, content = Path(name), sys.stdin.buffer.read()
    try:
        if asked:
            written = draw_plan(decode_plan(content), folder)
        else:
            written = convert_tables(folder) + draw_figures(decode_measured(content), folder)
    except NondetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print("\n".join(path.name for path in written))
    return 0


def decode_plan(content: bytes) -> PowerPlan:
    """Read a plan.

    Raises:
        StudyError: If it is none.
    """
    found = decode_record(content, PowerPlan)
    if isinstance(found, str):
        raise StudyError(f"the plan on stdin {found}")
    return found


if __name__ == "__main__":
    sys.exit(main())
