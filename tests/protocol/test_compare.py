"""[compare]: which arms are compared, in what, and what cannot be trained until it is decided."""

from __future__ import annotations

import pytest

from engine.plan.plan import make_plan
from engine.protocol.compare_section import Comparing
from engine.protocol.faults import ProtocolError
from engine.protocol.load import parse_protocol
from tests.helpers.studies import SMALL

ARMS = """
[[arm]]
name = "Control"
vary = []
[[arm]]
name = "Old"
vary = ["init"]
[[arm]]
name = "New"
vary = ["init"]
train = { lr = 0.1 }
"""

DECIDING = '[compare]\nuntil = "decided"\n'


def read(compare: str, arms: str = ARMS) -> Comparing | None:
    return parse_protocol(SMALL + arms + compare, file="p.toml").compare


def find_faults(compare: str, arms: str = ARMS) -> str:
    with pytest.raises(ProtocolError) as caught:
        read(compare, arms)
    return str(caught.value)


def test_nothing_is_compared_where_nobody_asks() -> None:
    assert read("") is None


def test_what_is_left_out_is_settled_where_two_arms_vary() -> None:
    settled = Comparing(a="Old", b="New", measure="accuracy", margin=None, until_decided=True)
    assert read(DECIDING) == settled
    assert read('[compare]\na = "New"\nmargin = 1\nmeasure = "cross-entropy"') == Comparing(
        a="New", b="Old", measure="cross-entropy", margin=1.0, until_decided=False
    )


def test_comparison_is_no_part_of_a_run() -> None:
    plans = [
        make_plan(parse_protocol(SMALL + ARMS + compare, file="p.toml"), device="cpu") for compare in ("", DECIDING)
    ]
    assert plans[0].recipes == plans[1].recipes


def test_overrides_reach_it() -> None:
    found = parse_protocol(SMALL + ARMS, file="p.toml", overrides=("compare.until=decided", "compare.margin=0.2"))
    assert found.compare == Comparing(a="Old", b="New", measure="accuracy", margin=0.2, until_decided=True)


@pytest.mark.parametrize(
    ("compare", "said"),
    [
        ('[compare]\na = "old"', 'compare.a = "old": is the name of no arm\n    -> did you mean Old?'),
        ('[compare]\na = "Old"\nb = "Old"', 'compare.b = "Old": is the same arm as compare.a'),
        ('[compare]\nmeasure = "acuracy"', "must be one of accuracy, cross-entropy for these networks"),
        ("[compare]\nmargin = 0", "compare.margin = 0: must be a number above 0"),
        ('[compare]\nuntil = "bored"', 'compare.until = "bored": must be "decided" or ""'),
        ('[compare]\nb = "Control"\nuntil = "decided"', "varies nothing: all of its replicas are one network"),
    ],
)
def test_faults_name_key_value_and_what_to_do(compare: str, said: str) -> None:
    assert said in find_faults(compare)


def test_more_than_two_arms_have_to_be_named() -> None:
    faults = find_faults(DECIDING, ARMS + '[[arm]]\nname = "Third"\nvary = ["shuffle"]\n')
    assert "compare.a: is missing, and not just two arms vary something" in faults
    assert '"Old", "New", "Third"' in faults


def test_comparison_of_one_arm_asks_for_another() -> None:
    faults = find_faults(DECIDING, '[[arm]]\nname = "Old"\nvary = ["init"]\n')
    assert "compare: takes two arms, and there is only one" in faults
    assert "add an [[arm]]" in faults
    assert "name one of the arms" not in faults


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        (ARMS + "replicas = 7\n", "has 7 replicas and Old 4"),
        (ARMS + '[[arm]]\nname = "Two"\nensemble = { of = "Old", size = 2 }\n', "has replicas that Two is made of"),
        (
            ARMS.replace('vary = ["init"]\n[[', "crossed = { init = 2, shuffle = 2 }\n[["),
            "is crossed: its runs are not independent",
        ),
    ],
)
def test_arms_whose_replicas_are_no_pairs_are_refused(arms: str, said: str) -> None:
    assert said in find_faults(DECIDING, arms)
    assert read('[compare]\na = "Old"\nb = "New"', arms) is not None, "compared once all is trained"


def test_commands_are_compared_in_their_scores() -> None:
    own = """
[protocol]
name = "own"
[command]
run = ["train", "{seed.init}"]
kind = "scores"
"""
    arms = '[[arm]]\nname = "A"\nvary = ["init"]\n[[arm]]\nname = "B"\nvary = ["init"]\n'
    assert "a command that leaves scores has no accuracy" in _fault_of(own + DECIDING + arms)
    found = parse_protocol(own + DECIDING + 'measure = "f1"\n' + arms, file="p.toml").compare
    assert found is not None
    assert found.measure == "f1"


def _fault_of(text: str) -> str:
    with pytest.raises(ProtocolError) as caught:
        parse_protocol(text, file="p.toml")
    return str(caught.value)
