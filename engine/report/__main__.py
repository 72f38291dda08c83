"""`python -P -m engine.report STUDY DIR`: write a study's figures, and Parquet beside every CSV there is in DIR.

Prints the name of each file that it wrote, one per line.
"""

from __future__ import annotations

import sys
from pathlib import Path

from engine.errors import EXIT_USAGE, NondetError
from engine.report.figures import draw_figures
from engine.report.parquet import convert_tables
from engine.study.paths import StudyPaths


def main() -> int:
    """Export the study named on the command line."""
    if len(sys.argv) != 3:
        print("usage: python -P -m engine.report STUDY DIR", file=sys.stderr)
        return EXIT_USAGE
    paths, folder = StudyPaths(Path(sys.argv[1])), Path(sys.argv[2])
    try:
        written = convert_tables(folder) + draw_figures(paths, folder)
    except NondetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print("\n".join(path.name for path in written))
    return 0


if __name__ == "__main__":
    sys.exit(main())
