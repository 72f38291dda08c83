"""What small views show: an SD and the disagreement, or the numbers of a program of one's own."""

from __future__ import annotations

from typing import Any

from engine.study.metrics_record import ArmMeasures
from tests.helpers.measures import make_measures
from tui.text.few_measures import add_unit, explain_numbers, pick_measures
from tui.text.verdict import make_verdicts


def make_arm(name: str, sd: float | None) -> ArmMeasures:
    ends = None if sd is None else [0.8 * sd, 1.3 * sd]
    score: dict[str, Any] = {"n": 8, "mean": 90.0, "mean_ci": [89.0, 91.0], "sd": sd, "sd_error": 0.1, "sd_ci": ends}
    scores = dict.fromkeys(("bleu", "loss", "time"), score)
    return make_measures(name=name, vary=["init"], kind="scores", n=8, planned=8, scores=scores)


def test_numbers_of_a_program_stand_in_for_what_cannot_be_measured() -> None:
    drawn, others = pick_measures([make_arm("a", 1.0), make_arm("b", 2.0)])
    assert [measure.key for measure in drawn] == ["scores.bleu.sd", "scores.loss.sd"]
    assert [measure.key for measure in others] == [
        "scores.bleu.mean", "scores.loss.mean", "scores.time.mean", "scores.time.sd",
    ]  # fmt: skip


def test_spread_and_disagreement_are_drawn_of_all_others() -> None:
    for text, spread in ((False, "accuracy_sd"), (True, "perplexity_sd")):
        drawn, others = pick_measures([make_measures(name="a", n=8, text=text)])
        assert [measure.key for measure in drawn] == [spread, "disagreement"]
        assert others
        assert not {measure.key for measure in others} & {spread, "disagreement"}
    assert [measure.key for measure in pick_measures([])[0]] == ["accuracy_sd", "disagreement"]


def test_spreads_of_numbers_are_told_apart_as_those_of_accuracies_are() -> None:
    metrics = {arm.name: arm for arm in (make_arm("a", 1.0), make_arm("b", 1.1), make_arm("c", 30.0))}
    said = make_verdicts(list(metrics), metrics, 0)[0]
    assert "a cannot be told apart from ▲ b yet: ratio of bleu SDs 0.91 [" in said
    assert "told apart from ■ c" in said


def test_what_numbers_cannot_show_is_not_promised_by_more_replicas() -> None:
    arms = [make_arm("a", 1.0), make_arm("b", 2.0)]
    said = explain_numbers(arms, "curves")
    assert said is not None
    assert "no curves" in said
    assert explain_numbers([make_measures(name="a", n=2)], "curves") is None


def test_unit_that_a_title_has_is_not_said_again() -> None:
    assert add_unit("bleu SD", "SD") == "bleu SD"
    assert add_unit("accuracy SD", "%") == "accuracy SD, %"
