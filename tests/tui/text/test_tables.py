"""The table and the reports: golden text, names that are markup elsewhere, notes that tell what is missing."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from engine.catalog.measures import MEASURES
from engine.study.metrics_record import ArmMeasures, spread_arm
from tests.helpers.measures import make_measures
from tui.text.format import ASCII, UNICODE, format_ends, format_interval
from tui.text.report import FORMATS, escape_latex, escape_markdown
from tui.text.tables import make_notes, make_panel, make_rows, note_sharing

HOSTILE = "[red]a|b&c_d\\[/red]\x1b[31m"


def entry(**changes: Any) -> ArmMeasures:
    fields: dict[str, Any] = {
        "name": "Parameter Initialization", "vary": ["init"], "planned": 12, "finished": 12, "diverged": 0,
        "damaged": 0, "n": 12, "accuracy_mean": 94.321, "accuracy_mean_ci": [93.98, 94.67], "accuracy_sd": 0.5183,
        "accuracy_sd_error": 0.0712, "accuracy_sd_ci": [0.36, 0.96], "cross_entropy_mean_ci": [0.28, 0.34],
        "cross_entropy_mean": 0.31, "cross_entropy_sd": 0.0421, "cross_entropy_sd_error": 0.0053,
        "cross_entropy_sd_ci": [0.029, 0.078], "disagreement": 3.4012, "disagreement_ci": [2.94, 3.85],
        "correlation": 0.7594,
        "correlation_ci": [0.741, 0.778], "ensemble_delta": 0.61, "ensemble_delta_ci": [0.4, 0.82],
        "ensemble_cross_entropy_delta": -0.05, "pearson": 0.8, "identical_weights": False,
        "reasons": {},
    }  # fmt: skip
    return make_measures(**(fields | changes))


def control(**changes: Any) -> ArmMeasures:
    zeros = dict.fromkeys(
        (
            "accuracy_sd",
            "accuracy_sd_error",
            "cross_entropy_sd",
            "cross_entropy_sd_error",
            "disagreement",
            "ensemble_delta",
        ),
        0.0,
    )
    intervals = {"disagreement_ci": [0.0, 0.0], "correlation_ci": [1.0, 1.0], "ensemble_delta_ci": [0.0, 0.0],
                 "accuracy_mean_ci": [94.321, 94.321], "accuracy_sd_ci": [0.0, 0.0],
                 "cross_entropy_sd_ci": [0.0, 0.0]}  # fmt: skip
    own = {"name": "Control", "vary": [], "n": 3, "planned": 3, "correlation": 1.0, "identical_weights": True}
    return entry(**(zeros | intervals | own | changes))


def draw(entries: list[ArmMeasures], *, width: int = 120, symbols: Any = UNICODE) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None, highlight=False)
    console.print(make_panel("quickstart", entries, make_notes(entries), symbols, width=width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_panel_at_120_columns() -> None:
    text = draw([control(), entry()])
    assert all(len(line) == 120 for line in text.splitlines())
    for piece in ("0.518 ± 0.071", "0.0421 ± 0.0053", "3.40 [2.94 3.85]", "0.759 [0.741 0.778]", "0.61 [0.40 0.82]"):
        assert piece in text
    row = next(line for line in text.splitlines() if "Control" in line and "identical" not in line)
    assert row.replace("│", " ").split() == ["Control", "3", "94.32", "0", "0", "0", "1", "0"]
    assert "Control: 3 replicas with identical weights: what does not vary is held" in text


@pytest.mark.parametrize("width", [40, 60, 80, 100, 150, 200])
@pytest.mark.parametrize("symbols", [UNICODE, ASCII])
def test_panel_fits_any_width_and_loses_no_number(width: int, symbols: Any) -> None:
    text = draw([entry(), control()], width=width, symbols=symbols)
    assert max(map(len, text.splitlines())) <= width
    for number in ("0.518", "0.071", "0.0421", "0.0053", "3.40", "2.94", "3.85", "0.759", ".741", "0.61", ".82"):
        assert number in text
    assert symbols is UNICODE or text.isascii()


def test_control_that_differs_is_shouted() -> None:
    notes = make_notes([control(identical_weights=False)])
    assert "DIFFERENT weights: something" in notes[0]
    (note,) = make_notes([control(identical_weights=False, parting={"replicas": [1, 3], "epoch": 4})])
    assert "DIFFERENT weights, replicas 1 and 3 differ from epoch 4 on: something" in note


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"identical_weights": True}, ["IDENTICAL weights: what varies changes nothing"]),
        ({"identical_weights": None, "identical_predictions": True}, ["IDENTICAL predictions: what varies changes"]),
        ({"identical_weights": False}, []),
        ({"identical_weights": True, "ensemble_size": 2}, []),
    ],
)
def test_source_that_changes_nothing_is_told(changes: dict[str, Any], said: list[str]) -> None:
    """A model that seeds itself makes equal replicas, whose zeros would read as an effect of 0."""
    notes = make_notes([control(name="Init", vary=["init"], **changes)])
    assert len(notes) == len(said)
    assert all(piece in note for piece, note in zip(said, notes, strict=True))


def test_source_that_is_known_to_be_empty_is_told_once() -> None:
    notes = make_notes([control(name="Init", vary=["augment"])], {"Init": {"augment": "digits has no augmentation"}})
    assert notes == ["Init: digits has no augmentation"]


def test_missing_values_are_dashes_with_their_reason() -> None:
    reasons = {"correlation": "undefined: all logits of replica 2 are equal"}
    one = entry(n=5, correlation=None, correlation_ci=None, reasons=reasons)
    row = make_rows([one])[0]
    assert row[1] == "5 of 12"
    assert row[6] == "–"
    assert make_notes([one]) == [f"{one.name}: {reasons['correlation']}"]


def test_lost_and_diverged_replicas_are_notes() -> None:
    reasons = {"damaged": "run abc: predictions.npy is missing", "diverged": "diverged: def; 1 of them left out"}
    notes = make_notes(
        [entry(reasons=reasons)], {"Parameter Initialization": {"augment": "digits has no augmentation"}}
    )
    assert [note.partition(": ")[2] for note in notes] == [*reasons.values(), "digits has no augmentation"]


def test_hostile_names_are_harmless_text() -> None:
    text = draw([entry(name=HOSTILE)])
    assert "\x1b" not in text
    assert "[red]a|b&c" in text.replace("\n", "")


MARKUP = {
    "[3.29 4.44]": "[3.29 4.44]",
    "[-1.4e-09 12.2]": "[-1.4e-09 12.2]",
    "[1](http://evil)": r"\[1\](http://evil)",
    "[1][2]": r"\[1\]\[2\]",
    "[1]: x": r"\[1\]: x",
    "[x] <b> `c` &lt; ~~d~~": r"\[x\] \<b\> \`c\` \&lt; \~\~d\~\~",
    "\\": "\\\\",
}


@pytest.mark.parametrize("text", MARKUP)
def test_markdown_escapes_markup_and_leaves_intervals_legible(text: str) -> None:
    assert escape_markdown(text) == MARKUP[text]


def test_markdown() -> None:
    text = FORMATS["markdown"]("s", [control(), entry(name="a|b*c")], None)
    lines = text.splitlines()
    assert lines[0].startswith("| source | n | accuracy (%) | accuracy SD (%) |")
    assert lines[2] == "| Control | 3 | 94.32 | 0 | 0 | 0 | 1 | 0 |"
    assert lines[3].startswith(
        r"| a\|b\*c | 12 | 94.32 [93.98 94.67] | 0.518 ± 0.071 [0.36 0.96] "
        r"| 0.0421 ± 0.0053 [0.029 0.078] | 3.40 [2.94 3.85] |"
    )
    assert lines[-1].startswith("- Control: 3 replicas")


def test_latex() -> None:
    text = FORMATS["latex"]("a_b", [entry(name=HOSTILE)], None)
    assert r"\begin{tabular}{lrrrrrrr}" in text
    assert r"0.518 $\pm$ 0.071" in text
    assert r"[red]a|b\&c\_d\textbackslash{}\textbackslash{}" not in text
    assert r"[red]a|b\&c\_d\textbackslash{}[/red]" in text
    assert text.isascii()
    assert text.count(r"\\") == 2
    assert r"\toprule" in text


@given(st.text())
def test_escaped_text_holds_nothing_that_acts(text: str) -> None:
    escaped = escape_latex(text)
    for command in (r"\textbackslash{}", r"\&", r"\%", r"\$", r"\#", r"\_", r"\{", r"\}", r"\textasciitilde{}",
                    r"\textasciicircum{}", r"$\pm$", r"$\Delta$", r"$\surd$"):  # fmt: skip
        escaped = escaped.replace(command, "")
    assert not set(escaped) & set("\\&%$#_{}~^")
    assert escape_markdown(text).replace("\\", "") == text.replace("\\", "")


def test_csv_keeps_every_number_in_full() -> None:
    rows = list(
        csv.DictReader(
            io.StringIO(FORMATS["csv"]("s", [entry(), entry(name="x", correlation=None, correlation_ci=None)], None))
        )
    )
    assert rows[0]["disagreement"] == "3.4012"
    assert (rows[0]["disagreement_ci_low"], rows[0]["disagreement_ci_high"]) == ("2.94", "3.85")
    assert (rows[1]["correlation"], rows[1]["correlation_ci_low"]) == ("", "")
    assert rows[0]["vary"] == "init"
    fields = {field for group in MEASURES.values() for measure in group for field in measure.fields}
    others = {"study", "source", "kind", "vary", "n", "planned", "diverged", "damaged", "unisolated"}
    assert {name.removesuffix("_low").removesuffix("_high") for name in rows[0]} == fields | others


def test_json_is_the_contract() -> None:
    content = json.loads(FORMATS["json"]("s", [entry()], None))
    assert content == {"v": 1, "study": "s", "arms": [json.loads(json.dumps(spread_arm(entry())))]}
    (arm,) = content["arms"]
    assert (arm["accuracy_sd"], arm["accuracy_sd_error"], arm["disagreement_ci"]) == (0.5183, 0.0712, [2.94, 3.85])
    assert "perplexity_sd" not in arm


def test_published_rows_stand_below_the_arms_of_their_names() -> None:
    rows = make_rows([control(), entry(), entry(name="Weather")], reference="table1")
    assert [row[0].strip() for row in rows] == [
        "Control", "replicated", "Parameter Initialization", "published", "replicated", "Weather",
    ]  # fmt: skip
    published = rows[3]
    assert published[1:3] == ["100", "90.0^"], "one published network's, which is no mean"
    # 0.22 ± 0.02 against 0.518 ± 0.071, 10.7 against [2.94 3.85]: outside; 0.872 against [0.741 0.778] too.
    assert published[3:] == ["0.22 ± 0.02 *", "0.008 ± 0.0005 *", "10.7 *", "0.872 *", "1.82 *"]


def test_published_value_inside_the_measured_interval_has_no_mark() -> None:
    near = entry(accuracy_sd=0.23, accuracy_sd_ci=[0.16, 0.43], disagreement=10.6, disagreement_ci=[10.4, 10.8])
    published = make_rows([near], reference="table1")[1]
    assert (published[3], published[5]) == ("0.22 ± 0.02", "10.7")
    missing = entry(disagreement=None, disagreement_ci=None, accuracy_sd_ci=None)
    assert make_rows([missing], reference="table1")[1][3] == "0.22 ± 0.02"


def test_marks_are_explained_and_only_where_there_are_any() -> None:
    for name in ("markdown", "latex"):
        assert "farther from the measured value" in FORMATS[name]("s", [entry()], "table1").replace("\\", "")
        assert "of one published network" in FORMATS[name]("s", [entry()], "table1")
        assert "farther" not in FORMATS[name]("s", [entry()], None)


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_panel_with_published_rows_fits(width: int) -> None:
    console = Console(width=width, file=io.StringIO(), color_system=None, highlight=False)
    console.print(make_panel("s", [entry(), control()], [], UNICODE, width=width, reference="table1"))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "10.7 *" in text
    assert "* farther from the" in text


@pytest.mark.parametrize(("width", "beside"), [(50, True), (80, False), (120, False), (160, True)])
def test_intervals_of_means_and_sds_stand_beside_or_below(width: int, beside: bool) -> None:
    text = " ".join(draw([entry(), control()], width=width).replace("│", "").split())
    assert ("± 0.071 [0.36 0.96]" in text) == beside
    assert ("95 % of accuracy SD, %: Parameter Initialization [0.36 0.96]" in text) != beside
    assert "[93.98 94.67]" in text
    assert "Control [" not in text, "an arm without any spread has no interval to show"


def test_csv_tells_measured_from_published() -> None:
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"]("s", [entry()], "table1"))))
    assert [(row["kind"], row["n"], row["disagreement"]) for row in rows] == [
        ("measured", "12", "3.4012"), ("published", "100", "10.7"), ("baseline", "1", ""),
        ("replicated", "100", "10.7"),
    ]  # fmt: skip
    baseline = rows[2]
    assert (baseline["accuracy_mean"], baseline["cross_entropy_mean"]) == ("90.0", "0.3519")


def test_value_far_nearer_to_one_end_keeps_its_digits() -> None:
    """Intervals of SDs over few replicas reach much farther up than down."""
    assert format_interval(0.61, (0.32, 3.86), 3) == "0.61 [0.32 3.86]"
    assert format_ends(0.61, (0.32, 3.86)) == "[0.32 3.86]"
    assert format_ends(1.0, (1.0, 1.0)) == ""
    assert format_ends(2e-9, (1e-9, 9e-9)) == "[1.0e-09 9.0e-09]"


def test_note_of_several_arms_is_said_once() -> None:
    reasons = {"independent_sd": "one class only"}
    arms = [entry(name="A", reasons=reasons), entry(name="B"), entry(name="C", reasons=reasons)]
    assert make_notes(arms, {"B": {"shuffle": "full batches"}, "C": {"shuffle": "full batches"}}) == [
        "A, C: one class only",
        "B, C: full batches",
    ]


def test_shared_runs_are_explained_where_there_are_any() -> None:
    arms = [entry(name="A", planned=12), entry(name="B", planned=3)]
    assert note_sharing(arms, 14) == ["15 replicas are 14 runs: arms share those that are the same"]
    assert note_sharing(arms, 15) == []


def test_number_that_some_replicas_left_out_is_told() -> None:
    """A mean over four of six replicas stands in a row of six, beside one over all."""
    score = {"n": 4, "mean": 0.5, "mean_ci": [0.4, 0.6], "sd": 0.05, "sd_error": 0.01, "sd_ci": [0.03, 0.2]}
    arm = make_measures(name="a", n=6, kind="scores", scores={"f1": score, "auc": score | {"n": 6}})
    assert make_notes([arm])[-1] == "a: f1 is of 4 of the 6 replicas: the others did not leave it"


def test_scores_are_columns_and_stand_alone_where_nothing_else_is_known() -> None:
    score = {"n": 3, "mean": 0.5, "mean_ci": [0.4, 0.6], "sd": 0.05, "sd_error": 0.01, "sd_ci": [0.03, 0.2]}
    (row,) = make_rows([make_measures(name="a", n=3, kind="scores", scores={"f1": score})], wide=True)
    assert row == ["a", "3", "0.50 [0.40 0.60]", "0.050 ± 0.010 [0.030 0.200]"]
    beside = FORMATS["markdown"]("study", [entry(scores={"f1": score})], None)
    assert beside.splitlines()[0].startswith("| source | n | accuracy (%) |")
    assert beside.splitlines()[0].endswith("| f1 (mean) | f1 SD (SD) |")
