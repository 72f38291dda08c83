"""The protocols that ship: each is valid, has its small twin, and names rows that were published."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.catalog.published import find_rows, read_tables
from engine.plan.plan import make_plan
from engine.protocol.load import load_protocol

FOLDER = Path(__file__).parents[2] / "protocols"
FILES = sorted(FOLDER.rglob("*.toml"))
PAPER = (
    {f"table{n}" for n in range(1, 9)}
    | {f"figure{n}" for n in range(1, 4)}
    | {
        "appendix-a",
        "bouthillier",
        "appendix-d-2",
        "appendix-d-3",
        "crossed",
        "replication",
    }
)


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FOLDER)))
def test_protocol_is_valid_and_named_like_its_file(file: Path) -> None:
    protocol = load_protocol(file)
    plan = make_plan(protocol, device="cpu")
    assert protocol.name == file.stem + ("-small" if file.parent.name == "small" else "")
    assert protocol.description
    assert plan.recipes


def test_every_table_and_figure_has_its_file_and_its_small_twin() -> None:
    assert {file.stem for file in FOLDER.glob("*.toml")} >= PAPER
    assert {file.stem for file in (FOLDER / "small").glob("*.toml")} >= PAPER


@pytest.mark.parametrize("file", [f for f in FILES if "reference =" in f.read_text()], ids=lambda file: file.stem)
def test_arms_are_found_among_the_published_rows(file: Path) -> None:
    protocol = load_protocol(file)
    assert protocol.reference is not None
    found = [arm.name for arm in protocol.arms if find_rows(protocol.reference, arm.name)]
    if file.stem == "appendix-a":
        assert set(found) == {row.name for row in read_tables()["reduction"]}, "of the optimisers nothing was published"
    else:
        assert len(found) >= len(protocol.arms) - 2, "all but controls"


@pytest.mark.parametrize("name", ["table1", "table5", "table7", "figure1", "figure2", "crossed", "replication"])
def test_paper_protocols_have_the_papers_settings(name: str) -> None:
    for recipe in make_plan(load_protocol(FOLDER / f"{name}.toml"), device="cuda").recipes.values():
        assert (recipe.data.preset, recipe.model.preset, recipe.train.batch_size) == ("cifar10", "resnet14", 512)
        assert name == "table7" or (recipe.train.epochs, recipe.train.lr) == (500, 0.4)


@pytest.mark.parametrize("base", [2, 3])
def test_appendix_d_holds_every_source_at_another_seed(base: int) -> None:
    protocol = load_protocol(FOLDER / f"appendix-d-{base}.toml")
    plan = make_plan(protocol, device="cpu")
    for arm in protocol.arms:
        runs = next(planned.runs for planned in plan.arms if planned.name == arm.name)
        for source in ("init", "shuffle", "augment", "lowlevel"):
            seeds = {getattr(plan.recipes[run].seeds, source) for run in runs}
            assert seeds == (set(range(1, 101)) if source in arm.vary else {base})


@pytest.mark.parametrize("name", ["table2", "table4"])
def test_text_follows_the_recipe_for_a_qrnn_on_penn_treebank(name: str) -> None:
    """README of awd-lstm-lm: --clip 0.2 --wdrop 0.1 --dropouth 0.3 --dropouti 0.4 --batch_size 20, and defaults."""
    for recipe in make_plan(load_protocol(FOLDER / f"{name}.toml"), device="cuda").recipes.values():
        train = recipe.train
        assert (train.clip_grad_norm, train.batch_size, train.lr, train.bptt) == (0.2, 20, 30.0, 70)
        assert (train.select, recipe.streams, train.weight_decay) == ("best-validation", 1, 1.2e-6)
        assert dict(recipe.model.args) == {
            "embedding": 256, "hidden": 512, "layers": 3, "dropout_words": 0.1, "dropout_input": 0.4,
            "dropout_hidden": 0.3, "dropout_output": 0.4, "weight_drop": 0.1,
        }  # fmt: skip


def test_figure_3_moves_one_bit_in_the_networks_of_the_paper() -> None:
    protocol = load_protocol(FOLDER / "figure3.toml")
    moved = [arm for arm in protocol.arms if arm.vary]
    assert [(arm.model.preset, set(arm.vary), arm.replicas) for arm in moved] == [
        ("linear", {"bit"}, 100),
        ("hidden-fc", {"bit"}, 100),
    ]
    for recipe in make_plan(protocol, device="cuda").recipes.values():
        assert (recipe.data.preset, recipe.train.epochs, recipe.train.lr) == ("cifar10", 500, 0.4)
