"""New protocols: templates that are honest, copies without what was said of their model, a picker that filters."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.screens import Make, screen_text, settle
from tests.tui.app.test_builder import press, screen_of
from tui.app.listed_files import shipped_folder
from tui.app.screens.choosing import Choose
from tui.app.screens.judgement import judge
from tui.app.templates import FOLDER, TITLES, begin_text, find_templates, is_template, list_beginnings

SHIPPED = shipped_folder()
assert SHIPPED is not None
FILES = sorted((SHIPPED / FOLDER).glob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_template_is_valid_and_says_nothing_that_its_plan_does_not_hold(path: Path, tmp_path: Path) -> None:
    judged = judge(path.read_text(), str(path), tmp_path)
    assert judged.faults == ()
    assert judged.plan is not None
    assert all(not arm.empty for arm in judged.plan.arms), "no source of it changes nothing"
    assert path.read_text().startswith("# "), "it has words of its own"
    assert len(judged.plan.recipes) <= 50, "somebody who tries it out waits for it"


def test_every_template_is_offered_with_what_it_asks() -> None:
    assert {path.stem for path in FILES} == set(TITLES)
    rows = list_beginnings(find_templates(), {})
    assert rows[0] == ("", rows[0][1])
    assert [Path(path).stem for path, _ in rows[1:]] == list(TITLES)
    assert all(row.plain.split("  ")[0] == title for (_, row), title in zip(rows[1:], TITLES.values(), strict=True))


def test_a_copy_leaves_out_what_was_said_of_its_model(tmp_path: Path) -> None:
    head = "\n# The finding in two minutes.\n# Look there.\n"
    text = head + '[protocol]\nname = "a"  # why\n# of the arms\n[[arm]]\nname = "b"\n'
    begun = begin_text(text, tmp_path / "model.toml")
    assert begun == (
        '# Began as a copy of model.toml.\n[protocol]\nname = "a"  # why\n# of the arms\n[[arm]]\nname = "b"\n'
    )
    assert begin_text("# alone\n", tmp_path / "x.toml") == "# Began as a copy of x.toml.\n"
    assert is_template(FILES[0])
    assert begin_text(FILES[0].read_text(), FILES[0]) == FILES[0].read_text()


@pytest.mark.slow
async def test_the_picker_filters_and_a_template_keeps_its_name(
    make_app: Make, monkeypatch: pytest.MonkeyPatch, store: Path
) -> None:
    monkeypatch.setattr("tui.app.templates.shipped_folder", lambda: SHIPPED)
    app = make_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "n")
        assert isinstance(app.screen, Choose)
        text = screen_text(app)
        assert "Begin with a template" in text
        assert "Begin with a copy" in text
        await press(pilot, "slash", *"crss")
        assert "crossed" in screen_text(app)
        assert "one bit" not in screen_text(app)
        assert "Begin with a copy" not in screen_text(app), "what matches best comes first"
        await press(pilot, "enter")
        assert screen_of(app).document.get("protocol.name") == "crossed-sources"
        assert screen_of(app).fresh
        assert "no file yet" in screen_text(app)
        await press(pilot, "escape")
        await press(pilot, "n", "slash", *"mine", "up", "enter")
        assert screen_of(app).document.get("protocol.name") == "mine-2"
        assert "comment that stays" not in screen_of(app).document.text()


@pytest.mark.slow
async def test_esc_leaves_the_filter_before_it_leaves_the_picker(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "n", "slash", *"zzz")
        assert "nothing holds these letters in this order" in screen_text(app)
        await press(pilot, "enter", "escape")
        assert "mine" in screen_text(app)
        assert isinstance(app.screen, Choose)
        await press(pilot, "escape")
        assert not isinstance(app.screen, Choose)
