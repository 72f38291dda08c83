"""The plan: seeds as in the paper, runs shared where recipes are equal, ids that stay what they are."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.catalog.presets import QRNN_ARGS
from engine.catalog.sources import SOURCES
from engine.errors import StudyError
from engine.plan.plan import Plan, make_plan
from engine.protocol.faults import ProtocolError
from engine.protocol.load import parse_protocol
from engine.recipe import (
    HASHED_MASKS,
    RECIPE_VERSION,
    BitChange,
    DataRecipe,
    EvaluateRecipe,
    ModelRecipe,
    Recipe,
    Seeds,
    TrainRecipe,
)
from engine.study.paths import RunPaths
from engine.study.records import write_record
from engine.study.run_records import SpecRecord, read_recipe
from tests.helpers.records import make_plan_record

SAMPLED = 'cifar10"\nsample = "bootstrap'
"""A data preset of which every replica sees a part."""

HEAD = """
[protocol]
name = "plan"
replicas = {replicas}
[data]
preset = "{data}"
[model]
preset = "resnet6"
[train]
epochs = 4
warmup_epochs = 1
batch_size = 100
"""


def plan(arms: str, *, replicas: int = 5, data: str = "cifar10", device: str = "cpu", extra: str = "") -> Plan:
    protocol = parse_protocol(HEAD.format(replicas=replicas, data=data) + extra + arms, file="plan.toml")
    return make_plan(protocol, device="cuda" if device == "cuda" else "cpu")


def arm(*vary: str, name: str = "", more: str = "") -> str:
    listed = ", ".join(f'"{source}"' for source in vary)
    return f'[[arm]]\nname = "{name or "+".join(vary) or "control"}"\nvary = [{listed}]\n{more}\n'


@pytest.mark.parametrize(
    ("data", "size"), [("mnist1d", 10_000), ('mnist1d"\ntest_size = 500\n#"', 500), ("digits", None)]
)
def test_number_of_test_examples_is_in_the_recipe_where_they_are_made(data: str, size: int | None) -> None:
    (recipe,) = plan(arm("init"), data=data, replicas=1).recipes.values()
    assert recipe.data.test_size == size
    assert ("test_size" in recipe.canonical_json()) is (size is not None)


def test_replica_1_of_every_seeded_arm_is_the_same_run() -> None:
    made = plan(arm("init") + arm("shuffle") + arm("augment") + arm("lowlevel") + arm("init", "shuffle"))
    assert len({planned.runs[0] for planned in made.arms}) == 1
    assert len(made.recipes) == 5 * 4 + 1
    assert made.shared == {made.arms[0].runs[0]: 5}


def test_varying_sources_take_the_replicas_number_and_others_their_base_seed() -> None:
    made = plan(arm("shuffle", "augment"), extra="[seeds]\ninit = 7\nshuffle = 9\n")
    seeds = [made.recipes[run].seeds for run in made.arms[0].runs]
    assert seeds == [Seeds(init=7, shuffle=i, augment=i, lowlevel=1) for i in range(1, 6)]


def test_bit_arm_moves_a_weight_in_every_replica_the_first_included() -> None:
    made = plan(arm("bit") + arm("init"))
    assert [made.recipes[run].bit for run in made.arms[0].runs] == [BitChange(seed=i) for i in range(1, 6)]
    assert not made.shared


def test_an_arm_moves_its_weight_by_its_own_size() -> None:
    sizes = ("ulps = 4", "share = 0.25", 'parameter = "bn1.weight"')
    own = "".join(arm("bit", name=str(number), more=f"bit = {{ {size} }}") for number, size in enumerate(sizes))
    made = plan(arm("bit") + own, extra="[bit]\nulps = 2\n")
    bits = [made.recipes[planned.runs[0]].bit for planned in made.arms]
    assert bits == [
        BitChange(seed=1, ulps=2),
        BitChange(seed=1, ulps=4),
        BitChange(seed=1, share=0.25),
        BitChange(seed=1, ulps=2, parameter="bn1.weight"),
    ]


def test_controls_share_nothing_and_repeat_one_recipe() -> None:
    made = plan(arm() + arm("init") + arm("shuffle"))
    control = [made.recipes[run] for run in made.arms[0].runs]
    assert [recipe.repeat for recipe in control] == [1, 2, 3, 4, 5]
    assert len({replace(recipe, repeat=None) for recipe in control}) == 1
    assert not set(made.arms[0].runs) & set(made.shared)


def test_free_kernels_are_named_by_replica_and_hold_nothing_else() -> None:
    made = plan(arm("lowlevel") + arm("init") + arm("init", "lowlevel"), device="cuda")
    lowlevel, init, both = ([made.recipes[run] for run in planned.runs] for planned in made.arms)
    assert {recipe.lowlevel for recipe in lowlevel + both} == {"kernels"}
    assert {recipe.lowlevel for recipe in init} == {"deterministic"}
    assert [recipe.repeat for recipe in lowlevel] == [1, 2, 3, 4, 5]
    assert {recipe.repeat for recipe in init} == {None}
    assert {recipe.seeds.lowlevel for recipe in lowlevel + init} == {None}
    # Both arms' replica 1 is the same recipe, repetition 1: one training of free kernels serves both.
    assert lowlevel[0].id == both[0].id


def test_order_can_be_chosen_on_cuda() -> None:
    made = plan(arm("lowlevel"), device="cuda", extra='[lowlevel]\nmode = "order"\n')
    assert [made.recipes[run].seeds.lowlevel for run in made.arms[0].runs] == [1, 2, 3, 4, 5]


def test_empty_sources_are_named_and_change_nothing() -> None:
    made = plan(arm("init", "augment", "stochastic") + arm("init"), data="digits")
    assert set(made.arms[0].empty) == {"augment", "stochastic"}
    assert made.arms[0].runs == made.arms[1].runs


@pytest.mark.parametrize("source", SOURCES)
def test_every_declared_source_tells_replicas_apart(source: str) -> None:
    text = HEAD.replace('preset = "resnet6"', 'target = "nets:build"').format(replicas=3, data=SAMPLED)
    made = make_plan(parse_protocol(text + arm(source), file="x"), device="cpu")
    assert not made.arms[0].empty
    assert len(set(made.arms[0].runs)) == 3


def test_every_seeded_source_has_its_place_in_a_recipe() -> None:
    assert {field.name for field in fields(Seeds)} == {n for n, source in SOURCES.items() if source.has_base_seed}


def test_training_order_is_replica_by_replica() -> None:
    made = plan(arm("init") + arm("bit"), replicas=3)
    first, second = (planned.runs for planned in made.arms)
    assert list(made.recipes) == [first[0], second[0], first[1], second[1], first[2], second[2]]


def test_arm_overrides_settings_and_replicas() -> None:
    more = 'replicas = 2\nmodel = { preset = "linear" }\ntrain = { lr = 0.1 }\ndata = { augment = "none" }'
    made = plan(arm("init") + arm("init", name="small", more=more))
    recipe = made.recipes[made.arms[1].runs[0]]
    assert (recipe.model.preset, recipe.train.lr, recipe.data.augment) == ("linear", 0.1, "none")
    assert recipe.train.epochs == 4
    assert [len(planned.runs) for planned in made.arms] == [5, 2]


def test_targets_digest_is_part_of_the_identity() -> None:
    text = HEAD.format(replicas=1, data="digits").replace('preset = "resnet6"', 'target = "mine:net"') + arm("init")
    protocol = parse_protocol(text, file="plan.toml")
    ids = {
        make_plan(protocol, device="cpu", digest=lambda part, d=d: d if part.target else None).arms[0].runs[0]
        for d in "ab"
    }
    assert len(ids) == 2


def test_a_sample_is_drawn_in_every_arm_or_in_none() -> None:
    made = plan(arm("sample") + arm("init"), data=SAMPLED, replicas=3)
    seeds = [[made.recipes[run].seeds for run in planned.runs] for planned in made.arms]
    assert [[(one.init, one.sample) for one in arm_seeds] for arm_seeds in seeds] == [
        [(1, 1), (1, 2), (1, 3)],
        [(1, 1), (2, 1), (3, 1)],
    ]
    assert made.shared == {made.arms[0].runs[0]: 2}
    whole = plan(arm("init"), data="cifar10")
    assert {(r.data.sample, r.data.validation_size, r.seeds.sample) for r in whole.recipes.values()} == {(None,) * 3}


@pytest.mark.parametrize(
    ("data", "reason"), [("cifar10", 'data.sample is not "bootstrap"'), ("pydoc", "text is read as a whole")]
)
def test_sample_is_empty_where_nothing_is_drawn(data: str, reason: str) -> None:
    head = HEAD.format(replicas=3, data=data).replace("resnet6", "qrnn" if data == "pydoc" else "resnet6")
    made = make_plan(parse_protocol(head + arm("init", "sample"), file="plan.toml"), device="cpu")
    assert reason in made.arms[0].empty["sample"]
    with pytest.raises(ProtocolError, match=reason):
        make_plan(parse_protocol(head + arm("sample"), file="plan.toml"), device="cpu")


def test_masks_of_text_are_computed_on_a_gpu_and_drawn_elsewhere() -> None:
    head = HEAD.format(replicas=2, data="pydoc").replace("resnet6", "qrnn")
    protocol = parse_protocol(head + arm("init"), file="plan.toml")
    on_gpu, on_cpu = (make_plan(protocol, device=device).recipes.values() for device in ("cuda", "cpu"))
    assert [recipe.model.masks for recipe in (*on_gpu, *on_cpu)] == [HASHED_MASKS] * 2 + [None] * 2
    images = make_plan(parse_protocol(HEAD.format(replicas=2, data="digits") + arm("init"), file="x"), device="cuda")
    assert {recipe.model.masks for recipe in images.recipes.values()} == {None}


def test_onset_list_makes_one_arm_per_value_with_a_common_beginning() -> None:
    made = plan(arm("shuffle", "bit", name="Late", more="onset = [0, 1, 3]"))
    assert [planned.name for planned in made.arms] == ["Late, onset 0", "Late, onset 1", "Late, onset 3"]
    first, *late = ([made.recipes[run] for run in planned.runs] for planned in made.arms)
    assert {recipe.onset for recipe in first} == {None}
    assert {recipe.prefix.id for recipes in late for recipe in recipes} == {late[0][0].prefix.id}
    recipe = late[1][4]
    assert recipe.onset is not None
    assert (recipe.onset.epoch, recipe.onset.seeds.shuffle, recipe.seeds.shuffle) == (3, 1, 5)
    assert (recipe.at(3).seeds.shuffle, recipe.at(3).bit, recipe.at(4)) == (1, None, recipe)
    assert late[0][0].prefix == late[0][0].prefix.prefix


def test_replica_that_never_differs_is_the_unvaried_run() -> None:
    made = plan(arm("shuffle", name="Late", more="onset = [0, 1, 3]"))
    assert len({planned.runs[0] for planned in made.arms}) == 1
    assert len(made.recipes) == 1 + 3 * 4


def test_beginning_of_free_kernels_is_deterministic() -> None:
    made = plan(arm("lowlevel", more="onset = 2"), device="cuda")
    recipe = made.recipes[made.arms[0].runs[0]]
    assert (recipe.at(2).lowlevel, recipe.at(3).lowlevel) == ("deterministic", "kernels")
    assert recipe.prefix.repeat is None


def test_ensembles_are_disjoint_groups_of_another_arms_runs() -> None:
    pairs = '[[arm]]\nname = "Pairs"\nensemble = { of = "init", size = 2 }\n'
    made = plan(arm("init") + pairs)
    members, ensembles = made.arms
    assert ensembles.runs == members.runs[:4]
    assert ensembles.group == 2
    assert len(made.recipes) == 5
    assert made.shared == {}


@pytest.mark.parametrize("source", SOURCES)
def test_every_declared_source_is_wired(source: str) -> None:
    """A source that is declared and acts nowhere would give a valid plan of two equal replicas."""
    head = HEAD.format(replicas=3, data=SAMPLED).replace('preset = "resnet6"', 'target = "nets:build"')
    made = make_plan(parse_protocol(head + arm(source), file="plan.toml"), device="cpu")
    runs = [made.recipes[run] for run in made.arms[0].runs]
    assert len(set(made.arms[0].runs)) == 3
    assert made.arms[0].empty == {}
    base = parse_protocol(head + arm(source), file="plan.toml").seeds
    assert (source in base) is SOURCES[source].has_base_seed
    unlike = {name for name in SOURCES if name != "bit" and len({getattr(run.seeds, name) for run in runs}) > 1}
    assert unlike == ({source} if source != "bit" else set()), "and no other source moves with it"


def test_run_ids_are_what_they_were() -> None:
    """Ids name folders of studies that exist: they change with RECIPE_VERSION only."""
    made = plan(arm("init"), replicas=2)
    assert made.arms[0].runs == ("15132f51243c4a21", "486d22331ea245f7")


@given(small=st.integers(1, 12), more=st.integers(0, 12), vary=st.sets(st.sampled_from([*SOURCES])))
def test_more_replicas_keep_the_runs_of_fewer(small: int, more: int, vary: set[str]) -> None:
    arms = arm(*vary) if not vary or vary - {"stochastic", "sample"} else arm("init")
    before, after = plan(arms, replicas=small), plan(arms, replicas=small + more)
    assert after.arms[0].runs[:small] == before.arms[0].runs
    assert len(set(after.arms[0].runs)) == small + more


text = st.text(max_size=8)
recipes = st.builds(
    Recipe,
    data=st.builds(DataRecipe, preset=st.none() | text, target=st.none() | text, train_size=st.integers(0, 10)),
    model=st.builds(
        ModelRecipe,
        preset=st.none() | text,
        width=st.floats(0.1, 4),
        args=st.dictionaries(text, st.one_of(text, st.integers(), st.booleans())).map(
            lambda d: tuple(sorted(d.items()))
        ),
    ),
    train=st.builds(TrainRecipe, epochs=st.integers(1, 9), batch_size=st.integers(1, 9), lr=st.floats(1e-9, 10)),
    seeds=st.builds(Seeds, init=st.integers(0, 9), shuffle=st.integers(0, 9), augment=st.none() | st.integers(0, 9)),
    lowlevel=st.sampled_from(["order", "kernels", "deterministic"]),
    device=st.sampled_from(["cpu", "cuda"]),
    bit=st.none() | st.builds(BitChange, seed=st.integers(0, 9)),
    repeat=st.none() | st.integers(1, 9),
)


@pytest.mark.slow
@given(recipes)
def test_recipe_survives_json_with_its_id(recipe: Recipe) -> None:
    again = msgspec.json.decode(msgspec.json.encode(recipe), type=Recipe)
    assert again == recipe
    assert again.id == recipe.id


def test_whole_numbers_are_the_same_settings_with_and_without_a_point() -> None:
    (recipe,) = plan(arm("init"), replicas=1).recipes.values()
    whole, point = (replace(recipe, train=replace(recipe.train, lr=lr)) for lr in (1, 1.0))
    assert whole.id == point.id
    assert msgspec.json.decode(msgspec.json.encode(whole), type=Recipe).id == whole.id


@given(recipes, recipes)
def test_equal_ids_mean_equal_recipes(one: Recipe, other: Recipe) -> None:
    assert (one.id == other.id) == (one == other)


def test_recipe_of_another_version_is_refused(tmp_path: Path) -> None:
    ((run_id, recipe),) = plan(arm("init"), replicas=1).recipes.items()
    run = RunPaths(tmp_path)
    for version, planned, said in ((0, run_id, "recipe version 0"), (RECIPE_VERSION, "other", "not of other")):
        write_record(run.spec, SpecRecord(run=run_id, recipe_version=version, recipe=recipe))
        with pytest.raises(StudyError, match=said):
            read_recipe(run, planned)
    run.spec.write_text(run.spec.read_text().replace('"lr"', '"later"').replace('"epochs"', '"rounds"'))
    with pytest.raises(StudyError, match=r"required field `epochs` - at `\$.recipe.train`"):
        read_recipe(run, run_id)


CROSSED = '[[arm]]\nname = "grid"\ncrossed = {{ {one} = 2, {other} = 3 }}\n'


def test_crossed_arm_has_every_pair_of_seeds_and_shares_the_rows_of_others() -> None:
    made = plan(CROSSED.format(one="init", other="shuffle") + arm("shuffle"))
    seeds = [made.recipes[run].seeds for run in made.arms[0].runs]
    assert [(s.init, s.shuffle) for s in seeds] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
    assert made.arms[0].crossed == (("init", 2), ("shuffle", 3))
    assert made.arms[1].runs[:3] == made.arms[0].runs[:3]


def test_crossed_bit_is_moved_in_every_run() -> None:
    made = plan(CROSSED.format(one="bit", other="shuffle"))
    bits = [made.recipes[run].bit for run in made.arms[0].runs]
    assert bits == [BitChange(seed=i) for i in (1, 1, 1, 2, 2, 2)]


@pytest.mark.parametrize(
    ("one", "device", "data", "said"),
    [("lowlevel", "cuda", "cifar10", "no seed"), ("augment", "cpu", "digits", "empty")],
)
def test_sources_that_cannot_be_crossed_are_refused(one: str, device: str, data: str, said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        plan(CROSSED.format(one=one, other="init"), device=device, data=data)


def test_evaluation_of_its_own_is_another_run_with_the_same_training() -> None:
    made = plan(arm("init") + arm("init", name="flipped", more="evaluate = { flip = true }"))
    plain, seen = ([made.recipes[run] for run in planned.runs] for planned in made.arms)
    assert seen[0].evaluate == EvaluateRecipe(flip=True)
    assert [recipe.trained.id for recipe in seen] == list(made.arms[0].runs)
    assert all(recipe.trained is recipe for recipe in plain)
    assert make_plan_record(made).reuses == dict(zip(made.arms[1].runs, made.arms[0].runs, strict=True))
    members = replace(plain[0], train=replace(plain[0].train, cycles=2), evaluate=EvaluateRecipe(crops=9))
    assert members.trained is members, "the members of a snapshot ensemble are gone when training has ended"


def test_language_models_settings_are_written_out() -> None:
    text = HEAD.replace("resnet6", "qrnn").format(replicas=1, data="pydoc")
    made = make_plan(parse_protocol(text + arm("init", "stochastic"), file="x"), device="cpu")
    (recipe,) = made.recipes.values()
    assert dict(recipe.model.args) == QRNN_ARGS
    assert (recipe.train.bptt, recipe.train.activation_reg, recipe.seeds.stochastic) == (70, 2.0, 1)
    with pytest.raises(ProtocolError, match="read in its own order"):
        make_plan(parse_protocol(text + arm("shuffle"), file="x"), device="cpu")
