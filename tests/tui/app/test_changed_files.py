"""The screens of studies whose files somebody has changed: drawn within bounds, and left again."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.helpers.mutations import CHANGES, CPU_S, Bench
from tests.helpers.screens import Make, screen_text, settle

KEPT = Path(__file__).parents[2] / "study" / "kept"
SEED = 20_261_126
SHOWN = (
    "plan.json", "metrics.json", "curves.json", "cka.json", "supervisor.json", "protocol.toml", "result.json",
    "epochs.jsonl",
)  # fmt: skip
"""Files whose content is on the screens; each is changed in some way. Their readers see every change elsewhere."""

SCREENS = 12
"""Pictures that are drawn of each; each may take what a look of any reader may."""


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_changed_files_end_no_screen(tmp_path: Path, make_app: Make) -> None:
    bench = Bench(KEPT, tmp_path / "bench")
    bench.restore()
    draw = random.Random(SEED)
    cases = [(kind, draw.choice(list(CHANGES))) for kind in bench.kinds if Path(kind).name in SHOWN]
    assert len(cases) == len(SHOWN)
    app = make_app(store=str(bench.paths.folder.parent))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for number, (kind, change) in enumerate(cases):
            bench.change(kind, change, random.Random(SEED + number))
            started = time.process_time()
            app.open_monitor(bench.paths)
            await settle(pilot)
            await pilot.press("enter", "escape", "m", "down")
            while len(app.screen_stack) > 2:
                await pilot.press("escape")
            app.open_results(bench.paths)
            await settle(pilot)
            await pilot.press("2", "3", "4", "5", "1", "e")
            await settle(pilot)
            while len(app.screen_stack) > 2:
                await pilot.press("escape")
            await settle(pilot)
            what = f"mutation {number}: {change} of {kind}"
            assert app.return_code in (None, 0), what
            assert app._exception is None, what
            assert "Traceback" not in screen_text(app), what
            assert time.process_time() - started < SCREENS * CPU_S, what
