"""Tags and note of a study are changed on home and in the results, kept with the study, shown, and found by `/`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.study.notes import NoteRecord, find_note, write_note
from tests.helpers.screens import read_notices, screen_text, settle
from tests.helpers.studies import write_study
from tui.app.app import NondetApp
from tui.app.screens.note_edit import NoteEdit

Make = Callable[..., NondetApp]


@pytest.mark.slow
async def test_note_is_written_on_home_shown_and_found_by_its_tag(make_app: Make, store: Path) -> None:
    alpha = write_study(store / "alpha", done=3, running=0)
    write_study(store / "beta")
    app = make_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        for _ in range(2):
            app.screen.query_one("#list").move_to("study:alpha")  # pyright: ignore[reportAttributeAccessIssue]
        await settle(pilot)
        await pilot.press("N")
        await settle(pilot)
        assert isinstance(app.screen, NoteEdit)
        await pilot.press(*"see p7", "shift+tab", *"paper a/b")
        await pilot.press("ctrl+s")
        assert isinstance(app.screen, NoteEdit), "a/b is no tag"
        assert '"a/b" is no tag' in screen_text(app)
        await pilot.press("backspace", "backspace", "ctrl+s")
        await settle(pilot)
        assert find_note(alpha) == NoteRecord(text="see p7", tags=("paper", "a"))
        shown = screen_text(app)
        assert shown.count("#paper #a") == 2, "in the list and beside it"
        assert "see p7" in shown
        await pilot.press("slash", *"#PAP", "enter")
        await settle(pilot)
        shown = screen_text(app)
        assert "alpha" in shown
        assert "beta" not in shown
        assert "mine" not in shown, "protocols have no tags"
        await pilot.press("escape", "slash", *"#pap zzz", "enter")
        await settle(pilot)
        assert "none of 2 matches #pap zzz" in screen_text(app)


@pytest.mark.slow
async def test_nothing_is_changed_without_ctrl_s_or_in_a_view_that_only_reads(make_app: Make, store: Path) -> None:
    paths = write_study(store / "alpha", done=3, running=0)
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("N")
        await settle(pilot)
        await pilot.press("x", "escape")
        assert "Leave tags and note as they were?" in screen_text(app)
        await pilot.press("y")
        await settle(pilot)
        assert not paths.note.exists()
    app = make_app(readonly=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("N")
        await settle(pilot)
        assert not isinstance(app.screen, NoteEdit)
        assert "read only" in read_notices(app)


@pytest.mark.slow
async def test_results_show_a_note_and_change_it(make_app: Make, store: Path) -> None:
    paths = write_study(store / "alpha", done=3, running=0)
    write_note(paths, NoteRecord(text="first [b]line\nsecond \x1b[31mline", tags=("old",)))
    app = make_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        app.open_results(paths)
        await settle(pilot)
        heading, *rest = screen_text(app).splitlines()
        assert "#old" in heading
        assert "first [b]line" in "\n".join(rest)
        await pilot.press("9")
        await settle(pilot)
        assert "second \\x1b[31mline" in screen_text(app)
        await pilot.press("N")
        await settle(pilot)
        await pilot.press("shift+tab", "end", *" new", "ctrl+s")
        await settle(pilot)
        assert "#old #new" in screen_text(app).splitlines()[0]
    assert find_note(paths).tags == ("old", "new")


@pytest.mark.slow
async def test_damaged_note_is_named_and_can_be_replaced(make_app: Make, store: Path) -> None:
    paths = write_study(store / "alpha", done=3, running=0)
    paths.note.write_text("{")
    app = make_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        assert "note.json" in screen_text(app)
        await pilot.press("N")
        await settle(pilot)
        assert "a new note replaces it" in " ".join(screen_text(app).split())
        await pilot.press("k", "ctrl+s")
        await settle(pilot)
        assert "a new note replaces it" not in " ".join(screen_text(app).split())
    assert find_note(paths).text == "k"
