"""A program of one's own in the builder: its command is typed, seeds are found in it, and its self-test is run."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.widgets import Input

from engine.protocol.command_words import propose, split_words
from engine.protocol.load import parse_protocol
from engine.study.processes import PROC, list_pids
from tests.helpers.screens import settle
from tui.app.app import NondetApp
from tui.app.document import Document
from tui.app.program import apply_proposal, ask_program, find_interpreter, find_working_folder
from tui.app.screens.builder import BuilderScreen
from tui.app.screens.builder_program import SelfTestScreen
from tui.app.screens.choosing import Choose
from tui.app.screens.dialogs import Confirm, Prompt

TEMPLATE = """
[protocol]
name = "mine"
replicas = 2

[command]
run = ["{python}", "old.py", "{seed.init}", "{seed.augment}"]
epochs = 4

[[arm]]
name = "Mine"
vary = ["init"]

[[arm]]
name = "Gone"
vary = ["augment"]
"""

SCRIPT = """
import argparse, json, os, random, sys
parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--data-seed", type=int, default=1)
parser.add_argument("--out")
options = parser.parse_args()
draw = random.Random(f"{options.seed} {options.data_seed}").random
with open(os.path.join(options.out, "result.json"), "w") as file:
    json.dump({"f1": draw(), "recall": draw()}, file)
"""


def test_proposal_changes_what_it_is_about_and_keeps_the_rest(tmp_path: Path) -> None:
    (tmp_path / "new.py").touch()
    document = Document(TEMPLATE, file="mine.toml")
    proposal = propose(split_words("python new.py --seed 1 --split-seed 2 --out x"), folder=tmp_path)
    apply_proposal(document, proposal, tmp_path, path=tmp_path / "mine.toml", fresh=False)
    protocol = parse_protocol(document.text(), file=str(tmp_path / "mine.toml"))
    assert protocol.command is not None
    words = "{python} new.py --seed {seed.init} --split-seed {seed.split} --out {out}"
    assert protocol.command.run == split_words(words)
    assert (protocol.command.files, protocol.command.folder, protocol.command.epochs) == (["new.py"], ".", 4)
    assert [(arm.name, arm.vary) for arm in protocol.arms] == [
        ("Mine", ("init",)),
        ("What --split-seed decides", ("split",)),
        ("All of them", ("init", "split")),
    ]
    assert find_working_folder(document, tmp_path / "mine.toml", fresh=False) == Path.cwd()
    apply_proposal(document, proposal, tmp_path, path=Path("elsewhere.toml"), fresh=True)
    assert find_working_folder(document, Path("elsewhere.toml"), fresh=True) == tmp_path


def test_interpreter_is_named_unless_it_is_this_programs_own() -> None:
    assert find_interpreter(sys.executable) is None
    assert find_interpreter("/nowhere/python") == "/nowhere/python"


def test_help_that_never_ends_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.app.program.HELP_S", 0.5)
    mark = f"help-{time.monotonic_ns()}"
    sleep = [sys.executable, "-S", "-c", "import time; time.sleep(600)", mark]
    with pytest.raises(TimeoutError, match="did not end within"):
        ask_program(sleep, tmp_path)
    assert not [pid for pid in list_pids() if mark.encode() in read_words(pid)]


def read_words(pid: int) -> bytes:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


def is_shown(app: NondetApp, kind: type[object]) -> bool:
    return isinstance(app.screen, kind)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a protocol beside its script, and go there."""
    (tmp_path / "fit.py").write_text(SCRIPT)
    kind = TEMPLATE.replace("epochs = 4", 'kind = "scores"').replace(
        "[[arm]]", '[dispatch]\ndevices = "cpu"\n[[arm]]', 1
    )
    (tmp_path / "mine.toml").write_text(kind)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine.toml"


@pytest.mark.slow
async def test_program_of_ones_own_has_no_settings_of_networks_for_an_arm(
    mine: Path, make_app: Callable[..., NondetApp]
) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.open_builder(mine)
        await settle(pilot)
        builder = app.screen
        for key in "TMDE":
            await pilot.press(key)
            await settle(pilot)
            assert app.screen is builder, key


@pytest.mark.slow
async def test_seeds_are_found_in_what_is_typed_and_in_help(mine: Path, make_app: Callable[..., NondetApp]) -> None:
    app = make_app(store=str(mine.parent / "store"), opened=mine)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        builder = app.screen
        assert isinstance(builder, BuilderScreen)
        await pilot.press("p")
        await settle(pilot)
        assert is_shown(app, Prompt)
        field = app.screen.query_one(Input)
        assert field.value == "{python} old.py {seed.init} {seed.augment}"
        field.value = f"{sys.executable} -S fit.py --seed 7"
        await pilot.press("enter")
        await settle(pilot)
        assert is_shown(app, Choose)
        await pilot.press("down", "enter")  # what it says on --help, too
        deadline = time.monotonic() + 30
        while not is_shown(app, Choose) and time.monotonic() < deadline:
            await pilot.pause(0.02)
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        words = "{python} -S fit.py --seed {seed.init} --data-seed {seed.shuffle} --out {out}"
        assert builder.document.get("command.run") == split_words(words)
        assert builder.document.names == ["Mine", "Data shuffling", "All of them"]
        await pilot.press("u")
        await settle(pilot)
        assert builder.document.names == ["Mine", "Gone"]  # one change, taken back at once


@pytest.mark.slow
async def test_self_test_is_run_in_the_builder_and_shown(mine: Path, make_app: Callable[..., NondetApp]) -> None:
    words = split_words(f"{sys.executable} -S fit.py --seed 7 --data-seed 7 --out x")
    document = Document(mine.read_text(), file=str(mine))
    apply_proposal(document, propose(words, folder=mine.parent), mine.parent, path=mine, fresh=False)
    mine.write_text(document.text())
    app = make_app(store=str(mine.parent / "store"), opened=mine)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("t")
        await settle(pilot)
        assert isinstance(app.screen, Confirm)
        assert "Run your program now" in app.screen.question
        await pilot.press("y")
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, SelfTestScreen)
        deadline = time.monotonic() + 100
        while not screen.ended and time.monotonic() < deadline:
            await pilot.pause(0.05)
        assert any("nothing varied: two runs are the same to the bit" in line for line in screen.told)
        assert "shuffle (--data-seed): another seed gives another result" in screen.told
        await pilot.press("escape")
        await settle(pilot)
        assert is_shown(app, BuilderScreen)
