"""Data that are not there are known before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.catalog.presets import DATA, LANGUAGE
from engine.plan.data_presence import find_missing
from engine.training.data.downloads import LOADERS, _files

DOWNLOADED = [name for name, facts in DATA.items() if facts.download is not None]


@pytest.mark.parametrize("preset", DOWNLOADED)
def test_folder_is_the_one_that_the_loader_uses(preset: str, tmp_path: Path) -> None:
    missing = find_missing(preset, tmp_path)
    assert missing is not None
    assert missing.fetched
    assert str(tmp_path) in missing.text
    for file in _files(preset, tmp_path):
        file.parent.mkdir(parents=True, exist_ok=True)
    assert find_missing(preset, tmp_path) is None
    assert preset in LOADERS


@pytest.mark.parametrize("preset", ["ptb", "wikitext2"])
def test_corpus_that_nobody_downloads_is_said_to_be_missing(preset: str, tmp_path: Path) -> None:
    missing = find_missing(preset, tmp_path)
    assert missing is not None
    assert not missing.fetched
    assert "put its files there" in missing.text
    names = {"ptb": "ptb.{}.txt", "wikitext2": "wiki.{}.tokens"}[preset]
    for part in ("train", "valid", "test"):
        (tmp_path / names.format(part)).write_text("a b c")
    assert find_missing(preset, tmp_path) is None


@pytest.mark.parametrize("preset", sorted({*DATA, *LANGUAGE} - {*DOWNLOADED, "ptb", "wikitext2"}))
def test_nothing_is_missing_of_data_that_come_along(preset: str, tmp_path: Path) -> None:
    assert find_missing(preset, tmp_path) is None
