"""The builder's questions: values are chosen or typed, refused with what is allowed, and stand in the protocol."""

from __future__ import annotations

import pytest

from engine.protocol.arm_keys import ARM, ARM_OVERRIDES
from engine.protocol.load import parse_protocol
from tests.helpers.screens import Make, read_notices, screen_text, settle
from tests.tui.app.test_builder import FILE, open_builder, press, screen_of
from tui.app.app import NondetApp
from tui.app.choices import list_choices
from tui.app.screens.builder import BuilderScreen
from tui.app.screens.builder_keys import KEYS
from tui.app.screens.choosing import Choose
from tui.app.screens.dialogs import Prompt
from tui.app.setting_values import SETTINGS, check_of, find_value_fault, names_of, read_value


def test_every_word_of_a_list_is_offered_and_allowed() -> None:
    chosen = [key for key in SETTINGS if list_choices(key)]
    assert {"protocol.reference", "data.preset", "data.augment", "train.optimizer", "train.schedule"} <= set(chosen)
    assert "metrics.cka" in chosen, "true and false too"
    assert not {"train.lr", "protocol.name", "dispatch.devices"} & set(chosen)
    for key in chosen:
        names = [name for name, _ in list_choices(key)]
        assert all(find_value_fault(check_of(key), name) is None for name in names)
        if names_of(key) and key != "model.preset":
            assert set(names) == set(names_of(key))


@pytest.mark.parametrize(
    ("key", "typed", "value"),
    [
        ("protocol.name", "2026", "2026"),
        ("protocol.name", "true", "true"),
        ("protocol.description", "-3", "-3"),
        ("protocol.description", 'it is "B" that wins', 'it is "B" that wins'),
        ("train.epochs", "30", 30),
        ("train.lr", "", None),
        ("dispatch.pack", "auto", "auto"),
        ("dispatch.devices", '["cuda:0"]', ["cuda:0"]),
    ],
)
def test_what_is_typed_is_read_as_the_key_wants_it(key: str, typed: str, value: object) -> None:
    assert read_value(check_of(key), typed) == value
    assert find_value_fault(check_of(key), typed) is None


def test_what_no_key_allows_is_refused_with_what_is_allowed() -> None:
    assert "whole number" in (find_value_fault(check_of("train.epochs"), "banana") or "")
    assert "start with a letter or digit" in (find_value_fault(check_of("protocol.name"), "-x") or "")
    assert find_value_fault(check_of("train.lr"), '"') is not None


@pytest.mark.slow
def test_every_section_that_an_arm_may_override_has_a_key() -> None:
    bound = {binding.action for binding in KEYS}
    assert {f"override('{section}')" for section in ARM_OVERRIDES} <= bound


@pytest.mark.slow
async def test_own_settings_are_picked_and_refused_like_those_of_the_protocol(make_app: Make) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "T")
        assert isinstance(app.screen, Choose)
        assert "what it does" in screen_text(app)
        await press(pilot, "enter", "escape")
        assert isinstance(app.screen, Choose), "Esc goes one question back"
        await press(pilot, "slash", *"epochs", "enter")
        assert isinstance(app.screen, Prompt)
        await press(pilot, *"banana", "enter")
        assert "must be a whole number from 1 to 100000" in screen_text(app)
        assert "train" not in screen_of_below(app).document.arms[0]
        await press(pilot, "ctrl+u", *"9", "enter")
        assert isinstance(app.screen, Choose), "the next one can be picked at once"
        await press(pilot, "slash", *"schedule", "enter")
        assert isinstance(app.screen, Choose)
        await press(pilot, "slash", *"snap", "enter", "escape")
        assert screen_of(app).document.arms[0]["train"] == {"epochs": 9, "schedule": "snapshot"}
        await press(pilot, "T", "slash", *"epochs", "enter", "ctrl+u", "enter", "escape")
        assert screen_of(app).document.arms[0]["train"] == {"schedule": "snapshot"}, "empty takes it out"
        await press(pilot, "M", "enter")
        assert isinstance(app.screen, Choose)
        assert "on CIFAR-10" in screen_text(app), "the numbers say what they are of"
        await press(pilot, "slash", *"hiddenfc", "enter", "escape")
        assert screen_of(app).document.arms[0]["model"] == {"preset": "hidden-fc"}


def screen_of_below(app: NondetApp) -> BuilderScreen:
    """The builder, also where a question lies on top of it."""
    return next(screen for screen in app.screen_stack if isinstance(screen, BuilderScreen))


@pytest.mark.slow
async def test_onsets_ensembles_and_crossed_sources_are_asked_for(make_app: Make) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "a", "alt+6", "o", *"0, 2, x")
        assert "must be a whole number from 0, or up to" in " ".join(screen_text(app).replace("│", " ").split())
        await press(pilot, "ctrl+u", *"0, 2", "enter")
        assert list(screen_of(app).document.arms[3]["onset"]) == [0, 2], "commas are enough"
        await press(pilot, "X", "slash", *"initshuf", "enter", "ctrl+u", *"3 1")
        assert "two of init" in screen_text(app)
        await press(pilot, "backspace", *"4")
        assert "3 x 4 = 12 runs" in screen_text(app)
        await press(pilot, "enter")
        assert screen_of(app).document.arms[3]["crossed"] == {"init": 3, "shuffle": 4}
        assert screen_of(app).document.names[3] == "Parameter Initialization x Data shuffling"
        await press(pilot, "alt+1")
        assert "X changes that" in read_notices(app)
        await press(pilot, "A", "slash", *"mine", "enter", "ctrl+u", *"0")
        assert "must be a whole number from 1" in screen_text(app)
        await press(pilot, "backspace", *"2", "enter")
        assert screen_of(app).document.arms[3]["ensemble"] == {"of": "Mine", "size": 2}
        assert "crossed" not in screen_of(app).document.arms[3]
        await press(pilot, "A", "k", "k", "k", "k", "enter")
        assert list(screen_of(app).document.arms[3]["vary"]) == [], "it is an arm that is trained again"
        text = screen_of(app).document.text()
    assert ARM["vary"].check.accepts([])
    assert len(parse_protocol(text, file=str(FILE)).arms) == 4


@pytest.mark.slow
async def test_a_setting_out_of_a_list_is_chosen_and_left_out_again(make_app: Make) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        screen_of(app).edit("train.optimizer")
        await settle(pilot)
        assert isinstance(app.screen, Choose)
        await press(pilot, "slash", *"adam", "enter")
        assert screen_of(app).document.get("train.optimizer") == "adam"
        screen_of(app).edit("train.optimizer")
        await press(pilot, "g", "enter")
        assert screen_of(app).document.get("train.optimizer") is None
        screen_of(app).edit("model.preset")
        await press(pilot, "G", "enter")
        assert isinstance(app.screen, Prompt), "torchvision has more than a list would hold"
        await press(pilot, "ctrl+u", *"torchvision:resnet18", "enter")
        assert screen_of(app).document.get("model.preset") == "torchvision:resnet18"


@pytest.mark.slow
async def test_a_name_that_another_arm_has_is_refused(make_app: Make) -> None:
    app = open_builder(make_app)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        await press(pilot, "enter", "ctrl+u", *"Mine")
        assert "another arm has this name" in screen_text(app)
        await press(pilot, "enter", *"2026", "enter", "alt+2")
        assert screen_of(app).document.names[0] == "Mine2026", "a name that was typed stays"
