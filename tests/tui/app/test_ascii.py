"""With ASCII glyphs no screen shows any other character, whoever drew it, and each that is drawn has a spelling."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len

from engine.catalog.arm_marks import MARKS
from engine.study.paths import StudyPaths
from tests.helpers.screens import screen_text, settle
from tests.helpers.studies import write_study
from tests.tui.app.conftest import TERMINAL
from tui.app.app import NondetApp
from tui.app.tour.packing import unpack_study
from tui.text import ascii_cells
from tui.text.ascii_cells import UNKNOWN, spell_cells

Make = Callable[..., NondetApp]

FOREIGN = "étude-日本"
"""The name of a study as another system may have made it."""

WALKS = {
    "home": "slash q escape n slash escape escape d escape question_mark escape ctrl+p escape end r escape v",
    "monitor": "question_mark escape s z z L a enter o escape enter slash escape escape escape p x escape",
    "results": "1 e escape y escape x escape E escape",
    "tables": "2 e escape d d s 3 4 f L 5",
    "pairs": "6 7 8 c slash escape 9",
    "builder": "enter escape T escape E escape o escape e escape X escape R escape",
    "settings": "tab plus enter escape slash z enter escape v enter escape ctrl+r escape ctrl+o escape d",
}
"""Screen → the keys that show all of its parts and dialogs, one after the other."""


def open_walk(app: NondetApp, walk: str, study: StudyPaths) -> None:
    if walk == "monitor":
        app.open_monitor(study)
    elif walk in ("builder", "settings"):
        app.open_builder(Path("protocols/mine.toml"))
    elif walk != "home":
        app.open_results(study)


@pytest.mark.slow
@pytest.mark.parametrize("walk", WALKS)
async def test_no_screen_shows_more_than_ascii(
    walk: str, make_app: Make, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.mkdir()
    live = write_study(store / FOREIGN, replicas=5, epochs=12, failed=1)
    study = live if walk == "monitor" else StudyPaths(unpack_study(store))
    spelled: set[str] = set()

    def note(text: str) -> str:
        spelled.update(text)
        return spell_cells(text)

    monkeypatch.setattr("tui.app.ascii_filter.spell_cells", note)
    app = make_app(terminal=replace(TERMINAL, glyphs="ascii"))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        open_walk(app, walk, study)
        for key in ["f1", *WALKS[walk].split()]:
            await pilot.press(key)
            await settle(pilot)
            shown = screen_text(app)
            assert {char for char in shown if char != "\n" and not " " <= char <= "~"} == set(), (key, shown)
    assert spelled, "frames are drawn by the framework, in lines"
    assert {char for char in spelled - set(FOREIGN + UNKNOWN) if UNKNOWN in spell_cells(char)} == set()


async def test_home_shows_ascii_alone(make_app: Make, store: Path) -> None:
    write_study(store / FOREIGN)
    app = make_app(terminal=replace(TERMINAL, glyphs="ascii"))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        shown = screen_text(app)
        assert all(" " <= char <= "~" or char == "\n" for char in shown), shown
        assert "etude-????" in shown, "an accent is left out; two columns of each character are kept"
        assert "+---" in shown, "frames"
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert FOREIGN in screen_text(app)


def test_spelling_keeps_columns() -> None:
    every = "".join(map(chr, (*range(0x20, 0x7F), *range(0xA0, 0x3000), *range(0x4E00, 0x4E40), 0x1F50E)))
    for char in every:
        spelling = spell_cells(char)
        assert spelling.isascii()
        assert len(spelling) == cell_len(char), (char, unicodedata.name(char, ""))


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("plain ~ text", "plain ~ text"),
        ("╭─┬─╮│├┼┤╰━╯", "+-+-+|+++" + "+=+"),
        ("naïve Å ２", "naive A 2 "),
        ("a\u0301b", "ab"),
        ("日", UNKNOWN * 2),
        ("▁▄█", "_-#"),
        ("margin ± 0.2, ±: its SD", "margin +-0.2, +- its SD"),
    ],
)
def test_spelling_reads_like_what_it_stands_for(text: str, spelling: str) -> None:
    assert spell_cells(text) == spelling


def test_arms_have_the_mark_that_they_have_elsewhere_in_ascii() -> None:
    assert [spell_cells(mark.char) for mark in MARKS] == [mark.ascii for mark in MARKS]
    assert len({ascii_cells.DRAWN[mark.char] for mark in MARKS}) == len(MARKS)
