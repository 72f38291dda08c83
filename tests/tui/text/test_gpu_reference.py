"""The estimates of docs/gpu.md against figures that are worked out by hand, and against each other."""

from __future__ import annotations

import pytest

from engine.catalog.work import GPUS, find_gpu
from tui.text.gpu_reference import estimate_row, list_cards, list_plans, list_rows

GPU = {gpu.name: gpu for gpu in GPUS}


def read(table: str, row: str) -> dict[str, str]:
    """The cells of a row by the heads of their columns."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    (found,) = (line for line in lines if line[0] == row)
    return dict(zip(lines[0], found, strict=True))


def test_row_of_table_1_is_worked_out_from_counts_and_data_sheet() -> None:
    """2.5e9 training images of 157.49 MFLOP and 10.207 MB, 0.5e9 test images of 52.791 MFLOP and 4.1838 MB."""
    estimate = estimate_row("resnet14", "fp32", GPU["H100"])
    computing = (2.5e9 * 157.49e6 + 0.5e9 * 52.791e6) / (0.5 * 67e12)
    steps = 98 * 50_000
    moving = (2.5e9 * 10.207e6 + 0.5e9 * 4.1838e6 + steps * 7.1891e6) / (0.8 * 3.35e12)
    launching = 2.5e-6 * (steps * 163 + 0.5e9 * 0.092)
    assert estimate.least == pytest.approx(max(computing, moving, launching / 4))
    assert estimate.most == pytest.approx(computing + moving + launching)
    assert read(list_cards(), "H100")["hours, IEEE fp32"] == "3.5–6.9"
    assert read(list_rows(), "`resnet14`")["H100"] == "3.5–6.9"


@pytest.mark.slow
def test_table_1_takes_seven_rows() -> None:
    """Of 100 replicas each; replica 1 is shared, and the control trains four more."""
    planned = read(list_plans(), "`protocols/table1.toml`")
    assert (planned["runs"], planned["epochs"]) == ("700", "350,000")
    row = estimate_row("resnet14", "fp32", GPU["A100"])
    assert planned["A100"] == f"{7 * row.least / 3600:.0f}–{round(7 * row.most / 36000) * 10}"


def test_precision_that_a_card_lacks_is_left_open() -> None:
    assert read(list_cards(), "V100")["hours, bf16"] == "–"


def test_every_card_is_found_by_its_own_name() -> None:
    assert [find_gpu(gpu.name) for gpu in GPUS] == list(GPUS)
