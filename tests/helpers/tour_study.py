"""Packs a finished study as that of the tour: `python -m tests.helpers.tour_study STUDY`, as `make tour` does."""

from __future__ import annotations

import sys
from pathlib import Path

from tui.app.tour.packing import PACKED, pack_study

if __name__ == "__main__":
    PACKED.write_bytes(pack_study(Path(sys.argv[1])))
