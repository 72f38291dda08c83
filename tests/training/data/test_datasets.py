"""Data sets: the embedded digits, files in the original formats written by the tests, damage refused."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits as load_sklearn_digits

from engine.catalog import presets
from engine.catalog.presets import CIFAR_MEAN, CIFAR_STD
from engine.errors import DataError
from engine.recipe import DataRecipe
from engine.training.data import downloads
from engine.training.data.datasets import LOADERS, Dataset, keep_examples, load_data
from engine.training.data.digits import load_digits


def load(preset: str, root: Path, **settings: Any) -> Dataset:
    return load_data(DataRecipe(preset=preset, **settings), root=root, search_path=())


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def write_cifar(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> np.ndarray:
    """The pickled batches of the python version, 20 images each, and their checksums as the published ones."""
    loader, generator = downloads.LOADERS[name], np.random.default_rng(1)
    folder = root / loader.base_folder
    folder.mkdir(parents=True)
    written = []

    def write(file: str) -> list[str]:
        pixels = generator.integers(256, size=(20, 3072), dtype=np.uint8)
        labels = generator.integers(10, size=20).tolist()
        written.append(pixels)
        content = {"data": pixels, "labels" if name == "cifar10" else "fine_labels": labels, "filenames": []}
        with (folder / file).open("wb") as out:
            pickle.dump(content, out)
        return [file, md5(folder / file)]

    train_list, test_list = ([write(file) for file, _ in part] for part in (loader.train_list, loader.test_list))
    meta_key = "label_names" if name == "cifar10" else "fine_label_names"
    with (folder / loader.meta["filename"]).open("wb") as out:
        pickle.dump({meta_key: [str(i) for i in range(10)]}, out)
    monkeypatch.setattr(loader, "train_list", train_list)
    monkeypatch.setattr(loader, "test_list", test_list)
    monkeypatch.setattr(loader, "meta", loader.meta | {"md5": md5(folder / loader.meta["filename"])})
    return np.concatenate(written[: len(train_list)])


def write_mnist(root: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The four gzipped IDX files."""
    loader, generator = downloads.LOADERS["mnist"], np.random.default_rng(2)
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    images: dict[str, np.ndarray] = {}
    resources = []
    for file, _ in loader.resources:
        count = 30 if file.startswith("train") else 12
        if "images" in file:
            images[file] = generator.integers(256, size=(count, 28, 28), dtype=np.uint8)
            content = struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28) + images[file].tobytes()
        else:
            content = struct.pack(">4BI", 0, 0, 8, 1, count) + bytes(range(10)) * (count // 10) + bytes(count % 10)
        (folder / file).write_bytes(gzip.compress(content))
        resources.append((file, md5(folder / file)))
    monkeypatch.setattr(loader, "resources", resources)
    return images["train-images-idx3-ubyte.gz"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "datasets"


def test_digits_are_the_wheels_own_in_its_order(root: Path) -> None:
    data = load("digits", root)
    assert (data.train_inputs.shape, data.test_inputs.shape) == ((1000, 1, 8, 8), (797, 1, 8, 8))
    everything = torch.cat([data.train_inputs, data.test_inputs])
    assert float(everything.mean()) == pytest.approx(0.0, abs=1e-3)
    assert float(everything.std()) == pytest.approx(1.0, abs=1e-3)
    assert torch.cat([data.train_labels, data.test_labels])[:10].tolist() == list(range(10))
    assert not root.exists(), "embedded data needs no folder"
    bunch: Any = load_sklearn_digits()
    images, labels = load_digits()
    assert np.array_equal(images, bunch.images)
    assert np.array_equal(labels, bunch.target)


def test_digits_without_their_file_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match="install scikit-learn"):
        load_digits()


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_loads_from_its_original_files(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pixels = write_cifar(root, monkeypatch, name)
    data = load(name, root)
    assert data.train_inputs.dtype == torch.uint8
    assert np.array_equal(data.train_inputs.numpy(), pixels.reshape(-1, 3, 32, 32))
    assert data.test_labels.shape == (20,)
    assert data.classes == presets.DATA[name].classes
    shown = data.normalise(data.train_inputs[:3])
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (CIFAR_MEAN, CIFAR_STD))
    expected = (torch.from_numpy(pixels[:3].reshape(3, 3, 32, 32)).float() / 255 - mean) / std
    assert torch.equal(shown, expected)


def test_mnist_loads_from_its_original_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = write_mnist(root, monkeypatch)
    data = load("mnist", root)
    assert np.array_equal(data.train_inputs.numpy(), images[:, None])
    assert data.train_labels[:10].tolist() == list(range(10))
    assert data.test_inputs.shape == (12, 1, 28, 28)


@pytest.mark.parametrize("place", [0, 1000, -1])
@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_one_damaged_byte_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch, name: str, place: int) -> None:
    write_cifar(root, monkeypatch, "cifar10") if name == "cifar10" else write_mnist(root, monkeypatch)
    path = next(iter(downloads._files(name, root)))
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="is damaged") as caught:
        load(name, root)
    assert str(path) in str(caught.value)
    assert "remove it" in str(caught.value)


def test_unpacked_mnist_file_that_was_changed_is_unpacked_anew(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = write_mnist(root, monkeypatch)
    load("mnist", root)
    unpacked = root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    unpacked.write_bytes(unpacked.read_bytes()[:-1] + b"\x00")
    assert np.array_equal(load("mnist", root).train_inputs.numpy(), images[:, None])


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "mnist"])
def test_missing_files_without_a_network_say_where_to_put_them(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(DataError, match="DATA_ROOT") as caught:
        load(name, root)
    assert str(root) in str(caught.value)
    assert "network" in str(caught.value)


def test_read_only_folder_with_the_files_is_enough(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar(root, monkeypatch, "cifar10")

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert len(load("cifar10", root).train_labels) == 100


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"data\.root"):
        load("cifar10", tmp_path / "file" / "data")


def test_train_size_keeps_the_same_examples_in_their_order(root: Path) -> None:
    whole, part, again = (load("digits", root, train_size=size) for size in (0, 100, 100))
    assert torch.equal(part.train_inputs, again.train_inputs)
    places = [int((whole.train_inputs == one).flatten(1).all(1).nonzero()[0]) for one in part.train_inputs]
    assert places == sorted(places)
    assert len(set(places)) == 100
    assert len(part.test_labels) == 797
    assert keep_examples(whole, 5000) is whole


@pytest.mark.slow
def test_synthetic_data_is_cifar_shaped_and_repeats(root: Path) -> None:
    one, two = load("synthetic", root), load("synthetic", root)
    facts = presets.DATA["synthetic"]
    assert one.train_inputs.shape == (facts.train_size, *facts.shape)
    assert torch.equal(one.train_inputs, two.train_inputs)
    assert torch.bincount(one.train_labels).min() > 4500


@pytest.mark.parametrize("name", list(presets.DATA))
def test_catalog_knows_the_presets(name: str) -> None:
    assert set(LOADERS) == set(presets.DATA)
    facts = presets.DATA[name]
    assert len(facts.mean) == len(facts.std) == facts.shape[0]
