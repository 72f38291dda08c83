"""Random crops and flips as index arithmetic on whole blocks of examples, on whatever device they are."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .seeding import AugmentationDraws


def crop_padding(size: int) -> int:
    """Pixels of zero padding around an image: 4 for CIFAR's 32, in proportion for others, at least 1."""
    return max(1, size // 8)


def augment(inputs: Tensor, examples: np.ndarray, draws: AugmentationDraws, *, pad: int, kind: str) -> Tensor:
    """Crop and flip a block of examples, each as its draw says.

    Examples with equal draws are moved together: sorted by draw, each group is one slice copied into one slice,
    so that nothing is looked up pixel by pixel.

    Args:
        inputs: All training images as stored, (N, C, H, W), before normalisation.
        examples: Which of them, in which order, int64 (B,).
        draws: One crop and flip per image of `inputs`.
        pad: Zero padding that crops reach into.
        kind: crop, flip or crop-flip.

    Returns:
        (B, C, H, W), of the inputs' type, zero where a crop reaches beyond the image.

    Source: RandomCrop(32, padding=4) and RandomHorizontalFlip of the published code, before normalisation.
    """
    top = draws.top[examples] if "crop" in kind else np.full(len(examples), pad)
    left = draws.left[examples] if "crop" in kind else np.full(len(examples), pad)
    flip = draws.flip[examples] if "flip" in kind else np.zeros(len(examples), dtype=bool)
    span = 2 * pad + 1
    group = (top * span + left) * 2 + flip
    by_group = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[by_group], prepend=-1))
    ends = np.append(starts[1:], len(examples))
    source = inputs.index_select(0, _index(examples[by_group], inputs))
    moved = torch.zeros_like(source)
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        place, flipped = divmod(int(group[by_group[start]]), 2)
        down, right = place // span - pad, place % span - pad
        # Cropping and then flipping is the same as flipping and then cropping on the other side.
        block = source[start:end].flip(3) if flipped else source[start:end]
        _move(block, moved[start:end], down, -right if flipped else right)
    back = np.empty(len(examples), dtype=np.int64)
    back[by_group] = np.arange(len(examples))
    return moved.index_select(0, _index(back, inputs))


def _move(source: Tensor, target: Tensor, down: int, right: int) -> None:
    """Copy the part of the images that stays visible when the window moves down and right."""
    height, width = source.shape[2:]
    rows, columns = slice(max(0, -down), height - max(0, down)), slice(max(0, -right), width - max(0, right))
    from_rows = slice(max(0, down), height - max(0, -down))
    from_columns = slice(max(0, right), width - max(0, -right))
    target[:, :, rows, columns] = source[:, :, from_rows, from_columns]


def _index(values: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(values).to(like.device)
