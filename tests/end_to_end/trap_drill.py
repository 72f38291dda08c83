"""Runs every trap of tests/helpers/traps.py, and prints the table of docs/your-training.md.

python tests/end_to_end/trap_drill.py [--write]    --write puts the table into the page
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.helpers.traps import TRAPS, format_table, meet

PAGE = Path(__file__).parents[2] / "docs" / "your-training.md"
BEGIN, END = "<!-- traps: python tests/end_to_end/trap_drill.py --write -->\n", "<!-- end of traps -->\n"


def replace_table(page: str, table: str) -> str:
    """Return the page with another table between its marks."""
    head, _, rest = page.partition(BEGIN)
    return f"{head}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}"


def main() -> None:
    """Run the traps one after another."""
    sentences: dict[str, str] = {}
    for name, trap in TRAPS.items():
        with tempfile.TemporaryDirectory() as folder:
            sentences[name] = meet(trap, Path(folder))
    table = format_table(sentences)
    print(table)
    if "--write" in sys.argv:
        PAGE.write_text(replace_table(PAGE.read_text(), table))


if __name__ == "__main__":
    main()
