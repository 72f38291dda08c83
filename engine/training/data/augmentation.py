"""Random crops and flips of whole blocks of examples: as copies of runs of memory, or as index arithmetic on a GPU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.training.random.seeding import AugmentationDraws


def augment(inputs: Tensor, examples: np.ndarray, draws: AugmentationDraws, *, pad: int, mode: str) -> Tensor:
    """Crop and flip a block of examples in the CPU's memory, each as its draw says.

    Args:
        inputs: All training images as stored, (N, C, H, W), before normalisation.
        examples: Which of them, in which order, int64 (B,).
        draws: One crop and flip per image of the block.
        pad: Zero padding that crops reach into.
        mode: crop, flip or crop-flip.

    Returns:
        (B, C, H, W), of the inputs' type, zero where a crop reaches beyond the image; not contiguous.

    Source: RandomCrop(32, padding=4) and RandomHorizontalFlip of the published code, before normalisation.
    """
    top = draws.top if "crop" in mode else np.full(len(examples), pad)
    left = draws.left if "crop" in mode else np.full(len(examples), pad)
    flip = draws.flip if "flip" in mode else np.zeros(len(examples), dtype=bool)
    # The flipped images are put last, so that they can be flipped together; `back` restores the order.
    by_flip = np.argsort(flip, kind="stable")
    back = np.empty(len(examples), dtype=np.int64)
    back[by_flip] = np.arange(len(examples))
    windows = _open_windows(inputs, examples[by_flip], plain=int(np.count_nonzero(~flip)), pad=pad)
    # Cropping and then flipping is the same as flipping and then cropping on the other side.
    moved = _take(windows, back, top, np.where(flip, 2 * pad - left, left))
    channels, height, width = inputs.shape[1:]
    return moved.view(len(examples), channels, height, width + pad)[:, :, :, :width]


def _open_windows(inputs: Tensor, examples: np.ndarray, *, plain: int, pad: int) -> Tensor:
    """Put zeros around the images, and return a view of every crop there is.

    A row is followed by `pad` zeros that are the right border of this row and the left border of the next, so that
    every crop is one stretch of memory: cropping copies long runs and looks up no pixel.

    Args:
        inputs: All training images.
        examples: The block's.
        plain: How many of them come first that are not flipped.
        pad: Zeros on each side.

    Returns:
        A view (B, 2·pad+1, 2·pad+1, C, H·(W+pad)): image, rows down, columns right, channel, the crop's rows.
    """
    channels, height, width = inputs.shape[1:]
    row = width + pad
    plane = (height + 2 * pad) * row + 2 * pad
    images = inputs.index_select(0, torch.from_numpy(examples).to(inputs.device))
    padded = images.new_zeros(len(examples), channels, plane)
    inside = padded.as_strided(images.shape, (channels * plane, plane, row, 1), pad * row + pad)
    inside[:plain] = images[:plain]
    inside[plain:] = images[plain:].flip(3)
    span = 2 * pad + 1
    shape = (len(examples), span, span, channels, height * row)
    return padded.as_strided(shape, (channels * plane, row, 1, plane, 1))


def _take(windows: Tensor, *places: np.ndarray) -> Tensor:
    """Return one window per image; numpy copies runs of memory where torch looks up every number."""
    return torch.from_numpy(windows.numpy()[places])


def crop_and_flip(inputs: Tensor, examples: Tensor, moves: Tensor, *, pad: int) -> Tensor:
    """Crop and flip a minibatch by numbers that are on its device, which nobody has to wait for.

    Args:
        inputs: All training images as stored, (N, C, H, W), before normalisation.
        examples: Which of them, in which order, int64 (B,).
        moves: Rows and columns by which each crop is moved, and 1 where it is flipped, int64 (3, B).
        pad: Zero padding that crops reach into.

    Returns:
        (B, C, H, W), of the inputs' type: the images of `augment`.
    """
    top, left, flip = moves
    channels, height, width = inputs.shape[1:]
    device = inputs.device
    rows = (top - pad)[:, None] + torch.arange(height, device=device)
    columns = (left - pad)[:, None] + torch.arange(width, device=device)
    columns = torch.where(flip[:, None] == 1, columns.flip(1), columns)
    inside = (
        (((rows >= 0) & (rows < height))[:, None, :, None]) & ((columns >= 0) & (columns < width))[:, None, None, :]
    )
    pixels = inputs[
        examples[:, None, None, None],
        torch.arange(channels, device=device)[None, :, None, None],
        rows.clamp(0, height - 1)[:, None, :, None],
        columns.clamp(0, width - 1)[:, None, None, :],
    ]
    return pixels.masked_fill_(~inside, 0)
