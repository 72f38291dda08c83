"""The declarations of keys: complete, in agreement with their own checks, and typed."""

from __future__ import annotations

import pytest

from engine.catalog.published import list_tables
from engine.catalog.sources import SOURCES
from engine.protocol.arm_keys import ARM, ARM_OVERRIDES
from engine.protocol.keys import Key
from engine.protocol.sections import SECTIONS, find_key

KEYS = {f"{section}.{name}": key for section, keys in SECTIONS.items() for name, key in keys.items()}
KEYS |= {f"arm.{name}": key for name, key in ARM.items()}


@pytest.mark.parametrize("name", KEYS)
def test_key_allows_its_default_and_says_what_it_does(name: str) -> None:
    key: Key = KEYS[name]
    assert key.default is None or key.check.find_problem(key.default) is None
    assert key.check.find_problem(object()) == f"must be {key.check.allowed}"
    assert key.meaning[0].isupper()
    assert key.meaning.endswith(".")
    assert key.remedy


@pytest.mark.parametrize("name", [name for name, key in KEYS.items() if key.check.names and name != "model.preset"])
def test_listed_name_is_allowed_and_a_mistyped_one_is_told_apart(name: str) -> None:
    check = KEYS[name].check
    assert all(check.find_problem(one) is None for one in check.names)
    assert check.is_unknown_name(f"{check.names[0]}x")
    assert not check.is_unknown_name(3)


def test_names_of_a_key_are_those_of_its_catalog() -> None:
    assert find_key("protocol.reference").check.names == list_tables()
    assert find_key("dispatch.executor").check.names == ("local", "slurm")
    assert find_key("train.lr").check.names == ()
    assert set(SECTIONS["seeds"]) == {name for name, source in SOURCES.items() if source.has_base_seed}


def test_arm_overrides_keys_that_there_are() -> None:
    assert all(set(names) <= set(SECTIONS[section]) for section, names in ARM_OVERRIDES.items())
