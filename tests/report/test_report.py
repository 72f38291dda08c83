"""Figures and Parquet out of a study's files: every format, names that are markup elsewhere, equal bytes again."""

from __future__ import annotations

import io
import math
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from msgspec import structs
from pyarrow import parquet as pq

from engine.catalog.arm_marks import find_colour
from engine.errors import StudyError
from engine.report import __main__ as command
from engine.report.figures import draw_figures, draw_instability, draw_similarity
from engine.report.parquet import convert_tables
from engine.report.power import choose_unit, draw_plan, draw_power
from engine.study.comparison_record import PowerPlan
from engine.study.curves_record import StudyCurves
from engine.study.files import make_folder
from engine.study.measured import encode_measured, read_measured
from engine.study.metrics_record import ArmMeasures, StudyMeasures, write_metrics
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from tests.helpers.measures import make_curves, make_measures, make_spread

HOSTILE = "_cost $x^2 & <b>"


def make_arms() -> list[ArmMeasures]:
    layers = [{"layer": name, "n": 3, "cka": 0.9, "cka_ci": [0.8, 1.0]} for name in ("Conv1", "Logits")]
    layers.append({"layer": "odd", "n": 0, "cka": None, "cka_ci": None})
    part = {"variance": 0.1, "ci": [0.0, 0.2], "share": 0.5}
    grid: dict[str, Any] = {"sources": ["init", "shuffle"], "levels": [3, 3]}
    grid |= {name: {"first": part, "second": part, "interaction": part} for name in ("accuracy", "logits")}
    figures = {"disagreement": 3.0, "disagreement_ci": [2.0, 4.0], "accuracy_sd": 0.5, "accuracy_sd_error": 0.1,
               "ensemble_delta": 0.3, "ensemble_delta_ci": None}  # fmt: skip
    onsets = [make_measures(name=f"Shuffle, onset {onset}", onset=onset, **figures) for onset in (0, 5, 1)]
    return [make_measures(name=HOSTILE, cka=layers, crossed=grid, **figures), *onsets]


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    paths = StudyPaths(tmp_path / "study")
    make_folder(paths.folder)
    write_metrics(paths.metrics, StudyMeasures(study="study", arms=tuple(make_arms())))
    spread = make_spread([1.0, 2.0, None], n=[3, 3, 0])
    curves = make_curves(HOSTILE, accuracy=spread, test_cross_entropy=spread, runs=("a", "b", "c"), diverged=(3,) * 3)
    write_record(paths.curves, StudyCurves(study="study", arms=(curves,)))
    return paths


MAGIC = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}
NAMES = ("figure1-cka", "figure2-onset", "figure3-instability", "figure3-accuracy", "crossed")


@pytest.mark.slow
def test_every_figure_is_drawn_in_every_format_and_the_same_again(paths: StudyPaths, tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        written = draw_figures(read_measured(paths), folder)
        assert {path.name for path in written} == {f"{stem}{kind}" for stem in NAMES for kind in MAGIC}
        assert all(path.read_bytes().startswith(MAGIC[path.suffix]) for path in written)
        contents.append([path.read_bytes() for path in written])
    assert contents[0] == contents[1]
    text = (tmp_path / "one" / "figure1-cka.svg").read_text()
    assert "Conv1" in text
    assert "mathdefault" not in (tmp_path / "one" / "figure3-instability.svg").read_text()


def test_bars_of_nine_arms_differ() -> None:
    layers = [{"layer": "Conv1", "n": 3, "cka": 0.9, "cka_ci": [0.8, 1.0]}]
    figure = draw_similarity([make_measures(name=f"arm {number}", cka=layers) for number in range(9)])
    assert figure is not None
    bars = [bar for bar in figure.axes[0].patches if isinstance(bar, Rectangle)]
    assert len({(bar.get_facecolor(), bar.get_hatch()) for bar in bars}) == len(bars) == 9


def test_instability_has_every_spread_on_its_axis() -> None:
    """A spread of 1e-8 beside one of 0.05 and one of 0: all three are lines on the picture, to the last epoch."""
    curves = [
        make_curves(name, test_cross_entropy=make_spread(sd), accuracy=make_spread([0.0] * 3))
        for name, sd in {"linear": [0.0, 1e-8, 2e-8], "deep": [1e-4, 1e-2, 0.05], "still": [0.0] * 3}.items()
    ]
    (figure,) = draw_instability(curves).values()
    assert figure is not None, "accuracy does not spread, and has no picture"
    right = figure.axes[1]
    assert right.get_yscale() == "log"
    low, high = right.get_ylim()
    assert 0 < low < 1e-8
    assert high > 0.05
    assert right.get_xlim() == (1, 3)
    on_axis = [line for line in right.lines if line.get_linestyle() == "-"]
    sizes = [[float(value) for value in np.asarray(line.get_ydata())] for line in on_axis]
    assert [2e-8 in row and math.isnan(row[0]) for row in sizes] == [True, False, False, False, False]
    edge = [line for line in on_axis if line.get_transform() == right.get_xaxis_transform()]
    assert {str(line.get_color()) for line in edge} == {find_colour(0), find_colour(2)}, (
        "an SD of 0 lies on the lower edge"
    )
    assert [text.get_text() for text in figure.texts] == ["on the lower edge: an SD of 0"]


@pytest.mark.parametrize("spread", [[0.011, 0.0092, 0.0068], [0.5, 0.6, 0.55], [0.001, 0.02, 0.04], [1e-8, 1e-3, 1.0]])
def test_ticks_of_the_log_axis_are_told_apart(spread: list[float]) -> None:
    figure = draw_instability([make_curves("a", test_cross_entropy=make_spread(spread))])["figure3-instability"]
    assert figure is not None
    figure.draw_without_rendering()
    axes = figure.axes[1]
    labels = [label for label in axes.get_yticklabels(which="both") if label.get_text()]
    boxes = sorted((label.get_window_extent() for label in labels), key=lambda box: box.y0)
    inside = [box for box in boxes if axes.bbox.y0 <= (box.y0 + box.y1) / 2 <= axes.bbox.y1]
    assert len(inside) >= 2
    assert all(below.y1 <= above.y0 for below, above in pairwise(inside))


def test_study_without_measures_has_no_figures(tmp_path: Path) -> None:
    paths = StudyPaths(tmp_path)
    write_metrics(paths.metrics, StudyMeasures(study="s", arms=(make_measures(name="a"),)))
    write_record(paths.curves, StudyCurves(study="s", arms=(make_curves("a"),)))
    assert draw_figures(read_measured(paths), tmp_path) == []


def test_parquet_holds_what_the_csv_holds(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text('source,n,sd\n"a, [b]",3,0.125\n"",4,\n')
    (written,) = convert_tables(tmp_path)
    rows = pq.read_table(written).to_pylist()
    assert rows == [{"source": "a, [b]", "n": 3, "sd": 0.125}, {"source": "", "n": 4, "sd": None}]
    assert math.isclose(rows[0]["sd"], 0.125)


def test_folder_that_cannot_be_written_is_named(paths: StudyPaths, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StudyError, match="cannot be written"):
        draw_figures(read_measured(paths), blocked)


@pytest.mark.slow
def test_command_prints_what_it_wrote(
    paths: StudyPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["export", str(tmp_path)])
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(encode_measured(read_measured(paths)))))
    assert command.main() == 0
    assert len(capsys.readouterr().out.split()) == 15
    monkeypatch.setattr("sys.argv", ["export"])
    assert command.main() == 2


PLAN = PowerPlan(
    measure="accuracy", margin=0.2, power=0.8, n=(7, 7), paired=True, sd=0.1, sd_upper=0.2, replicas=11,
    replicas_equal=13, replicas_width=7, curve=((2, 0.1), (5, 0.4), (10, 0.8), (20, 0.99)), seconds=(300.0, 420.0),
)  # fmt: skip


@pytest.mark.slow
def test_plan_is_drawn_with_its_cost(tmp_path: Path) -> None:
    figure = draw_power(PLAN)
    below, above = figure.axes
    assert [label.get_text() for label in below.get_xticklabels()] == ["2", "5", "10", "20"]
    assert [label.get_text() for label in above.get_xticklabels()] == ["0.4", "1", "2", "4"]
    assert above.get_xlabel() == "hours of training, both arms, one by one"
    assert below.get_ylabel() == "power to find 0.2 % points"
    assert len(draw_power(structs.replace(PLAN, seconds=())).axes) == 1, "nobody knows what they cost"
    first, second = tmp_path / "one", tmp_path / "two"
    for folder in (first, second):
        folder.mkdir()
        assert [path.name for path in draw_plan(PLAN, folder)] == ["plan.png", "plan.svg", "plan.pdf"]
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in ("plan.png", "plan.svg"))


@pytest.mark.parametrize(
    ("longest_s", "unit"), [(7200.0, "hours"), (7199.0, "minutes"), (119.0, "seconds"), (0.1, "seconds")]
)
def test_cost_is_in_a_unit_that_can_be_read(longest_s: float, unit: str) -> None:
    assert choose_unit(longest_s)[0] == unit
