"""The tables of docs/gpu.md, as Markdown made from what is counted of networks and known of cards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engine.catalog import presets
from engine.catalog.preset_work import PRESET_WORK
from engine.catalog.work import COUNTED_AS, GPUS, ROW_EPOCHS, Estimate, GpuModel, Load, Work, estimate_s
from engine.plan.plan import Plan, make_plan
from engine.protocol.load import load_protocol
from engine.tuning.estimates import Counted, estimate_runs
from tui.text.reference import make_table

BATCH_SIZE = 512
"""Of a row of Table 1."""

TRAIN_IMAGES, TEST_IMAGES = presets.DATA["cifar10"].train_size, presets.DATA["cifar10"].test_size

PROTOCOLS = Path(__file__).parents[2] / "protocols"

PLANNED = ("table1", "table3", "table5", "table6", "table7", "table8")
"""Protocols of images like CIFAR-10's, whose time is estimated as a whole."""

PRECISIONS = {"fp32": "IEEE fp32", "tf32": "TF32", "bf16": "bf16"}

HOUR_S = 3600.0


def find_work(preset: str, precision: str) -> Work:
    """Return what was counted of a preset."""
    return PRESET_WORK[preset][COUNTED_AS[precision]]


def estimate_row(preset: str, precision: str, gpu: GpuModel) -> Estimate:
    """Estimate the seconds of a row of Table 1 with a preset."""
    epoch = find_work(preset, precision).epoch(TRAIN_IMAGES, TEST_IMAGES, BATCH_SIZE)
    return estimate_s(Load().plus(epoch, ROW_EPOCHS), gpu, precision)


def format_hours(estimate: Estimate) -> str:
    """Return bounds in hours with two digits that count."""
    return "–".join(_format(seconds / HOUR_S) for seconds in (estimate.least, estimate.most))


def _format(number: float) -> str:
    return f"{float(f'{number:.2g}'):,.10g}"


def list_cards() -> str:
    """Return a table of cards: their data sheets, and a row of Table 1 by precision."""
    rows: list[tuple[str, ...]] = []
    for gpu in GPUS:
        hours = [
            format_hours(estimate_row("resnet14", precision, gpu)) if gpu.computes(precision) else "–"
            for precision in PRECISIONS
        ]
        energy = gpu.use_kwh(estimate_row("resnet14", "fp32", gpu).middle)
        sheet = " / ".join(f"{gpu.flops[name] / 1e12:g}" if name in gpu.flops else "–" for name in PRECISIONS)
        rows.append((gpu.name, f"{gpu.bandwidth / 1e12:g}", sheet, *hours, f"{energy:.2g}", gpu.source))
    heads = ("card", "TB/s", "TFLOP/s fp32 / TF32 / bf16", *(f"hours, {name}" for name in PRECISIONS.values()))
    return make_table((*heads, "kWh, fp32", "source"), rows)


def list_rows() -> str:
    """Return a table of presets: what was counted of an image, and hours for 100 replicas of 500 epochs in fp32."""
    rows: list[tuple[str, ...]] = []
    for preset, by_precision in PRESET_WORK.items():
        fp32, bf16 = by_precision["fp32"], by_precision["bf16"]
        counted = (f"{fp32.train_flops / 1e6:,.1f}", f"{fp32.train_bytes / 1e6:.3g}", f"{bf16.train_bytes / 1e6:.3g}")
        hours = (format_hours(estimate_row(preset, "fp32", gpu)) for gpu in GPUS)
        rows.append((f"`{preset}`", *counted, f"{fp32.step_kernels:.0f}", *hours))
    heads = ("network", "MFLOP", "MB fp32", "MB bf16", "kernels")
    return make_table((*heads, *(gpu.name for gpu in GPUS)), rows)


def list_plans() -> str:
    """Return a table of protocols: their runs, and hours on one card of each kind, in the precision that they name."""
    rows: list[tuple[str, ...]] = []
    for name, plan in _plan_all():
        counted = _count_runs(plan)
        estimates = [estimate_runs(plan, counted, list(plan.recipes), gpu) for gpu in GPUS]
        epochs = sum(recipe.train.epochs for recipe in plan.recipes.values())
        hours = ["–" if estimate is None else format_hours(estimate) for estimate in estimates]
        rows.append((f"`protocols/{name}.toml`", f"{len(plan.recipes):,}", f"{epochs:,}", *hours))
    return make_table(("protocol", "runs", "epochs", *(gpu.name for gpu in GPUS)), rows)


def _plan_all() -> Iterator[tuple[str, Plan]]:
    """Yield the plans of the published tables of images."""
    for name in PLANNED:
        yield name, make_plan(load_protocol(PROTOCOLS / f"{name}.toml"), device="cuda")


def _count_runs(plan: Plan) -> dict[str, Counted]:
    counted: dict[str, Counted] = {}
    for run, recipe in plan.recipes.items():
        data = presets.DATA[recipe.data.preset or ""]
        preset = recipe.model.preset
        if preset is not None and preset in PRESET_WORK:
            counted[run] = (
                find_work(preset, recipe.train.precision),
                data.train_size,
                data.test_size,
            )
    return counted
