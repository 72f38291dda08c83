"""One figure in a sentence: everything that is known of it, and a reason where there is none."""

from __future__ import annotations

from engine.catalog.measures import MEASURES
from engine.catalog.published import find_rows
from tests.helpers.measures import make_measures
from tui.text.format import ASCII
from tui.text.readout import describe_arm, describe_figure

SD = next(measure for measure in MEASURES["images"] if measure.key == "accuracy_sd")


def test_figure_is_said_with_error_interval_and_replicas() -> None:
    arm = make_measures(
        name="All", n=12, accuracy_sd=0.5, accuracy_sd_error=0.05, accuracy_sd_ci=[0.39, 0.75], bootstrap=2000
    )
    said = describe_figure(arm, SD)
    assert said == f"All, {SD.title}: 0.500 %; ± 0.050 over 2,000 resamples; 95 % [0.39 0.75]; 12 replicas"
    assert describe_figure(arm, SD, ASCII) == said.replace("±", "+-")


def test_figure_without_a_value_has_its_reason() -> None:
    assert describe_figure(make_measures(name="One", n=1), SD) == f"One, {SD.title}: there is none"
    told = make_measures(name="One", n=1, reasons={"accuracy_sd": "one replica\x1b[31m"})
    assert describe_figure(told, SD) == f"One, {SD.title}: one replica\\x1b[31m"
    none = make_measures(name="One", n=0, planned=2, reasons={"accuracy_sd": "labels.npy is missing"})
    assert describe_figure(none, SD) == f"One, {SD.title}: no replica has finished"
    equal = make_measures(name="Control", n=3, accuracy_sd=0.0, accuracy_sd_ci=[0.0, 0.0])
    assert "95 % without width: replicas are alike" in describe_figure(equal, SD)


def test_published_value_is_said_to_be_near_or_far() -> None:
    name = "Parameter Initialization"
    [row, *_] = find_rows("table1", name)
    value = row.figures["accuracy_sd"]
    assert isinstance(value, float)

    def say(measured: float) -> str:
        arm = make_measures(
            name=name, n=100, accuracy_sd=measured, accuracy_sd_error=measured / 15,
            accuracy_sd_ci=[0.88 * measured, 1.16 * measured],
        )  # fmt: skip
        return describe_figure(arm, SD, reference="table1")

    assert f"{row.kind} {value:g}" in say(value)
    assert "within the errors of both" in say(value)
    assert "farther away than both errors explain" in say(5 * value)
    assert row.kind not in describe_figure(make_measures(name="Mine", n=3, accuracy_sd=1.0), SD, reference="table1")


def test_arm_is_said_with_what_varies_and_how_many_replicas_there_are() -> None:
    arm = make_measures(name="All", vary=["init", "bit"], n=2, planned=5, accuracy_mean=97.126)
    [said, *_] = describe_arm(arm)
    assert said == "All: init, bit varies; 2 of 5 replicas; mean accuracy 97.13 %"
    assert describe_arm(make_measures(name="Control", vary=[], n=3))[0] == "Control: nothing varies; 3 replicas"
