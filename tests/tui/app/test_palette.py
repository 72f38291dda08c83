"""The palette finds studies, protocols, themes and actions by any of their letters; a theme that is chosen is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.command import CommandPalette

from engine.errors import NondetError
from tests.helpers.screens import settle
from tests.helpers.studies import write_study
from tui.app.app import NondetApp
from tui.app.keeping import keep_setting
from tui.app.palette import Offers
from tui.app.schemes import SCHEMES
from tui.app.screens.builder import BuilderScreen
from tui.app.screens.monitor import MonitorScreen
from tui.app.screens.results import ResultsScreen
from tui.app.screens.start_panes import ChoiceList
from tui.app.settings import Settings, read_settings

Make = Callable[..., NondetApp]


async def choose(pilot: Any, text: str) -> None:
    """Type into the palette, and take what is found first."""
    await pilot.press("ctrl+p")
    await pilot.pause(0.3)
    assert isinstance(pilot.app.screen, CommandPalette)
    await pilot.press(*text)
    await pilot.pause(0.7)
    await pilot.press("enter")
    await settle(pilot)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "screen"), [("studyalpha", MonitorScreen), ("rsltsalph", ResultsScreen), ("promine", BuilderScreen)]
)
async def test_places_are_found_by_their_letters(make_app: Make, store: Path, text: str, screen: type) -> None:
    write_study(store / "alpha")
    app = make_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await choose(pilot, text)
        assert isinstance(app.screen, screen)


@pytest.mark.slow
async def test_theme_from_the_palette_is_kept(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await choose(pilot, "themelight")
        assert app.theme == SCHEMES["light"].theme
    assert read_settings(app.locations.config).theme == "light"


def test_keeping_a_setting_leaves_the_rest_of_the_file_and_a_link_to_it(tmp_path: Path) -> None:
    own = tmp_path / "dotfiles.toml"
    own.write_text("# mine\nmouse = false  # never\ntheme = 'dark'\n")
    (tmp_path / "config.toml").symlink_to(own)
    keep_setting("theme", "contrast", tmp_path / "config.toml")
    assert own.read_text() == '# mine\nmouse = false  # never\ntheme = "contrast"\n'
    assert (tmp_path / "config.toml").is_symlink()
    assert read_settings(tmp_path / "config.toml") == Settings(theme="contrast", mouse=False)


def test_setting_that_cannot_be_kept_says_which_file(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("theme = [\n")
    with pytest.raises(NondetError, match=r"config\.toml: theme = light is not kept"):
        keep_setting("theme", "light", tmp_path / "config.toml")
    assert (tmp_path / "config.toml").read_text() == "theme = [\n"


async def test_palette_begins_with_the_keys_at_the_foot_and_names_each_action_once(make_app: Make, store: Path) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        offers = list(Offers(app.screen).iterate_actions())
        texts = [offer.text for offer in offers]
        assert texts[0] == "Open"
        assert texts.index("New") < texts.index("Down")
        assert len(texts) == len(set(texts))
        assert "key ↓ j" in {offer.help for offer in offers}
        app.open_monitor(write_study(store / "s"))
        await settle(pilot)
        offers = {offer.text: offer.help for offer in Offers(app.screen).iterate_actions()}
        assert offers["Epochs"] == "key + -", "two bindings with one display are one"


@pytest.mark.slow
async def test_enter_in_the_filter_of_home_goes_to_the_first_match(make_app: Make, store: Path) -> None:
    for name in ("alpha", "alpine"):
        write_study(store / name)
    app = make_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"mine", "enter")
        await settle(pilot)
        choices = app.screen.query_one(ChoiceList)
        assert choices.has_focus
        assert (choices.key or "").endswith("mine.toml"), "and not to the heading above it"
        await pilot.press("escape", "G", "slash", *"alp")
        await settle(pilot)
        listed = [line.key for line in choices.lines if line.key is not None]
        assert len(listed) == 2
        assert choices.key == listed[0], "while it is being typed, wherever the cursor was"
