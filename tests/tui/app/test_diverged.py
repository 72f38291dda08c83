"""Arms whose replicas diverged, in the monitor: counted, named, and never shown as if they agreed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.helpers.screens import SIZES, Make, screen_text, settle
from tests.helpers.studies import diverge, write_study


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_diverged_arm_is_shown_as_what_it_is(make_app: Make, store: Path, size: tuple[int, int]) -> None:
    """Replicas that all diverged agree on nothing: no SD of 0 on the screen, and what the mark means."""
    paths = write_study(store / "live", arms={"Control": [], "Wild": ["init"]}, done=3, running=0)
    for replica in range(3):
        diverge(paths, f"{1:08x}{replica:08x}", epoch=2)
    app = make_app(opened=paths.folder)
    async with app.run_test(size=size, notifications=True) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert re.search(r"▲ Wild +3 diverged", text), "in the legend"
        assert re.search(r"▲ Wild +━+ 3/3 ~3 +3 diverged: no spread", text), "in the table"
        assert "~ diverged: loss not finite" in text
        await pilot.press(*["left_square_bracket"] * 6, "down")
        await settle(pilot)
        (readout,) = [row for row in screen_text(app).splitlines() if row.startswith(" epoch 2 ")]
        assert readout.endswith("▲ Wild  9.91 of 3 replicas, 3 diverged")
        await pilot.press("enter")
        await settle(pilot)
        assert len(re.findall(r"~ diverged +2/8 +9\.91", screen_text(app))) == 3


async def test_screen_without_diverged_runs_explains_no_mark(make_app: Make, store: Path) -> None:
    app = make_app(opened=write_study(store / "live").folder)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await settle(pilot)
        assert "diverged" not in screen_text(app)
