"""Figures as text: golden lines, every width, characters that every stream can show, and tables of language models."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from engine.study.curves_record import FirstEpoch
from engine.study.metrics_record import ArmMeasures
from tests.helpers.measures import make_curves, make_measures, make_spread
from tui.text.diagnostics import make_diagnostics_panel
from tui.text.format import ASCII, UNICODE
from tui.text.report import FORMATS, format_diagnostics_latex, format_diagnostics_markdown
from tui.text.tables import make_notes, make_panel, make_rows
from tui.text.text_figures import (
    CROSSED_NOTES,
    draw_bar,
    draw_layer_heat,
    format_apart,
    list_crossed,
    list_instability,
    list_onsets,
    list_similarity,
    make_figure_panels,
)

PART = {"variance": 0.25, "ci": [0.1, 0.4], "share": 0.5}
EMPTY = {"variance": 0.0, "ci": None, "share": None}
GRID = {
    "sources": ["init", "shuffle"],
    "levels": [10, 4],
    "accuracy": {"first": PART, "second": PART, "interaction": EMPTY},
}
TEXT_ENTRY = make_measures(
    name="Stochastic Operations", vary=["stochastic"], text=True, n=6, perplexity_mean=46.71, perplexity_sd=0.331,
    perplexity_sd_error=0.15, accuracy_mean=29.2, disagreement=32.86, disagreement_ci=[27.6, 38.1],
    ensemble_perplexity_delta=-2.336, ensemble_perplexity_delta_ci=[-2.56, -2.12], identical_weights=False,
)  # fmt: skip


def onset(epoch: int, disagreement: float) -> ArmMeasures:
    return make_measures(name=f"Shuffle, onset {epoch}", onset=epoch, disagreement=disagreement, accuracy_sd=0.5,
                         cross_entropy_sd=0.007)  # fmt: skip


@pytest.mark.parametrize(("share", "bar"), [(0.0, "────"), (0.5, "━━──"), (1.0, "━━━━"), (2.0, "━━━━"), (-1.0, "────")])
def test_bar_is_a_share_of_its_width(share: float, bar: str) -> None:
    assert draw_bar(share, UNICODE, 4) == bar


def test_similarity_shows_both_forms_and_how_layers_were_compared() -> None:
    layers = [
        {"layer": "Conv1", "n": 3, "cka": 0.984, "cka_ci": [0.94, 0.998], "cka_debiased": -0.012,
         "cka_debiased_ci": [-0.05, 0.02]},
        {"layer": "Logits", "n": 3, "cka": 0.5, "cka_ci": None},
    ]  # fmt: skip
    lines = list_similarity([make_measures(name="Init", cka=layers)], UNICODE, bar=4)
    assert lines[:3] == [
        "Init, n = 3",
        "  Conv1   ━━━━  0.984 [0.940 0.998]   debiased -0.012 [-0.050 0.020]",
        "  Logits  ━━──  0.500",
    ]
    assert "all positions and channels" in lines[3]
    assert list_similarity([make_measures(name="Init")], UNICODE, bar=4) == []


def test_onsets_stand_in_order_below_their_arm() -> None:
    lines = list_onsets([onset(5, 1.5), onset(0, 3.0), make_measures(name="Control")], UNICODE, bar=4)
    assert lines == [
        "Shuffle: disagreement %, accuracy SD %, cross-entropy SD nats",
        "  onset    0  ━━━━  3.00   0.50   0.0070",
        "  onset    5  ━━──  1.50   0.50   0.0070",
    ]


def test_onsets_of_language_models_have_their_own_measures() -> None:
    entry = make_measures(name="Bit, onset 2", onset=2, text=True, disagreement=4.0, perplexity_sd=0.25)
    assert list_onsets([entry], UNICODE, bar=4) == [
        "Bit: disagreement %, perplexity SD per word",
        "  onset    2  ━━━━  4.00   0.25",
    ]


LINEAR = make_curves("Linear", test_cross_entropy=make_spread([1e-8, 2e-8, 3e-8]), accuracy=make_spread([0.0] * 3))
DEEP = make_curves("Deep", test_cross_entropy=make_spread([1e-4, 1e-2, 0.05]), accuracy=make_spread([0.0, 1.0, 2.0]))
STILL = make_curves("Still", test_cross_entropy=make_spread([0.0] * 3), accuracy=make_spread([0.0] * 3))
"""One bit in a linear model, in a deep one, and no bit: the orders of magnitude of the paper's figure 3."""


def test_instability_shows_cross_entropy_over_orders_of_magnitude() -> None:
    lines = list_instability([LINEAR, DEEP, STILL], UNICODE, name_width=6, width=100)
    assert lines[0] == "SD over replicas of test cross-entropy, nats, by epoch"
    plot = "\n".join(lines[1 : lines.index("SD over replicas of test accuracy, %, by epoch")])
    assert "1e-08 ┤" in plot
    assert "0.01 ┤" in plot
    rows = [row for row in plot.splitlines() if "│" in row or "┤" in row]
    heights = {name: next(n for n, row in enumerate(rows) if row.endswith(name)) for name in ("Linear", "Deep")}
    assert heights == {"Linear": len(rows) - 2, "Deep": 0}, "0 has the row below, where no logarithm is"
    assert rows[-1].endswith("Still")
    assert "● Linear  SD 1e-08 first, 3e-08 last, 3e-08 most   middle 95 % of epoch 3: 3e-08 to 3e-08" in lines
    assert "■ Still   SD 0 first, 0 last, 0 most   middle 95 % of epoch 3: 0 to 0" in lines


def test_instability_shows_accuracy_only_where_it_spreads() -> None:
    shown = "\n".join(list_instability([LINEAR, STILL], UNICODE, name_width=6, width=100))
    assert "cross-entropy" in shown
    assert "accuracy" not in shown


def test_instability_names_what_diverged_and_lists_first_epochs() -> None:
    first = (
        FirstEpoch(epoch=1, unmoved=25.56, moved=(25.74, 25.9)),
        FirstEpoch(epoch=2, unmoved=31.1, moved=()),
    )
    arms = [
        make_curves("Bit", accuracy=make_spread([0.0, 2.0]), first_epochs=first, runs=("a", "b", "c"), diverged=(2,)),
        make_curves("One", accuracy=make_spread([0.0], n=[1])),
    ]
    lines = list_instability(arms, UNICODE, name_width=6, width=80)
    assert not any("One" in line for line in lines)
    assert lines[-4:] == [
        "Bit: 1 of 3 replicas diverged; each counts up to the epoch before",
        "Bit: accuracy % without the moved bit, and with it (least to most)",
        "  epoch 1   25.56   25.74 to 25.90",
        "  epoch 2   31.10   – to –",
    ]


def test_layers_of_all_arms_are_one_square() -> None:
    def make(name: str, **values: float | None) -> ArmMeasures:
        cka = [{"layer": layer, "n": 3, "cka": value, "cka_ci": None} for layer, value in values.items()]
        return make_measures(name=name, n=3, cka=cka)

    arms = [make("Init", Conv1=1.0, Logits=0.5), make("Other", Conv1=0.1, Logits=None), make_measures(name="None", n=3)]
    assert draw_layer_heat(arms, UNICODE, name_width=8, width=40) == [
        "            Conv1   Logits",
        "Init     ███ 1.00 ▒▒▒ 0.50",
        "Other        0.10        –",
    ]
    long = [make("Init", **{"layer1.residual": 1.0, "logits": 0.5})]
    assert draw_layer_heat(long, UNICODE, name_width=8, width=60) == [
        "          layer1.residual           logits",
        "Init     ███████████ 1.00 ▒▒▒▒▒▒▒▒▒▒▒ 0.50",
    ], "names are whole where there is room"
    narrow = draw_layer_heat(arms, ASCII, name_width=8, width=17)
    assert narrow[1:] == ["Init     ### 1.00", "Other        0.10", "1 more layers stand below"]
    assert draw_layer_heat(arms[2:], UNICODE, name_width=8, width=40) == []


def test_crossed_design_shows_shares_and_what_is_missing() -> None:
    lines = list_crossed([make_measures(name="Grid", crossed=GRID)], UNICODE, bar=4)
    assert lines[0] == "Grid: 10 init x 4 shuffle"
    assert lines[1] == "  accuracy          init         ━━──  50 %  variance 0.25 [0.1 0.4]"
    assert lines[3] == "  accuracy          interaction  ────     –  variance 0"
    assert lines[4:] == list(CROSSED_NOTES)
    both = list_crossed(
        [make_measures(name="Grid", crossed=GRID | {"true_accuracy": GRID["accuracy"]})], UNICODE, bar=4
    )
    assert both[4] == "  true accuracy     init         ━━──  50 %  variance 0.25 [0.1 0.4]"
    missing = GRID | {"reason": "3 of 40 runs of the grid are missing"}
    assert list_crossed([make_measures(name="Grid", crossed=missing)], UNICODE, bar=4)[1].strip() == missing["reason"]


@pytest.mark.parametrize("width", [50, 80, 120, 200])
@pytest.mark.parametrize("symbols", [UNICODE, ASCII])
def test_panels_fit_any_width(width: int, symbols: Any) -> None:
    layers = [{"layer": "[red]x", "n": 3, "cka": 0.98, "cka_ci": [0.97, 0.99]}]
    entries = [make_measures(name="A" * 70, cka=layers, crossed=GRID), onset(3, 2.0)]
    curves = [make_curves("B" * 70, accuracy=make_spread([0.1] * 500))]
    console = Console(width=width, file=io.StringIO(), color_system=None, highlight=False)
    panels = make_figure_panels("s", entries, curves, symbols, width=width)
    assert len(panels) == 4
    for panel in panels:
        console.print(panel)
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "[red]x" in text
    assert symbols is UNICODE or text.isascii()


def test_language_models_have_their_own_columns_and_published_rows() -> None:
    rows = make_rows([TEXT_ENTRY], reference="table2")
    assert rows[0] == [
        "Stochastic Operations", "6", "46.71", "0.33 ± 0.15", "29.20", "32.9 [27.6 38.1]", "-2.34 [-2.56 -2.12]",
    ]  # fmt: skip
    assert rows[1] == ["  published", "100", "75.49^", "0.19 ± 0.01", "–", "17.3 *", "-2.08 *"]
    console = Console(width=80, file=io.StringIO(), color_system=None)
    console.print(make_panel("lm", [TEXT_ENTRY], make_notes([TEXT_ENTRY]), width=80, reference="table2"))
    assert isinstance(console.file, io.StringIO)
    assert "PPL SD" in console.file.getvalue()
    for format_table in FORMATS.values():
        assert "46.71" in format_table("lm", [TEXT_ENTRY], "table2")


def test_diagnostics_tell_the_spreads_apart() -> None:
    found = {"sample_sd": 0.5, "sample_sd_ci": [0.4, 0.7], "test_set_sd": 0.46, "independent_sd": 0.4, "true_sd": 0.12,
             "true_sd_ci": [0.0, 0.3],
             "error": 5.0}  # fmt: skip
    numbers = {"cross_entropy": 1.5e7, "cross_entropy_relative": 1.3e6, "accuracy": 2.7e8, "accuracy_relative": 1.4e5}
    entry = make_measures(
        name="Bit", n=20, disagreement=3.4, condition_number=numbers,
        diagnostics=found | {"sd_ratio": 1.9},
    )  # fmt: skip
    console = Console(width=150, file=io.StringIO(), color_system=None)
    console.print(make_diagnostics_panel("s", [entry], width=150, reference="table3"))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for piece in (
        "0.50 [0.40 0.70]",
        "0.460",
        "0.400",
        "0.12 [0.00 0.30]",
        "5.00",
        "3.40",
        "1.90",
        "1.5e+07",
        "published",
        "1.8e+07",
    ):
        assert piece in text
    assert make_diagnostics_panel("s", [make_measures(name="x")]) is None
    assert r"0.12 [0.00 0.30] &" in format_diagnostics_latex("s", [entry])
    assert "| 0.460 |" in format_diagnostics_markdown([entry])


@pytest.mark.parametrize(
    ("ends", "texts"),
    [
        ((0.08, 0.12234), ("0.080", "0.122")),
        ((0.0754, 0.13), ("0.0754", "0.1300")),
        ((98.5, 100.0), ("98.5", "100.0")),
        ((0.1632456, 0.1632457), ("0.1632456", "0.1632457")),
        ((0.0, 0.0), ("0", "0")),
        ((1e-9, 2.5e-9), ("1e-09", "2.5e-09")),
    ],
)
def test_ends_of_a_range_have_as_many_decimals(ends: tuple[float, float], texts: tuple[str, str]) -> None:
    assert format_apart(*ends) == texts
