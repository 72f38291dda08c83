"""What a study says in sentences: in every state of its arms, and never more than intervals bear."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from engine.recipe import NO_SEEDS, CommandRecipe, DataRecipe, ModelRecipe, Recipe, TrainRecipe
from engine.study.decision_record import CompareSettings, DecisionRecord
from engine.study.metrics_record import ArmMeasures
from tests.helpers.measures import make_measures
from tests.helpers.studies import HOSTILE
from tui.text.answers.decided import answer_decision
from tui.text.answers.listing import list_answers
from tui.text.answers.sentences import Answer, ArmName, Found, brief, show_estimate
from tui.text.recipes import describe_differences
from tui.text.tables import make_notes

RECIPE = Recipe(
    data=DataRecipe(preset="digits"), model=ModelRecipe(preset="resnet6"), train=TrainRecipe(epochs=12, batch_size=50),
    seeds=NO_SEEDS, lowlevel="deterministic", device="cpu",
)  # fmt: skip


def arm(name: str, vary: list[str], value: float = 3.0, reach: float = 0.4, **others: Any) -> ArmMeasures:
    """An arm of twelve replicas whose disagreement has this value and interval."""
    fields: dict[str, Any] = {
        "n": 12, "disagreement": value, "disagreement_ci": [value - reach, value + reach], "accuracy_mean": 96.0,
        "accuracy_mean_ci": [95.5, 96.5], "accuracy_sd": 0.6, "accuracy_sd_ci": [0.42, 1.1], "ensemble_delta": 0.5,
        "ensemble_delta_ci": [0.2, 0.8],
        "diagnostics": {"sample_sd": 0.63, "true_sd": 0.4, "true_sd_ci": [0.0, 0.9], "sd_ratio": 2.33},
    }  # fmt: skip
    return make_measures(name=name, vary=vary, **(fields | others))


CONTROL = make_measures(
    name="Control", vary=[], n=3, identical_weights=True, disagreement=0.0, disagreement_ci=[0.0, 0.0], accuracy_sd=0.0,
    accuracy_sd_ci=[0.0, 0.0], ensemble_delta=0.0, ensemble_delta_ci=[0.0, 0.0],
    diagnostics={"sample_sd": 0.0, "true_sd": 0.0, "true_sd_ci": [0.0, 0.0]},
)  # fmt: skip


def say(*arms: ArmMeasures, **others: Any) -> list[Answer]:
    return list_answers(Found(arms, **others))


def find(answers: list[Answer], words: str) -> Answer:
    found = [answer for answer in answers if words in answer.text]
    assert len(found) == 1, [answer.text for answer in answers]
    return found[0]


def test_first_sentence_compares_one_bit_with_initialisation() -> None:
    bit = arm("Random Bit Change", ["bit"], 2.87, disagreement_ci=[2.44, 3.37])
    init = arm("Parameter Initialization", ["init"], 3.86, disagreement_ci=[3.33, 4.48])
    first = say(CONTROL, init, arm("Data shuffling", ["shuffle"], 4.5), bit)[0]
    wanted = "Random Bit Change changes 2.9 % of predictions, Parameter Initialization 3.9 %: ratio 0.74 [0.60 0.91]"
    assert first.text == wanted
    assert [part for part in first.parts if isinstance(part, ArmName)] == [bit.name, init.name]
    assert "95 %" in first.because
    assert (first.page, first.measure, first.arms) == ("intervals", "disagreement", (bit.name, init.name))


def test_arms_that_are_chosen_for_their_figures_are_said_to_be() -> None:
    arms = [arm(source, [source], value) for source, value in (("init", 3.0), ("shuffle", 2.0), ("augment", 4.0))]
    first = say(*arms)[0]
    assert first.text.startswith("shuffle changes 2 % of predictions, augment 4 %")
    assert "chosen after looking" in first.because
    assert "probability" not in first.because, "the chance of a pair does not hold for the farthest of three"


def test_arms_are_told_apart_after_a_correction_alone() -> None:
    """One pair of three lies apart at 5 % by itself; three comparisons at once explain it."""
    alike = [arm("a", ["init"], 3.0, 0.5), arm("b", ["shuffle"], 3.1, 0.5), arm("c", ["bit"], 3.75, 0.5)]
    assert "Equal arms are this far apart with a probability of 0.03" in say(alike[0], alike[2])[0].because
    said = find(say(*alike), "By disagreement")
    assert said.text == "By disagreement, no two of a, b and c can be told apart when all 3 pairs are judged at once"
    assert "3 comparisons" in said.because
    assert "need not be alike" in said.because
    apart = [*alike[:2], arm("c", ["bit"], 9.0, 0.5)]
    said = find(say(*apart), "By disagreement")
    assert said.text.startswith("By disagreement, 2 of 3 pairs of arms can be told apart: b below c (ratio 0.34)")
    assert said.text.endswith("; 1 cannot")


def test_arms_that_are_not_compared_yet_are_not_among_those_that_cannot_be_told_apart() -> None:
    """While a study is trained, some arms have too few replicas for an interval."""
    early = [arm(name, [name], disagreement_ci=None, accuracy_sd_ci=None, n=2) for name in ("bit", "augment")]
    three = [arm(name, [name]) for name in ("init", "shuffle", "stochastic")]
    for said in (find(say(*early, *three), f"By {title}") for title in ("disagreement", "accuracy SD")):
        assert "no two of init, shuffle and stochastic can" in said.text
        assert said.arms == ("init", "shuffle", "stochastic")


def test_that_sds_are_not_told_apart_says_what_could_have_been() -> None:
    said = find(say(*(arm(name, [name]) for name in ("init", "shuffle", "bit"))), "By accuracy SD")
    assert "no two of" in said.text
    assert "With 12 replicas an F test of normal figures finds a factor of 2.3" in said.because


def test_arms_of_the_same_runs_are_not_compared() -> None:
    twins = [arm(name, ["init"], runs_used=["r1", "r2"]) for name in ("a", "b", "c")]
    assert not [one for one in say(*twins) if one.text.startswith("By ")]


def test_scatter_that_the_test_set_explains_is_told_from_what_it_does_not() -> None:
    real = {"sample_sd": 0.7, "true_sd": 0.6, "true_sd_ci": [0.32, 1.17], "sd_ratio": 2.33}
    said = find(say(arm("a", ["init"]), arm("b", ["bit"], diagnostics=real)), "test set's size")
    assert said.text.startswith("In 1 of 2 arms, the accuracy SD cannot be told from")
    assert said.text.endswith("b truly scatters by 0.6 % [0.32 1.2]")


def test_broken_control_comes_first_and_an_exact_one_below_what_was_found() -> None:
    exact = say(CONTROL, arm("a", ["init"]))
    assert find(exact, "exact to the bit").weight == "note"
    assert exact[0].weight == "finding"
    broken = say(make_measures(name="Control", vary=[], n=3, identical_weights=False), arm("a", ["init"]))
    assert broken[0].text == "Control is NOT exact: replicas without any source have different weights"
    assert "Do not trust" in broken[0].because
    since = {"replicas": [2, 3], "epoch": 0}
    broken = say(make_measures(name="Control", vary=[], n=3, identical_weights=False, parting=since))
    assert broken[0].text.endswith("have different weights: replicas 2 and 3 differ before the first step")
    assert find(say(arm("a", ["init"])), "There is no control").weight == "note"


def test_program_that_does_not_repeat_itself_is_told_before_all_else() -> None:
    same = make_measures(name="Same", vary=[], n=3, identical_predictions=True)
    assert find(say(same, arm("a", ["init"])), "3 replicas have identical predictions").weight == "note"
    floor = "not repeatable: two runs disagree on 3 %"
    told = say(arm("a", ["init"], identical_predictions=False, reasons={"floor": floor}))
    assert (told[0].weight, told[0].because) == ("warning", floor)
    other = make_measures(name="Other", vary=[], n=3, identical_predictions=False)
    assert say(other, arm("a", ["init"]))[0].weight == "warning"
    assert not [one for one in say(arm("a", ["unknown"], identical_predictions=False)) if "control" in one.text]


def test_arms_of_a_program_differ_by_their_arguments() -> None:
    one, other = (
        replace(RECIPE, command=CommandRecipe(words=("x", "{arm.lr}"), arguments=(("lr", rate),)))
        for rate in (0.1, 0.3)
    )
    assert describe_differences(one, other) == ["arguments.lr 0.1 and 0.3"]


def test_studies_without_a_spread_say_so() -> None:
    nothing = ["No replica has finished: nothing can be said of a spread yet"]
    assert [one.text for one in say()] == nothing
    assert [one.text for one in say(make_measures(name="a", planned=5, n=0))] == nothing, "no sentence is of any"
    alone = say(make_measures(name="a", planned=5, n=1, accuracy_mean=90.0))
    assert alone[0].text == "No arm has two finished replicas: nothing can be said of a spread yet"
    assert alone[1].text == "1 of 5 replicas have finished, and all sentences are of these"


def test_two_replicas_have_shares_and_no_interval() -> None:
    pair = [make_measures(name=n, vary=[n], n=2, disagreement=d) for n, d in (("bit", 2.0), ("init", 3.0))]
    first = say(*pair)[0]
    assert first.text == "bit changes 2 % of predictions, init 3 %"
    assert "three replicas" in first.because


def test_losses_and_leaks_are_warnings() -> None:
    lost = arm("a", ["init"], planned=20, diverged=2, damaged=1, reasons={"damaged": "replica 3, run x: torn"})
    leaky = arm("b", ["bit"], unisolated="its network mixes examples")
    answers = say(CONTROL, lost, leaky)
    warnings = [one.text for one in answers if one.weight == "warning"]
    assert warnings == [
        "b does not isolate its sources",
        "1 replica of a cannot be measured: files are damaged",
        "2 replicas of a diverged",
    ]
    assert find(answers, "damaged").because == "a: replica 3, run x: torn"
    assert find(answers, "have finished").text.startswith("27 of 35 replicas")


def test_mixed_devices_are_named_before_all_else_and_so_are_arms_on_different_ones() -> None:
    mixed = arm("Init", ["init"], devices={"H100": 8, "A100": 4})
    first = say(CONTROL, mixed, arm("Shuffle", ["shuffle"], devices={"H100": 12}))[0]
    assert (first.weight, first.text, first.arms) == ("warning", "Init mixes models of device", ("Init",))
    assert "Init was trained on 2 models of device, H100 (8), A100 (4): they round differently" in first.because
    assert "Init: trained on 2 models of device, H100 (8), A100 (4)" in "\n".join(make_notes([mixed]))
    apart = say(arm("Init", ["init"], devices={"A100": 12}), arm("Shuffle", ["shuffle"], devices={"H100": 12}))
    said = find(apart, "different models of device")
    assert (said.weight, said.because) == ("warning", "A100: Init; H100: Shuffle.")
    alike = [arm("Init", ["init"], devices={"A100": 12}), arm("Shuffle", ["shuffle"], devices={"A100": 12})]
    assert not [answer for answer in say(*alike) if "models of device" in answer.text]


def test_source_that_changes_no_prediction_is_not_said_to_change_nothing() -> None:
    still = arm("Linear", ["bit"], 0.0, 0.0)
    said = find(say(CONTROL, still, arm("a", ["init"])), "no prediction")
    assert said.text == "Linear changes no prediction at all"
    assert "does not say that they are the same" in said.because
    idle = say(CONTROL, still, arm("a", ["init"]), empty={"Linear": {"bit": "there is no first layer"}})
    assert find(idle, "varies nothing").because == "bit: there is no first layer"


def test_networks_are_compared_only_within_and_means_between_them() -> None:
    small, large = arm("Small", ["init"], 8.0), arm("Large", ["init"], 2.0, accuracy_mean=98.0)
    large = replace_mean(large, 98.0)
    recipes = {"Small": RECIPE, "Large": replace(RECIPE, model=ModelRecipe(preset="resnet14"))}
    answers = say(small, large, recipes=recipes)
    assert answers[0].text == "Large has a higher accuracy than Small by 2.00 [1.33 2.67] points"
    assert not [one for one in answers if "ratio" in one.text]
    assert describe_differences(*recipes.values()) == ["model.preset resnet6 and resnet14"]


def replace_mean(one: ArmMeasures, mean: float) -> ArmMeasures:
    return make_measures(
        name=one.name, vary=list(one.vary), n=one.n, accuracy_mean=mean, accuracy_mean_ci=[mean - 0.5, mean + 0.5],
        disagreement=2.0, disagreement_ci=[1.8, 2.2],
    )  # fmt: skip


def test_onsets_are_compared_at_their_ends_and_not_with_each_other() -> None:
    family = [
        arm(f"Shuffle, onset {onset}", ["shuffle"], value, 0.1, onset=onset)
        for onset, value in ((0, 4.0), (5, 2.0), (20, 1.0))
    ]
    answers = say(CONTROL, *family)
    said = find(answers, "onset 20")
    assert said.text.startswith("Shuffle, onset 20 changes 1 % of predictions, Shuffle, onset 0 4 %: ratio 0.25")
    assert said.page == "time"
    assert not [one for one in answers if one.text.startswith("By ")]


def test_published_figures_are_counted() -> None:
    near = arm("Parameter Initialization", ["init"], 10.7, 0.2, accuracy_sd=0.23, accuracy_sd_ci=[0.16, 0.4])
    said = find(say(near, reference="table1"), "published figures")
    assert "of table1 lie outside" in said.text
    assert said.page == "table"


def test_language_models_speak_of_words_and_perplexity() -> None:
    text = [
        make_measures(
            name=name, vary=[name], text=True, n=6, disagreement=value, disagreement_ci=[value - 1, value + 1],
            ensemble_perplexity_delta=-2.16, ensemble_perplexity_delta_ci=[-2.29, -2.02],
        )
        for name, value in (("init", 29.0), ("stochastic", 31.0))
    ]  # fmt: skip
    answers = say(*text)
    assert answers[0].text.startswith("init changes 29 % of words, stochastic 31 %")
    assert "2.16 [2.02 2.29] less perplexity" in find(answers, "Averaging").text


def test_names_from_outside_are_harmless() -> None:
    for one in say(arm(HOSTILE, ["init"]), arm("b", ["bit"])):
        assert "\x1b" not in one.text + one.because


def test_sharing_is_explained_where_there_is_any() -> None:
    assert find(say(arm("a", ["init"], planned=12), runs=10), "12 replicas are 10 runs").weight == "note"
    assert not [one for one in say(arm("a", ["init"], planned=12), runs=12) if "runs" in one.text]


def test_figures_are_short() -> None:
    assert [brief(value) for value in (2.874, 0.0482, 31.9, 100.0)] == ["2.9", "0.048", "32", "100"]
    found = arm("a", ["init"], 2.98, disagreement_ci=[2.69, 3.3]).find("disagreement")
    assert show_estimate(found, Found(()).find("disagreement")) == "2.98 [2.69 3.30]"


def test_crossed_design_says_how_much_is_interaction() -> None:
    parts = {
        name: {"variance": value, "ci": None, "share": value}
        for name, value in (("first", 0.1), ("second", 0.3), ("interaction", 0.6))
    }
    grid = {"sources": ["init", "shuffle"], "levels": [4, 4], "accuracy": parts}
    said = find(say(CONTROL, arm("Grid", ["init", "shuffle"], crossed=grid)), "interaction")
    wanted = (
        "In Grid, 60 % of the variance is the interaction of init and shuffle, 10 % init alone and 30 % shuffle alone"
    )
    assert said.text == wanted
    bare = arm("Grid", ["init", "shuffle"], 9.0, n=16, crossed=grid, disagreement_ci=None)
    two = find(say(CONTROL, arm("a", ["init"], 3.0, n=10), bare), "Two replicas of")
    assert two.because == "Without an interval: the runs of a grid are no independent replicas."
    missing = {"sources": ["init", "shuffle"], "levels": [4, 4], "reason": "3 of 16 runs are missing"}
    assert not [one for one in say(CONTROL, arm("Grid", ["init"], crossed=missing)) if "interaction" in one.text]


DECISION = DecisionRecord(
    settings=CompareSettings(a="one", b="other", measure="accuracy", margin=0.2, until_decided=True),
    runs_sha256="0",
    pairs=10,
    counted=9,
    difference=0.438,
    interval=(0.016, 0.86),
    end="a difference",
)


def test_what_was_decided_comes_first() -> None:
    arms = [make_measures(name=name, vary=["init"], planned=10, finished=10, n=10) for name in ("one", "other")]
    said = list_answers(Found(arms, decision=DECISION))
    assert said[0].text == (
        "one has a higher accuracy than other after 9 pairs of replicas: +0.44 [+0.02 +0.86] % points, margin ± 0.2"
    )
    below = msgspec.structs.replace(DECISION, difference=-0.438, interval=(-0.86, -0.016))
    assert list_answers(Found(arms, decision=below))[0].text.startswith("one has a lower accuracy than other")
    alike = msgspec.structs.replace(DECISION, difference=0.0, interval=(-0.1, 0.1), end="no difference that matters")
    text = list_answers(Found(arms, decision=alike))[0].text
    assert text.startswith("one and other show no difference that matters in accuracy after 9 pairs")
    assert not answer_decision(Found(arms[:1], decision=DECISION)), "an arm that is not there is not spoken of"


def test_no_source_is_said_to_change_predictions_where_settings_are_what_tells_arms_apart() -> None:
    other = replace(RECIPE, train=TrainRecipe(epochs=24, batch_size=50))
    long, short = (arm(name, ["init"], value) for name, value in (("long", 2.0), ("short", 4.0)))
    apart = say(long, short, recipes={"long": RECIPE, "short": other})
    assert find(apart, "Two replicas of long disagree on 2")
    assert find(apart, "Two replicas of short disagree on 4")
    assert say(long, short)[0].text.startswith("Two replicas of long disagree on 2 % of predictions, two of short on 4")
    assert say(long, arm("shuffle", ["shuffle"], 3.0))[0].text.startswith(
        "long changes 2 % of predictions, shuffle 3 %"
    )


def test_no_ordinary_interval_is_said_of_arms_that_stopped_when_they_were_decided() -> None:
    recipes = {"one": RECIPE, "other": replace(RECIPE, train=TrainRecipe(epochs=24, batch_size=50))}
    arms = [arm(name, ["init"], accuracy_mean=mean, accuracy_mean_ci=[mean - 0.2, mean + 0.2]) for name, mean in
            (("one", 96.0), ("other", 95.0))]  # fmt: skip
    alone = [answer.text for answer in list_answers(Found(arms, recipes))]
    assert any("has a higher accuracy than" in text for text in alone)
    stopped = [answer.text for answer in list_answers(Found(arms, recipes, compare=DECISION.settings))]
    assert not any("has a higher accuracy than" in text for text in stopped)


def score_arm(name: str, sd: float, n: int = 8) -> ArmMeasures:
    ends = None if n < 3 else [0.8 * sd, 1.3 * sd]
    score: dict[str, Any] = {"n": n, "mean": 31.4, "mean_ci": [31.0, 31.8], "sd": sd, "sd_error": 0.1, "sd_ci": ends}
    return make_measures(name=name, vary=["init"], kind="scores", n=n, planned=n, scores={"bleu": score})


def test_study_of_a_programs_numbers_has_an_answer() -> None:
    one = find(say(score_arm("a", 0.5)), "bleu")
    assert one.text == "a has bleu 31.40 [31.00 31.80], and scatters in it by 0.50 [0.40 0.65]"
    two = find(say(score_arm("a", 0.5), score_arm("b", 1.5)), "bleu")
    assert two.text.startswith("b scatters in bleu by 1.50 [1.20 1.95], a by 0.50 [0.40 0.65]: ratio 3.00 [")
    assert two.because.endswith("They are told apart.")
    alike = find(say(score_arm("a", 0.5), score_arm("b", 0.6)), "bleu")
    assert "holds 1: not told apart" in alike.because
    early = find(say(score_arm("a", 0.5, 2), score_arm("b", 0.6, 2)), "bleu")
    assert "ratio" not in early.text
    many = say(score_arm("a", 0.5), score_arm("b", 0.6), score_arm("c", 5.0))
    assert find(many, "scatters").because.endswith("chosen after looking.")
    assert find(many, "By bleu SD, 2 of 3 pairs of arms can be told apart")
    assert not [answer for answer in say(CONTROL, arm("init", ["init"])) if "scatters in" in answer.text]
