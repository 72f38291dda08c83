"""Crops and flips against a plain loop over images, and that draws belong to examples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from engine.catalog.presets import crop_padding
from engine.training.data.augmentation import augment
from engine.training.random.seeding import draw_augmentation


def plain(image: torch.Tensor, top: int, left: int, flip: bool, pad: int) -> torch.Tensor:
    """RandomCrop(size, padding) and RandomHorizontalFlip of one image, in that order."""
    height, width = image.shape[1:]
    padded = functional.pad(image, (pad, pad, pad, pad))
    cropped = padded[:, top : top + height, left : left + width]
    return cropped.flip(2) if flip else cropped


@pytest.mark.parametrize("kind", ["crop", "flip", "crop-flip"])
@pytest.mark.parametrize(
    ("shape", "kind_of"), [((3, 32, 32), torch.uint8), ((1, 8, 8), torch.float32), ((2, 9, 5), torch.uint8)]
)
def test_block_equals_a_loop_over_its_images(kind: str, shape: tuple[int, ...], kind_of: torch.dtype) -> None:
    inputs = torch.randint(1, 256, (60, *shape)).to(kind_of)
    pad = crop_padding(shape[-1])
    draws = draw_augmentation(3, 2, 60, pad)
    examples = np.random.default_rng(0).permutation(60)[:37]
    moved = augment(inputs, examples, draws.at(examples), pad=pad, mode=kind)
    for row, example in enumerate(examples):
        top, left = (int(draws.top[example]), int(draws.left[example])) if "crop" in kind else (pad, pad)
        flip = bool(draws.flip[example]) and "flip" in kind
        assert torch.equal(moved[row], plain(inputs[example], top, left, flip, pad)), example


def test_padding_is_cifars_four_in_proportion() -> None:
    assert [crop_padding(size) for size in (32, 28, 8, 5)] == [4, 3, 1, 1]


def test_draws_cover_every_crop_evenly() -> None:
    draws = draw_augmentation(1, 1, 90_000, 4)
    counts = np.bincount(draws.top * 9 + draws.left, minlength=81)
    assert counts.min() > 0.85 * 90_000 / 81
    assert counts.max() < 1.15 * 90_000 / 81
    assert abs(draws.flip.mean() - 0.5) < 0.01


@given(st.integers(0, 2**31 - 1), st.integers(1, 1000))
def test_draws_are_a_function_of_seed_and_epoch(seed: int, epoch: int) -> None:
    one, again = draw_augmentation(seed, epoch, 20, 4), draw_augmentation(seed, epoch, 20, 4)
    assert np.array_equal(one.top, again.top)
    assert np.array_equal(one.flip, again.flip)
    other = draw_augmentation(seed, epoch + 1, 20, 4)
    assert not np.array_equal(np.stack([one.top, one.left]), np.stack([other.top, other.left]))
