"""What two arms were trained with: what differs is named, what is unknown is not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from engine.plan.plan import make_plan
from engine.protocol.load import parse_protocol
from engine.recipe import PackRecipe
from tests.helpers.arrays_study import COMPARED
from tui.text.circumstances import describe_circumstances, describe_packs

RECIPE = next(iter(make_plan(parse_protocol(COMPARED, file="compared.toml"), device="cpu").recipes.values()))


def test_values_that_differ_are_named_with_their_counts() -> None:
    one = {"device": Counter({"A100": 8, "H100": 2}), "torch": Counter({"2": 10}), "CUDA": Counter({"": 10})}
    other = {"device": Counter({"H100": 10}), "torch": Counter({"2": 10}), "CUDA": Counter({"13": 10})}
    assert describe_circumstances(one, other) == ["device A100 (8), H100 (2) and H100", "CUDA – and 13"]
    assert describe_circumstances(one, one | {"device": Counter({"H100": 5, "A100": 5})}) == [], "the same mixture"
    assert describe_circumstances(one, {}) == [], "nobody recorded the other"
    assert describe_circumstances(one, other | {"device": Counter({"\x1b[2J": 1})})[0].isprintable()


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((None, None), []),
        ((10, None), ["replicas trained 10 at once and one by one"]),
        ((10, 4), ["replicas trained 10 at once and 4 at once"]),
    ],
)
def test_packs_are_named(sizes: tuple[int | None, int | None], said: list[str]) -> None:
    packs = [None if size is None else PackRecipe(size=size, shared_batch=False) for size in sizes]
    assert describe_packs(*(replace(RECIPE, pack=pack) for pack in packs)) == said
    assert describe_packs(RECIPE, None) == []
    shared = replace(RECIPE, pack=PackRecipe(size=4, shared_batch=True))
    alone = replace(RECIPE, pack=PackRecipe(size=4, shared_batch=False))
    assert describe_packs(shared, alone) == ["replicas were packed otherwise"]
