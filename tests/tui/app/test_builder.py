"""The builder's arms: whose keys act, what arms are called, and where the cursor is after a change was taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.helpers.screens import Make, screen_text, settle
from tui.app.app import NondetApp
from tui.app.key_help import OTHERS, list_keys
from tui.app.palette import Offers
from tui.app.screens.builder import BuilderScreen
from tui.app.screens.builder_keys import GROUPS
from tui.app.widgets.lines import LinesView

SIZES = [(80, 24), pytest.param((120, 40), marks=pytest.mark.slow)]
FILE = Path("protocols/mine.toml")
NAMES = ["Parameter Initialization", "Control", "Mine"]


def open_builder(make_app: Make) -> NondetApp:
    """An app with three arms in its builder: two that are called after their sources, and one that is not."""
    FILE.write_text(FILE.read_text() + "".join(f'[[arm]]\nname = "{name}"\nvary = []\n' for name in NAMES[1:]))
    return make_app(opened=FILE)


def screen_of(app: NondetApp) -> BuilderScreen:
    assert isinstance(app.screen, BuilderScreen)
    return app.screen


def footer(app: NondetApp) -> str:
    return screen_text(app).splitlines()[-1]


async def press(pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)
    await settle(pilot)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_keys_of_the_arms_act_only_while_these_have_the_focus(make_app: Make, size: tuple[int, int]) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=size, notifications=True) as pilot:
        await settle(pilot)
        before = screen_of(app).document.text()
        arm_keys = ("space Toggle", "[ ] Source", "a Add arm")
        assert all(key in footer(app) for key in arm_keys[: 1 if size[0] < 100 else 3])
        await press(pilot, "tab")
        for key in ("d", "alt+1", "alt+6", "a", "c", "space", "right_square_bracket", "R", "T", "o", "A", "X"):
            await press(pilot, key)
            assert screen_of(app).document.text() == before, key
        assert not any(key in footer(app) for key in (*arm_keys, "c Copy arm", "d Delete arm"))
        assert all(key in footer(app) for key in ("⏎ Change", "tab Pane", "^r Run", "^s Save", "u Undo", "/ Filter"))
        for pane in ("explain", "text", "plan"):
            await press(pilot, "tab")
            focused = screen_of(app).focused
            assert focused is not None
            assert focused.id == pane
            assert focused.region.area > 0, "it is on the screen"
            await press(pilot, "d", "a", "alt+1")
            assert screen_of(app).document.text() == before, f"{pane} has no arms"
            assert "Open" not in footer(app), "and no line to open"
        await press(pilot, "tab", "d")
        assert screen_of(app).document.names == NAMES[1:]


@pytest.mark.slow
async def test_palette_and_help_offer_what_acts(make_app: Make) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        assert "Delete arm" in {offer.text for offer in Offers(app.screen).iterate_actions()}
        await press(pilot, "tab")
        assert "Delete arm" not in {offer.text for offer in Offers(app.screen).iterate_actions()}


@pytest.mark.slow
async def test_narrower_terminal_shows_the_page_that_has_the_focus(make_app: Make) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "tab")
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        assert "Settings" in screen_text(app).splitlines()[1]
        before = screen_of(app).document.text()
        await press(pilot, "d")
        assert screen_of(app).document.text() == before


@pytest.mark.slow
async def test_control_toggled_forth_and_back_is_a_control(make_app: Make) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        before = screen_of(app).document.text()
        await press(pilot, "j", "space")
        assert screen_of(app).document.names == [NAMES[0], "Parameter Initialization 2", "Mine"]
        await press(pilot, "space")
        assert screen_of(app).document.text() == before
        await press(pilot, "j", "space")
        assert screen_of(app).document.names == NAMES, "a name that somebody chose stays"


@pytest.mark.slow
async def test_names_of_two_sources_stand_in_full(make_app: Make) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "j", "alt+1", "alt+2")
        rows = [row[3:].split("  ")[0] for row in screen_text(app).splitlines()[3:6]]
        assert rows == ["Parameter Initialization", "Parameter Initialization + Data shuffling", "Mine"]


@pytest.mark.slow
async def test_title_of_a_source_is_whole_beside_the_arms(make_app: Make) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "right", "right", "right")
        assert "─ 3 Stochastic Operations ─" in screen_text(app), "without its key, for which there is no room"
        await press(pilot, "right", "right")
        assert "─ 3 bit: Random Bit Change ─" in screen_text(app)


@pytest.mark.slow
async def test_names_have_their_room_after_a_change_on_the_other_page(make_app: Make) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "a", "tab", "u", "shift+tab")
        assert "Parameter Initialization " in screen_text(app)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("keys", "arm"),
    [
        (("a", "u"), 0), (("j", "c", "u"), 1), (("j", "j", "d", "u"), 2), (("d", "u"), 0),
        (("j", "d", "d", "u", "u"), 1), (("j", "alt+1", "u"), 1), (("alt+1", "j", "j", "u"), 2), (("d", "j", "u"), 2),
        (("a", "k", "u"), 2), (("u",), 0),
    ],
)  # fmt: skip
async def test_cursor_stays_on_its_arm_when_a_change_is_taken_back(
    make_app: Make, size: tuple[int, int], keys: tuple[str, ...], arm: int
) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=size, notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, *keys)
        assert screen_of(app).document.names == NAMES
        assert screen_of(app).arm == arm


@pytest.mark.slow
async def test_builder_imports_no_target_and_keeps_what_is_trusted(
    make_app: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))
    leaves_a_trace = "import os\nopen(os.environ['TRACE'], 'w').close()\ndef build(**_): pass\n"
    (FILE.parent / "builder_nets.py").write_text(leaves_a_trace)
    sections = '[model]\ntarget = "builder_nets:build"\n[trust]\nmodules = ["timm"]\n'
    FILE.write_text(
        f'[protocol]\nname = "x"\n[data]\npreset = "digits"\n{sections}[[arm]]\nname = "a"\nvary = ["init"]\n'
    )
    app = make_app(opened=FILE)
    async with app.run_test(size=(120, 60), notifications=True) as pilot:
        await settle(pilot)
        assert "valid, 10 runs" in screen_text(app)
        await press(pilot, "tab")
        assert "[trust]" in screen_text(app)
        assert '["timm"]' in screen_text(app)
        screen_of(app).document.set("trust.modules", ["timm", "torch"])
        assert 'modules = ["timm", "torch"]' in screen_of(app).document.text()
    assert not (tmp_path / "trace").exists()


@pytest.mark.slow
async def test_help_lists_the_keys_by_group(make_app: Make) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(120, 60), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "question_mark")
        rows = [line.text.plain for line in app.screen.query_one(LinesView).lines]
        titles = [row for row in rows if not row.startswith(" ") and row in (*GROUPS, OTHERS)]
        assert titles == ["Sources of the arm", "Arms", "The protocol", "Panes", OTHERS], "those whose keys act now"
        arms = rows[rows.index("Arms") + 1 : rows.index("The protocol")]
        assert any("Rename" in row for row in arms)
        assert any(row.startswith("T ") for row in arms)
        await press(pilot, "escape", "tab", "question_mark")
        rows = [line.text.plain for line in app.screen.query_one(LinesView).lines]
        assert "Sources of the arm" not in rows
        assert any(row.endswith("All settings") for row in rows[rows.index("Settings") :])


def test_keys_without_groups_have_no_titles() -> None:
    keys = [("a", "app.add", "Add"), ("b", "screen.add(1)", "Add"), ("c", "copy", "Copy")]
    assert list_keys(keys, {}) == [("a b", "Add"), ("c", "Copy")]
    assert list_keys(keys, {"Arms": ("copy",)}) == [("", "Arms"), ("c", "Copy"), ("", OTHERS), ("a b", "Add")]
    pair = [("+ -", "zoom(1)", "Epochs"), ("-", "zoom(2)", "More epochs"), ("x", "cut", "Cut")]
    assert list_keys(pair, {}) == [("+ -", "Epochs"), ("x", "Cut")], "a pair speaks for both of its keys"
