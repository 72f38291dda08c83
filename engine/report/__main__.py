"""`python -P -m engine.report DIR`: write the figures of the measures on stdin, and Parquet beside every CSV in DIR.

Prints the name of each file that it wrote, one per line.
"""

from __future__ import annotations

import sys
from pathlib import Path

from engine.errors import EXIT_USAGE, NondetError
from engine.report.figures import draw_figures
from engine.report.parquet import convert_tables
from engine.study.measured import decode_measured


def main() -> int:
    """Export the study named on the command line."""
    if len(sys.argv) != 2:
        print("usage: python -P -m engine.report DIR", file=sys.stderr)
        return EXIT_USAGE
    folder = Path(sys.argv[1])
    try:
        written = convert_tables(folder) + draw_figures(decode_measured(sys.stdin.buffer.read()), folder)
    except NondetError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print("\n".join(path.name for path in written))
    return 0


if __name__ == "__main__":
    sys.exit(main())
