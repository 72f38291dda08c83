"""Writes the generated parts of the documents anew: `python docs/generate.py`, or with `--check` says which are stale.

A generated part stands between two comments, `<!-- generated: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tui.text.gpu_reference import list_cards, list_plans, list_rows
from tui.text.reference import REFERENCES

FOLDER = Path(__file__).parent
WRITERS = REFERENCES | {"cards": list_cards, "rows": list_rows, "plans": list_plans}

PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def renew(text: str) -> str:
    """Return a document's text with its generated parts as the declarations give them."""
    return PART.sub(lambda found: f"{found[1]}\n{WRITERS[found[2]]()}\n{found[3]}", text)


def main(arguments: list[str]) -> int:
    """Write what is stale, or only name it; the exit code is 1 where something is stale and stays so."""
    stale = [path for path in sorted(FOLDER.glob("*.md")) if path.read_text() != renew(path.read_text())]
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(f"docs/{path.name} is not what the declarations say: `make docs` writes it anew\n")
        return 1 if stale else 0
    for path in stale:
        path.write_text(renew(path.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
