"""Lists of lines: what does not fit says so, headings stay with their lines, and groups are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.text import Text
from textual.app import App, ComposeResult

from engine.plan.plan import make_plan
from engine.protocol.faults import Fault
from engine.protocol.load import parse_protocol
from tests.helpers.screens import Make, screen_text, settle
from tui.app.app import NondetApp
from tui.app.listed_files import GROUPS
from tui.app.screens.builder_plan import explain_empty, fault_lines
from tui.app.widgets.lines import Line, LinesView
from tui.app.widgets.panes import LinesPane


class Listing(App[None]):
    """Shows one list."""

    CSS = "LinesView { scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; }"

    def __init__(self, lines: list[Line]) -> None:
        super().__init__()
        self.lines = lines

    def compose(self) -> ComposeResult:
        yield LinesView(name_id="list")

    def on_mount(self) -> None:
        view = self.query_one(LinesView)
        view.set_lines(self.lines)
        view.focus()


class RightAligned(LinesPane):
    """Shows lines that end with the last column at hand."""

    def make_lines(self, width: int) -> list[Line]:
        return [Line(Text(f"{number:>{width}}")) for number in range(self.app.size.width)]


class Pane(App[None]):
    """Shows one pane that has more lines than rows."""

    CSS = "RightAligned { scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; }"

    def compose(self) -> ComposeResult:
        yield RightAligned()


async def test_line_of_the_same_words_in_another_colour_is_drawn_again() -> None:
    app = Listing([Line(Text("an arm", "red"), "a")])
    async with app.run_test(size=(20, 5)) as pilot:
        await pilot.pause()
        view = app.query_one(LinesView)
        view.set_lines([Line(Text("an arm", "green"), "a")])
        colour = next(iter(view.render_line(0))).style
        assert colour is not None
        assert colour.color is not None
        assert colour.color.name == "green"


async def test_pane_lays_its_lines_out_beside_the_scrollbar() -> None:
    app = Pane()
    async with app.run_test(size=(20, 5)) as pilot:
        await pilot.pause()
        view = app.query_one(RightAligned)
        assert [view.render_line(y).text for y in range(3)] == [f"{number:>19} " for number in range(3)]


def read_rows(app: App[None]) -> list[str]:
    view = app.query_one(LinesView)
    return [view.render_line(y).text for y in range(view.size.height)]


async def test_line_has_the_style_of_its_text() -> None:
    app = Listing(
        [
            Line(Text("whole", style="bold")),
            Line(Text("part ", style="dim").append("bold", "bold")),
            Line(Text("x"), "x"),
        ]
    )
    async with app.run_test(size=(20, 5)) as pilot:
        await pilot.pause()
        strips = [app.query_one(LinesView).render_line(y) for y in range(2)]
        styles = [
            [(s.text.strip(), bool(s.style and s.style.bold), bool(s.style and s.style.dim)) for s in strip]
            for strip in strips
        ]
        assert styles[0][0] == ("whole", True, False)
        assert styles[1][:2] == [("part", False, True), ("bold", True, True)]


@pytest.mark.parametrize("rows", [3, 30])
async def test_line_that_goes_on_ends_in_an_ellipsis_where_it_is_cut(rows: int) -> None:
    """With a scrollbar, which takes the last column, and without."""
    app = Listing(
        [Line(Text("a" * 60), "a"), Line(Text("b" * 38), "b"), *(Line(Text("c"), f"c{n}") for n in range(rows))]
    )
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        seen = 40 - (rows > 10)
        first, second, *_ = read_rows(app)
        assert first[:seen] == "a" * (seen - 1) + "…"
        assert second.rstrip() == "b" * 38
        await pilot.press("right")
        await pilot.pause()
        assert read_rows(app)[0][:seen] == "a" * (seen - 1) + "…"
        for _ in range(6):
            await pilot.press("right")
        await pilot.pause()
        assert read_rows(app)[0][:seen] == "a" * seen


async def test_heading_is_shown_with_the_line_below_it() -> None:
    lines = [
        line for n in range(5) for line in (Line(Text(f"[{n}]")), *(Line(Text(f"{n}{k}"), f"{n}{k}") for k in "abcd"))
    ]
    app = Listing(lines)
    async with app.run_test(size=(40, 7)) as pilot:
        await pilot.pause()
        await pilot.press("G")
        for key in ("3d", "3c", "3b", "3a", "2d"):
            while app.query_one(LinesView).key != key:
                await pilot.press("k")
            await pilot.pause()
            rows = [row.strip() for row in read_rows(app)]
            assert key in rows
            if key == "3a":
                assert "[3]" in rows


def test_fault_is_said_in_full_however_narrow_the_pane_is() -> None:
    fault = Fault("arm[2].vary", "must be a list of different sources out of init and shuffle", "write vary = []")
    for width in (30, 50, 200):
        rows = [line.text.plain for line in fault_lines([fault], width)]
        assert max(map(len, rows)) <= width
        assert " ".join(" ".join(rows).split()) == f"✗ {fault.key}: {fault.problem} {fault.remedy}"


def test_source_that_changes_nothing_is_explained_once_with_its_arms() -> None:
    text = (
        '[protocol]\nname = "p"\nreplicas = 2\n[data]\npreset = "digits"\n[model]\npreset = "linear"\n'
        "[train]\nepochs = 2\nwarmup_epochs = 1\n"
        '[[arm]]\nname = "A"\nvary = ["init", "augment"]\n[[arm]]\nname = "B"\nvary = ["bit", "augment"]\n'
    )
    (row,) = explain_empty(make_plan(parse_protocol(text, file="p.toml"), device="cpu"))
    assert row.startswith("– Data Augmentation changes nothing in A, B: digits has no augmentation")


@pytest.mark.slow
async def test_protocols_are_listed_in_groups_that_fold(
    make_app: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "shipped"
    (shipped / "small").mkdir(parents=True)
    for name in ("quickstart", "theirs", "small/twin"):
        text = f'[protocol]\nname = "{Path(name).name}"\ndescription = "of the program"\n'
        (shipped / f"{name}.toml").write_text(text)
    monkeypatch.setattr("tui.app.listed_files.shipped_folder", lambda: shipped)
    app: NondetApp = make_app()

    def read_rows() -> list[str]:
        return [row.strip("│▎ ") for row in screen_text(app).splitlines()]

    async with app.run_test(size=(80, 30)) as pilot:
        await settle(pilot)
        rows = read_rows()
        heads = [rows.index(f"▾ {GROUPS[group]}") for group in ("start", "yours", "minutes", "full")]
        assert heads == sorted(heads)
        assert [rows[head + 1].split()[0] for head in heads] == ["quickstart", "mine", "twin", "theirs"]
        view = app.screen.query_one("#list", LinesView)
        assert (view.key or "").endswith("quickstart.toml"), "an empty store begins with what is recommended"
        view.move_to("fold:full")
        await pilot.press("enter")
        await settle(pilot)
        assert f"▸ {GROUPS['full']}  1" in read_rows()
        assert "theirs" not in screen_text(app)
        await pilot.press("slash", *"thrs", "enter")
        await settle(pilot)
        assert "theirs" in screen_text(app), "letters are enough, and what is folded is looked through"
        assert GROUPS["yours"] not in screen_text(app), "a group without a match has no heading"
        await pilot.press("escape", "slash", *"otm", "enter")
        await settle(pilot)
        assert "twin" not in screen_text(app), "letters out of a description find nothing"
        await pilot.press("escape", "slash", *"of program", "enter")
        await settle(pilot)
        assert "twin" in screen_text(app), "words of it do"
        await pilot.press("escape")
        await settle(pilot)
        assert f"▸ {GROUPS['full']}  1" in read_rows(), "without letters it is folded as before"
        view.move_to("fold:full")
        await pilot.press("enter")
        await settle(pilot)
        assert f"▾ {GROUPS['full']}" in read_rows()
        assert "theirs" in screen_text(app)
