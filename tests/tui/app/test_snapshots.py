"""Every screen, in its states and sizes, as text: what a person sees, compared with what was looked at and kept.

`UPDATE_SNAPSHOTS=1 pytest tests/tui/app/test_snapshots.py` writes them anew; look at the difference before keeping it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec import structs
from textual.pilot import Pilot

from engine.study.curves_record import StudyCurves
from engine.study.files import make_folder
from engine.study.metrics_record import LayerSimilarity, find_metrics, write_metrics
from engine.study.records import write_record
from engine.study.study_plan import read_plan
from tests.helpers.measures import make_curves, make_spread
from tests.helpers.screens import SIZES, screen_text, settle
from tests.helpers.studies import write_digests, write_study
from tests.tui.text.test_divergence import FOUND
from tui.app.app import NondetApp
from tui.app.machine import Gauge, Machine

FOLDER = Path(__file__).parent / "snapshots"
WITH_FOOTER = "keys"
"""The one state whose last row is kept: another key in it is no change of all the others."""
Step = Callable[[Pilot[None], NondetApp, Path], Awaitable[None]]


async def start_empty(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    """Nothing to do."""


async def start(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    write_study(store / "alpha")
    write_study(store / "beta", done=3, running=0)
    make_folder(store / "torn")
    (store / "torn" / "plan.json").write_text("{")
    app.screen.reading.ask()  # pyright: ignore[reportAttributeAccessIssue]


async def builder(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    app.open_builder(Path("protocols/mine.toml"))


async def builder_fault(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    path = Path("protocols/mine.toml")
    path.write_text(path.read_text().replace("epochs = 4", "epochs = -4").replace('"init"', '"inti"'))
    app.open_builder(path)


async def monitor(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    app.open_monitor(write_study(store / "alpha", replicas=5, epochs=12, failed=1))


async def monitor_empty(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    app.open_monitor(write_study(store / "alpha", done=0, running=0))


async def results(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    app.open_results(write_study(store / "alpha", done=3, running=0))


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await settle(pilot)
        await pilot.press(key)


async def table(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    await results(pilot, app, store)
    await press(pilot, "2")


async def diagnostics(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    await results(pilot, app, store)
    await press(pilot, "2", "d")


async def intervals(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    await results(pilot, app, store)
    await press(pilot, "3")


async def over_time(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    paths = write_study(store / "alpha", done=3, running=0)
    plan = read_plan(paths)
    sd = (9.0, 4.0, 2.0, 1.0, 0.5)
    arms = tuple(
        make_curves(arm.name, accuracy=make_spread(sd), test_cross_entropy=make_spread(sd)) for arm in plan.arms
    )
    write_record(paths.curves, StudyCurves(study=plan.study, arms=arms))
    app.open_results(paths)
    await press(pilot, "4")


async def no_layers(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    await results(pilot, app, store)
    await press(pilot, "5")


async def layers(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    paths = write_study(store / "alpha", done=3, running=0)
    found = find_metrics(paths.metrics)
    assert found is not None
    cka = tuple(
        LayerSimilarity(layer=name, n=3, cka=value, cka_ci=(value - 0.1, value + 0.1), cka_debiased=value - 0.01)
        for name, value in (("Conv1", 0.85), ("Logits", 0.42))
    )
    arms = tuple(structs.replace(arm, cka=cka) for arm in found.arms[:2])
    write_metrics(paths.metrics, structs.replace(found, arms=(*arms, *found.arms[2:])))
    app.open_results(paths)
    await press(pilot, "5")


async def pairs(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    await results(pilot, app, store)
    await press(pilot, "6")


async def examples(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    await results(pilot, app, store)
    await press(pilot, "7")


async def explanation(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    await table(pilot, app, store)
    await press(pilot, "e")


async def compare(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    await results(pilot, app, store)
    await press(pilot, "8", "j")


async def provenance(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    await results(pilot, app, store)
    await press(pilot, "9")


async def parting(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    paths = write_study(store / "alpha", done=3, running=0)
    write_digests(paths)
    make_folder(paths.partings)
    write_record(paths.divergence("a", "b"), structs.replace(FOUND, studies=("alpha", "alpha")))
    app.open_results(paths)
    await settle(pilot)
    await pilot.press("0")


async def runs(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    await monitor(pilot, app, store)
    await settle(pilot)
    await pilot.press("enter")


async def keys(pilot: Pilot[None], app: NondetApp, store: Path) -> None:
    await monitor(pilot, app, store)
    await settle(pilot)
    await pilot.press("question_mark")


STATES: dict[str, Step] = {
    step.__name__: step
    for step in (
        start_empty, start, builder, builder_fault, monitor, monitor_empty, results, table, diagnostics, intervals,
        over_time, layers, no_layers, pairs, examples, explanation, compare, provenance, parting,
        runs, keys,
    )
}  # fmt: skip


QUICK = ("start", "builder", "monitor", "results")
"""The states that are looked at without waiting for the whole gate."""


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(
    "state", [pytest.param(state, marks=() if state in QUICK else pytest.mark.slow) for state in STATES]
)
async def test_screen_looks_as_it_did(
    state: str, size: tuple[int, int], make_app: Callable[..., NondetApp], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gauges = (Gauge("cpu", 63.0, "2 cores", (20.0, 40.0, 63.0)), Gauge("memory", 25.0, "8.0/32 GB", (25.0,)))
    monkeypatch.setattr(Machine, "look", lambda machine: gauges)
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await STATES[state](pilot, app, store)
        for _ in range(3):
            await settle(pilot)
        text = steady(screen_text(app), store)
    if state != WITH_FOOTER:
        text = text.rpartition("\n")[0]
    path = FOLDER / f"{state}-{size[0]}x{size[1]}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")
    assert text + "\n" == path.read_text()


def steady(text: str, store: Path) -> str:
    """Leave out what differs from run to run: folders, machines, what is cut behind them, ages, times left."""
    text = re.sub(r"   store …?/?\S*", "   store STORE", text)
    text = re.sub(r"(folder +)/.*?(?=\n│? *planned as)", r"\1STORE", text, flags=re.DOTALL)  # a path over several rows
    text = re.sub(r"(machines +)\S+ *", r"\1HERE ", text)
    text = re.sub(r"/\S*pytest-\S*(?: [^\n│]*…)?", "STORE", text)
    text = re.sub(r" {4,}STORE$", "   STORE", text, flags=re.MULTILINE)  # at the right edge, wherever it begins
    return re.sub(r" +\d+ s( ago| left)", r" N s\1", text)
