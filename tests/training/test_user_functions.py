"""A user's own model and data: what works, and a clear error for everything that does not."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import DataError, ModelError
from engine.plan.source_files import digest_source, find_sources, find_unseen
from engine.recipe import DataRecipe, ModelRecipe, Recipe
from engine.training.data.datasets import Dataset, load_data
from engine.training.models.build import Network, build_network
from engine.training.user_functions import refuse_untrusted

DATA_HEAD = """
import numpy as np
import torch
X, Y = np.zeros((8, 1, 4, 4), dtype=np.float32), np.arange(8) % 2
GOOD = dict(train_inputs=X, train_labels=Y, test_inputs=X[:4], test_labels=Y[:4])
PIXELS = dict(train_inputs=X.astype('uint8'), test_inputs=X[:4].astype('uint8'))
"""

BAD_DATA = {
    "returns nothing": ("return None", "must return a mapping"),
    "missing part": ("return {k: v for k, v in GOOD.items() if k != 'test_labels'}", "must return train_inputs"),
    "unknown part": ("return GOOD | {'valid_inputs': X}", "valid_inputs"),
    "list": ("return GOOD | {'train_inputs': [[1.0]]}", "must be a numpy array"),
    "objects": ("return GOOD | {'train_inputs': np.array(['a'], dtype=object)}", "array of object"),
    "text": ("return GOOD | {'train_inputs': np.array(['a'] * 8)}", "must be a numpy array of numbers"),
    "integers": ("return GOOD | {'train_inputs': X.astype(np.int64)}", "must be float or uint8"),
    "one number": ("return GOOD | {'train_inputs': np.float32(1)}", "train_inputs"),
    "vector": ("return GOOD | {'train_inputs': X[:, 0, 0, 0]}", "must be (N, …)"),
    "empty": ("return GOOD | {'train_inputs': X[:0], 'train_labels': Y[:0]}", "N > 0"),
    "not finite": ("return GOOD | {'train_inputs': X + np.nan}", "not finite"),
    "labels too few": ("return GOOD | {'train_labels': Y[:3]}", "must be (8,)"),
    "labels as fractions": ("return GOOD | {'train_labels': Y / 2}", "whole numbers"),
    "labels negative": ("return GOOD | {'train_labels': Y - 1}", "must lie in 0"),
    "labels beyond classes": ("return GOOD | {'classes': 2, 'train_labels': Y + 1}", "must lie in 0…1"),
    "one class": ("return GOOD | {'train_labels': Y * 0, 'test_labels': Y[:4] * 0}", "2 or more"),
    "classes as text": ("return GOOD | {'classes': 'two'}", "classes = 'two'"),
    "other shapes": ("return GOOD | {'test_inputs': X[:4, :, :3]}", "different shapes"),
    "mean of two": ("return GOOD | PIXELS | {'mean': (1.0, 2.0), 'std': (1.0,)}", "one per channel"),
    "std of zero": ("return GOOD | PIXELS | {'mean': (0.0,), 'std': (0.0,)}", "finite numbers"),
    "bytes and floats": ("return GOOD | {'test_inputs': X[:4].astype('uint8')}", "of one kind"),
    "mean of floats": ("return GOOD | {'mean': (1.0,), 'std': (2.0,)}", "used as they are"),
    "mean alone": ("return GOOD | PIXELS | {'mean': (1.0,)}", "mean and std belong together"),
    "raises": ("raise RuntimeError('disk on fire')", "RuntimeError: disk on fire"),
    "raises markup": ("raise ValueError('[red]x[/red]')", "[red]x[/red]"),
    "exits": ("raise SystemExit(3)", "it called sys.exit(3)"),
    "exits in words": ("import sys; sys.exit('no data here')", "it called sys.exit('no data here')"),
    "exits well": ("import sys; sys.exit()", "it called sys.exit()"),
}

MODEL_HEAD = "import torch\nfrom torch import nn\n"

BAD_MODELS = {
    "returns nothing": ("return None", "must return a torch.nn.Module"),
    "returns a class": ("return nn.Linear", "must return a torch.nn.Module"),
    "nothing to train": ("return nn.Flatten()", "nothing to train"),
    "other classes": ("return nn.Sequential(nn.Flatten(), nn.Linear(16, 7))", "logits of shape (2, 3)"),
    "other input": ("return nn.Linear(999, classes)", "failed on an input of shape (2, 1, 4, 4)"),
    "returns pairs": ("return nn.Sequential(nn.Flatten(1, 2), nn.LSTM(4, 3))", "it must return logits"),
    "raises": ("return 1 / 0", "ZeroDivisionError"),
}


def load(tmp_path: Path, target: str) -> Dataset:
    return load_data(DataRecipe(target=target), root=tmp_path, search_path=(tmp_path,))


def build(tmp_path: Path, target: str, **args: int) -> Network:
    recipe = ModelRecipe(target=target, args=tuple(args.items()))
    example = torch.zeros(2, 1, 4, 4)
    return build_network(
        recipe, input_shape=(1, 4, 4), classes=3, init_seed=1, search_path=(tmp_path,), example=example
    )


def write(tmp_path: Path, text: str) -> str:
    name = f"mod_{abs(hash((str(tmp_path), text))):x}"
    (tmp_path / f"{name}.py").write_text(text)
    return name


@pytest.mark.parametrize("name", BAD_DATA)
def test_data_that_cannot_be_used_is_explained(tmp_path: Path, name: str) -> None:
    body, said = BAD_DATA[name]
    module = write(tmp_path, f"{DATA_HEAD}\ndef load(root):\n    {body}\n")
    with pytest.raises(DataError) as caught:
        load(tmp_path, f"{module}:load")
    assert str(caught.value).startswith(f"{module}:load: ")
    assert said in str(caught.value)


@pytest.mark.parametrize("name", BAD_MODELS)
def test_model_that_cannot_be_used_is_explained(tmp_path: Path, name: str) -> None:
    body, said = BAD_MODELS[name]
    module = write(tmp_path, f"{MODEL_HEAD}\ndef build(input_shape, classes):\n    {body}\n")
    with pytest.raises(ModelError) as caught:
        build(tmp_path, f"{module}:build")
    assert str(caught.value).startswith(f"{module}:build: ")
    assert said in str(caught.value)


IMPORT_FAULTS = {
    "absent module": (None, "nowhere_at_all:load", "does not import"),
    "syntax": ("def load(:", "{}:load", "SyntaxError"),
    "fails on import": ("raise KeyError('x')", "{}:load", "KeyError"),
    "exits on import": ("import sys; sys.exit(2)", "{}:load", r"does not import \(it called sys.exit\(2\)\)"),
    "absent function": ("def other(root): ...", "{}:load", "it has other"),
    "not a function": ("load = 3", "{}:load", "is a int"),
    "absent attribute": ("class A: ...", "{}:A.load", "has no load"),
}


@pytest.mark.parametrize("name", IMPORT_FAULTS)
def test_target_that_does_not_import_is_explained(tmp_path: Path, name: str) -> None:
    text, target, said = IMPORT_FAULTS[name]
    module = write(tmp_path, text or "")
    with pytest.raises(DataError, match=said):
        load(tmp_path, target.format(module))


def test_target_that_leads_into_another_module_is_refused(tmp_path: Path) -> None:
    module = write(tmp_path, "import os, json\nclass A:\n    def load(root): raise ValueError('called')\n")
    for target in (f"{module}:os.system", f"{module}:os.path.join", f"{module}:json.load"):
        with pytest.raises(DataError, match=f"leads out of {module} into the module"):
            load(tmp_path, target)
    with pytest.raises(DataError, match="called"):
        load(tmp_path, f"{module}:A.load")


def test_modules_of_the_targets_own_package_are_no_other_modules(tmp_path: Path) -> None:
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "__init__.py").write_text("from packed import inner\n")
    (tmp_path / "packed" / "inner.py").write_text("def load(root): raise ValueError('called')\n")
    with pytest.raises(DataError, match="called"):
        load(tmp_path, "packed:inner.load")


def test_untrusted_targets_of_a_recipe_are_refused_before_they_are_imported(base: Recipe, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "untrusted_nets.py").write_text("raise SystemError('was imported')\n")
    (tmp_path / "untrusted_nets.py").symlink_to("elsewhere/untrusted_nets.py")
    here = tmp_path / "protocol"
    here.mkdir()
    (here / "untrusted_nets.py").symlink_to("../untrusted_nets.py")
    model = replace(base, model=ModelRecipe(target="untrusted_nets:build"))
    data = replace(base, data=DataRecipe(target="untrusted_nets:load"))
    for recipe, error in ((model, ModelError), (data, DataError)):
        with pytest.raises(error, match=r"is a link to .* and run the protocol again"):
            refuse_untrusted(recipe, search_path=(here,), trusted=("other",))
        refuse_untrusted(recipe, search_path=(here,), trusted=("untrusted_nets",))
        refuse_untrusted(recipe, search_path=(tmp_path,), trusted=())
    refuse_untrusted(base, search_path=(), trusted=())
    assert "untrusted_nets" not in sys.modules


def test_users_data_is_taken_as_it_is(tmp_path: Path) -> None:
    module = write(tmp_path, f"{DATA_HEAD}\ndef load(root):\n    return GOOD | {{'classes': 5}}\n")
    data = load(tmp_path, f"{module}:load")
    assert (data.input_shape, data.classes) == ((1, 4, 4), 5)
    assert torch.equal(data.normalise(data.train_inputs), data.train_inputs)


def test_users_bytes_are_normalised_with_the_users_constants(tmp_path: Path) -> None:
    pixels = "train_inputs=(X + 51).astype('uint8'), test_inputs=X[:4].astype('uint8')"
    body = f"return GOOD | dict({pixels}, mean=[.1], std=[.5])"
    module = write(tmp_path, f"{DATA_HEAD}\ndef load(root):\n    {body}\n")
    data = load(tmp_path, f"{module}:load")
    assert torch.allclose(data.normalise(data.train_inputs), torch.full((8, 1, 4, 4), 0.2))


def test_users_model_gets_its_arguments_and_seeded_weights(tmp_path: Path) -> None:
    body = "return nn.Sequential(nn.Flatten(), nn.Linear(16, hidden), nn.Dropout(0.5), nn.Linear(hidden, classes))"
    module = write(tmp_path, f"{MODEL_HEAD}\ndef build(input_shape, classes, hidden):\n    {body}\n")
    one, two = build(tmp_path, f"{module}:build", hidden=6), build(tmp_path, f"{module}:build", hidden=6)
    assert all(torch.equal(a, b) for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True))
    assert one.dropout_layers == 1
    with pytest.raises(ModelError, match="unexpected keyword"):
        build(tmp_path, f"{module}:build", hidden=6, depth=2)


def test_presets_need_images(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="needs images"):
        build_network(
            ModelRecipe(preset="resnet6"),
            input_shape=(7,),
            classes=2,
            init_seed=1,
            search_path=(),
            example=torch.zeros(2, 7),
        )


FILES = {
    "package/__init__.py": "",
    "package/nets.py": "from .blocks import Block\ndef build():\n    import helper\n",
    "package/blocks.py": "import torch, json",
    "package/unused.py": "",
    "helper.py": "from tools.widths import WIDTH",
    "tools/widths.py": "WIDTH = 8",
    "other.py": "import package",
    "broken.py": "import (",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_digest_is_of_the_targets_package_and_of_what_it_imports(folder: Path, name: str) -> None:
    before = digest_source("package.nets:build", search_path=(folder,))
    assert before is not None
    (folder / name).write_text(FILES[name] + "\nx = 2\n")
    changed = digest_source("package.nets:build", search_path=(folder,)) != before
    assert changed is (name not in ("other.py", "broken.py")), "nothing imports them"


def test_sources_are_followed_from_module_to_module(folder: Path) -> None:
    found = find_sources("package.nets:build", search_path=(folder,))
    assert {file.relative_to(folder).as_posix() for file in found} == set(FILES) - {"other.py", "broken.py"}
    assert find_sources("broken:build", search_path=(folder,)) == (folder / "broken.py",)
    assert "package" not in sys.modules


def test_folder_that_moves_keeps_its_digest(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    moved = tmp_path_factory.mktemp("elsewhere") / "code"
    shutil.copytree(folder, moved)
    digests = {digest_source("package.nets:build", search_path=(place,)) for place in (folder, moved)}
    assert len(digests) == 1


def test_installed_modules_are_told_by_the_environments_versions(folder: Path) -> None:
    assert digest_source("json:loads", search_path=(folder,)) is None, "the standard library's"
    assert digest_source(None, search_path=(folder,)) is None
    assert digest_source("nowhere:build", search_path=(folder,)) is None
    assert digest_source("safetensors:safe_open", search_path=(folder,)) is not None, "the target's own package"
    assert not any("torch" in file.parts for file in find_sources("package.nets:build", search_path=(folder,)))


def test_modules_that_no_statement_imports_are_seen_once_loaded(folder: Path) -> None:
    covered = find_sources("helper:x", search_path=(folder,))
    loaded = {"helper": folder / "helper.py", "other": folder / "other.py", "numpy": Path(np.__file__)}
    assert find_unseen(covered, loaded) == {"other": folder / "other.py"}
