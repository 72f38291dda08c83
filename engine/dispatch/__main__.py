"""Runs the supervisor process of one study: `python -P -m engine.dispatch STUDY`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from engine.dispatch.supervisor import supervise
from engine.errors import EXIT_USAGE, NondetError
from engine.study.paths import StudyPaths


def main() -> int:
    """Supervise the study named on the command line."""
    if len(sys.argv) != 2:
        print("usage: python -P -m engine.dispatch STUDY", file=sys.stderr)
        return EXIT_USAGE
    logging.basicConfig(format="%(asctime)s supervisor: %(message)s", level=logging.INFO)
    try:
        return supervise(StudyPaths(Path(sys.argv[1])))
    except NondetError as error:
        logging.error("%s", error)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
