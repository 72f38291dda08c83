"""What the app says is allowed for each setting."""

from __future__ import annotations

import pytest

from tui.app.setting_values import SETTINGS, allowed_of


@pytest.mark.parametrize("key", SETTINGS)
def test_every_setting_says_what_is_allowed(key: str) -> None:
    assert len(allowed_of(key)) > 4, key
    assert "must be" not in allowed_of(key)


def test_allowed_values_are_those_of_the_check() -> None:
    assert allowed_of("train.momentum") == "a number at least 0 and below 1"
    assert allowed_of("train.precision") == "one of fp32, tf32, bf16"
