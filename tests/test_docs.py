"""The documents: generated parts are fresh, and every link and every path in them leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)(?:#([^)\s]*))?\)")
CODE_PATH = re.compile(r"`((?:engine|tui|tests|protocols|docs)/[\w./-]*)`")
COMMAND_PATH = re.compile(r"\b((?:protocols|tests)/[\w/-]+\.(?:toml|py))\b")


def find_dead_paths(page: Path, root: Path) -> list[str]:
    """Return the links and paths of a page that lead nowhere."""
    text = page.read_text()
    links = [link for link, _ in LINK.findall(text) if "://" not in link]
    dead = [link for link in links if not (page.parent / link).exists()]
    named = [*CODE_PATH.findall(text), *COMMAND_PATH.findall(text)]
    # In capitals stands what the reader puts there.
    return dead + [path for path in named if not (root / path).exists() and "FILE" not in path]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    assert find_dead_paths(page, ROOT) == []


def test_dead_link_and_dead_path_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](none.md) [b](page.md) [c](https://x.y/z) `engine/none.py` `engine` --batch protocols/no.toml")
    assert find_dead_paths(page, tmp_path) == ["none.md", "engine/none.py", "protocols/no.toml"]


def test_generated_parts_are_what_the_declarations_say() -> None:
    command = [sys.executable, "docs/generate.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_readme_is_short_and_names_every_page() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    assert {page.name for page in (ROOT / "docs").glob("*.md")} <= set(re.findall(r"[\w-]+\.md", text))


def test_both_packages_say_that_they_are_typed() -> None:
    assert (ROOT / "engine" / "py.typed").is_file()
    assert (ROOT / "tui" / "py.typed").is_file()
