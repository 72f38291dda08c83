"""Fetches and checks the files behind the downloaded presets: torchvision's checksummed data sets."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.catalog import presets
from engine.errors import DataError
from engine.training.vision import datasets

Example = tuple[Tensor, Tensor]


LOADERS: dict[str, Any] = {
    name: getattr(datasets, facts.download.loader) for name, facts in presets.DATA.items() if facts.download is not None
}
"""Preset → torchvision's class for it."""


def load_torchvision(name: str, root: Path, *, train: bool) -> Example:
    """Return one part of a torchvision data set, as (N, C, H, W) bytes and int64 labels.

    Every file is compared with the publisher's checksum before it is read.

    Raises:
        DataError: If a file is damaged, or missing with no network to fetch it from.
    """
    loader = LOADERS[name]
    with _lock(root, name):
        if _missing(name, root):
            _download(name, root)
        _check(name, root)
        try:
            part = loader(root=str(root), train=train, download=False)
        except (RuntimeError, ValueError, EOFError, OSError) as error:
            raise DataError(f"{name}: the files in {root} cannot be read ({error}): {_remedy(name)}") from error
    inputs = part.data if isinstance(part.data, Tensor) else torch.from_numpy(part.data)
    inputs = inputs.unsqueeze(1) if inputs.dim() == 3 else inputs.permute(0, 3, 1, 2)
    return inputs.contiguous(), torch.as_tensor(part.targets, dtype=torch.int64)


def _files(name: str, root: Path) -> dict[Path, str]:
    """Return the files that the checksums are for → MD5 as the publisher gives it.

    Loaders in MNIST's manner list archives, those in CIFAR's list the files inside.
    """
    loader = LOADERS[name]
    if hasattr(loader, "resources"):
        folder = root / loader.__name__ / "raw"
        return {folder / file: md5 for file, md5 in loader.resources}
    folder = root / loader.base_folder
    listed = [*loader.train_list, *loader.test_list, [loader.meta["filename"], loader.meta["md5"]]]
    return {folder / file: md5 for file, md5 in listed}


def _missing(name: str, root: Path) -> list[Path]:
    return [path for path in _files(name, root) if not path.is_file()]


def _check(name: str, root: Path) -> None:
    """Refuse files that are not the published ones; unpack archives anew where what was unpacked was changed."""
    for path, expected in _files(name, root).items():
        content = path.read_bytes()
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != expected:
            raise DataError(
                f"{name}: {path} is damaged (MD5 {found}, published {expected}): remove it, and run again to "
                f"download it or copy it from elsewhere"
            )
        if path.suffix == ".gz":
            _unpack(path, gzip.decompress(content))


def _unpack(archive: Path, content: bytes) -> None:
    """Write the unpacked file anew unless it equals the content of its archive; it has no published checksum."""
    target = archive.with_suffix("")
    if not target.is_file() or target.read_bytes() != content:
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        temporary.write_bytes(content)
        temporary.replace(target)


def _download(name: str, root: Path) -> None:
    missing = _missing(name, root)
    try:
        with Path(os.devnull).open("w") as quiet, redirect_stdout(quiet):
            LOADERS[name](root=str(root), train=True, download=True)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{name}: {missing[0]} is missing and cannot be downloaded ({reason}): {_remedy(name)}"
        ) from error
    if still := _missing(name, root):
        raise DataError(f"{name}: {still[0]} is missing beside files that are there: {_remedy(name)}")


def _remedy(name: str) -> str:
    download = presets.DATA[name].download
    layout = "" if download is None else f"{download.layout}, "
    return f"{layout}where DATA_ROOT is data.root of the protocol, or run once where there is a network"


@contextmanager
def _lock(root: Path, name: str) -> Generator[None]:
    """Let one process at a time download and unpack."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / f".{name}.lock").open("w")
    except OSError as error:
        if not _missing(name, root):
            yield  # files on a read-only file system need no lock
            return
        raise DataError(
            f"{name}: {root} cannot be written ({error.strerror}) and lacks the files: set data.root to a folder "
            f"that can, or that holds them"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
