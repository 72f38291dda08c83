"""Which runs of a plan are trained in packs, and with which others."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from engine.plan.plan import Plan, make_plan
from engine.plan.records import Packing
from engine.protocol.faults import ProtocolError
from engine.protocol.load import parse_protocol
from engine.recipe import PackRecipe, Recipe

TEXT = """
[protocol]
name = "x"
replicas = 4
[data]
preset = "digits"
[model]
preset = "hidden-fc"
[train]
epochs = 8
[dispatch]
pack = {pack}
[[arm]]
name = "init"
vary = ["init"]
[[arm]]
name = "bit"
vary = ["bit"]
[[arm]]
name = "shuffle"
vary = ["shuffle"]
[[arm]]
name = "control"
vary = []
"""


def plan(extra: str = "", pack: object = 3, *, device: str = "cpu") -> Plan:
    protocol = parse_protocol(TEXT.format(pack=pack) + extra, file="x.toml")
    return make_plan(protocol, device="cuda" if device == "cuda" else "cpu")


def recipes(made: Plan, name: str) -> list[Recipe]:
    return [made.recipes[run] for arm in made.arms if arm.name == name for run in arm.runs]


def test_one_is_no_pack_and_leaves_every_id_as_it_was() -> None:
    without = parse_protocol(TEXT.replace("[dispatch]\npack = {pack}\n", ""), file="x.toml")
    assert plan(pack=1).recipes == make_plan(without, device="cpu").recipes
    assert all(recipe.pack is None for recipe in plan(pack=1).recipes.values())


def test_arms_with_one_stream_of_data_share_batches_and_companions() -> None:
    made = plan()
    shared = [r for name in ("init", "bit", "control") for r in recipes(made, name)]
    apart = recipes(made, "shuffle")
    assert {(r.pack.size, r.pack.shared_batch) for r in shared if r.pack} == {(3, True)}
    assert {(r.pack.size, r.pack.shared_batch) for r in apart if r.pack} == {(3, False)}
    assert len({r.companions for r in shared}) == 1
    assert len({r.companions for r in apart}) == 1
    assert shared[0].companions != apart[0].companions
    assert replace(shared[0], pack=None).companions is None


def test_recipe_with_a_pack_is_read_back() -> None:
    for recipe in plan().recipes.values():
        assert msgspec.convert(msgspec.to_builtins(recipe), Recipe) == recipe
        assert recipe.id != replace(recipe, pack=None).id


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ('vary = ["shuffle"]\nonset = 2', "late onset"),
        ('vary = ["init"]\ntrain = { averaging = "swa" }', "averaged weights"),
        ('vary = ["init"]\ntrain = { weight_noise = 0.1 }', "noise on the weights"),
        ('vary = ["init"]\nevaluate = { flip = true }', "test-time views"),
    ],
)
def test_what_cannot_be_stacked_is_trained_alone_and_says_so(extra: str, reason: str) -> None:
    made = plan(f'[[arm]]\nname = "other"\n{extra}\n')
    assert all(recipe.pack is None for recipe in recipes(made, "other"))
    assert [reason in (stacking.alone or "") for stacking in made.stackings.values()] == [False] * 4 + [True]


PYDOC = """
[protocol]
name = "x"
replicas = 4
[data]
preset = "pydoc"
[model]
preset = "qrnn"
[dispatch]
pack = 3
[[arm]]
name = "init"
vary = ["init"]
[[arm]]
name = "order"
vary = ["lowlevel"]
[[arm]]
name = "masks"
vary = ["stochastic"]
"""


def test_text_is_packed_where_its_segments_are_the_same() -> None:
    made = make_plan(parse_protocol(PYDOC, file="x.toml"), device="cpu")
    assert [stacking.alone is None for stacking in made.stackings.values()] == [True, True, False]
    assert "segments" in (made.stackings["masks"].alone or "")
    assert all(recipe.pack is None for recipe in recipes(made, "masks"))


def test_what_was_found_out_decides() -> None:
    protocol = parse_protocol(TEXT.format(pack='"auto"'), file="x.toml")
    open_plan = make_plan(protocol, device="cpu")
    assert all(recipe.pack is None for recipe in open_plan.recipes.values())
    keys = {name: stacking.pack_key for name, stacking in open_plan.stackings.items()}
    assert keys["init"] == keys["bit"] == keys["control"] != keys["shuffle"]
    packings = {
        str(keys["init"]): Packing(size=2, channels_last=True, trials=((1, 0.5), (2, 0.25))),
        str(keys["shuffle"]): Packing(size=1, reason="packs are not faster here"),
    }
    made = make_plan(protocol, device="cpu", packings=packings)
    assert {r.pack for r in recipes(made, "init")} == {PackRecipe(size=2, shared_batch=True, channels_last=True)}
    assert {r.pack for r in recipes(made, "shuffle")} == {None}
    assert made.stackings["shuffle"].alone == "packs are not faster here"
    assert {name: stacking.pack_key for name, stacking in made.stackings.items()} == keys, "known before and after"
    for packing in packings.values():
        assert msgspec.json.decode(msgspec.json.encode(packing), type=Packing) == packing


def test_settings_of_packs_are_part_of_recipes() -> None:
    plain, last, compiled = (
        plan(pack=f"3\n{line}") for line in ("", 'memory_format = "channels-last"', "compile = true")
    )
    ids = [next(iter(made.recipes)) for made in (plain, last, compiled)]
    assert len(set(ids)) == 3
    assert next(iter(plan(pack="3\ngraphs = false").recipes)) == ids[0], "graphs change no bits"


def test_runs_that_are_trained_alone_are_compiled_too() -> None:
    """But for texts, whose segments have many lengths."""
    alone, packed = plan(pack="1\ncompile = true"), plan(pack="3\ncompile = true")
    assert {recipe.compiled for recipe in alone.recipes.values()} == {"step"}
    assert {recipe.compiled for recipe in packed.recipes.values() if recipe.pack is not None} == {None}
    text = TEXT.format(pack="1\ncompile = true").replace("digits", "pydoc").replace("hidden-fc", "qrnn")
    text = text.replace('vary = ["shuffle"]', 'vary = ["stochastic"]')
    texts = make_plan(parse_protocol(text, file="x.toml"), device="cpu").recipes.values()
    assert {recipe.compiled for recipe in texts} == {None}
    plain = next(iter(plan(pack="1").recipes.values()))
    assert plain.compiled is None
    assert len({plain.id, replace(plain, compiled=True).id, replace(plain, compiled="step").id}) == 3
    assert "compiled" not in plain.canonical_json()
    assert plain.id != replace(plain, compiled=True).id


def test_free_kernels_are_trained_alone() -> None:
    made = plan('[[arm]]\nname = "order"\nvary = ["lowlevel"]\n', device="cuda")
    assert all(recipe.pack is None for recipe in recipes(made, "order"))
    assert all(recipe.pack is not None for recipe in recipes(made, "init"))


@pytest.mark.parametrize("pack", [0, -1, 1025, '"many"', 2.5, "true"])
def test_sizes_out_of_range_are_refused(pack: object) -> None:
    with pytest.raises(ProtocolError, match=r"dispatch\.pack"):
        plan(pack=pack)


@pytest.mark.parametrize(
    ("device", "change", "wanted"),
    [
        ("cpu", ("hidden-fc", "linear"), "step"),
        ("cpu", ("hidden-fc", "resnet6"), True),
        ("cuda", ("x", "x"), True),
        ("cpu", ("epochs = 8", 'epochs = 8\noptimizer = "adam"'), True),
        ("cpu", ("epochs = 8", "epochs = 8\nclip_grad_norm = 1.0"), True),
        ("cpu", ("epochs = 8", "epochs = 8\nweight_noise = 0.1"), True),
        ("cpu", ("epochs = 8", 'epochs = 8\naveraging = "swa"'), "step"),
        ("cpu", ("epochs = 8", 'epochs = 8\naveraging = "aswa"'), True),
    ],
)
def test_whole_steps_are_compiled_where_they_are_known(device: str, change: tuple[str, str], wanted: object) -> None:
    text = TEXT.format(pack="1\ncompile = true").replace(*change)
    made = make_plan(parse_protocol(text, file="x.toml"), device="cuda" if device == "cuda" else "cpu")
    assert {recipe.compiled for recipe in made.recipes.values()} == {wanted}
