"""One bit: a single weight moved by units in the last place, or by a share of its value.

Source: section 4 of the paper; `random_bit_change` of the published code.
"""

from __future__ import annotations

import difflib
import struct

import torch
from torch import Tensor, nn

from engine.errors import PerturbationError
from engine.recipe import BitChange, Recipe
from engine.study.run_records import BitRecord
from engine.training.random.seeding import draw_bit_place


def move_bit(model: nn.Module, bit: BitChange) -> BitRecord:
    """Move one seeded weight of a model, in place.

    Raises:
        PerturbationError: If the parameter does not exist, is not float32, or the change has no effect.
    """
    name, parameter = find_parameter(model, bit.parameter)
    if parameter.dtype != torch.float32:
        raise PerturbationError(f"bit.parameter: {name} is {parameter.dtype}; one ulp is defined here for float32")
    index, upwards = draw_bit_place(bit.seed, parameter.numel())
    weights = parameter.detach().view(-1)
    old = weights[index].clone()
    new = step(old, bit.ulps, upwards=upwards) if bit.share is None else _scale(old, bit.share, upwards=upwards)
    weights[index] = new
    if float(old) == 0.0 or float(weights[index]) == float(old):
        size = f"{bit.ulps} ulp" if bit.share is None else f"a share of {bit.share:g}"
        raise PerturbationError(
            f"bit.parameter: weight {index} of {name} is {float(old)!r}, and moving it by {size} has no "
            "effect: name a parameter whose initial weights are not zero, or choose a larger change"
        )
    return BitRecord(
        parameter=name,
        index=index,
        old=float(old),
        new=float(new),
        old_bits=_bits(old),
        new_bits=_bits(new),
        ulps=_rank(new) - _rank(old),
        change=abs(float(new.double() - old.double())),
    )


def move_early_bit(model: nn.Module, recipe: Recipe) -> BitRecord | None:
    """Move a recipe's bit where that is due before training; see `move_bit`."""
    return move_bit(model, recipe.bit) if recipe.bit is not None and recipe.onset is None else None


def move_late_bit(model: nn.Module, recipe: Recipe, epoch: int) -> BitRecord | None:
    """Move a recipe's bit where that is due at the beginning of an epoch: of the first one after the onset."""
    late = recipe.is_first_after_onset(epoch)
    return move_bit(model, recipe.bit) if recipe.bit is not None and late else None


def find_parameter(model: nn.Module, wanted: str) -> tuple[str, nn.Parameter]:
    """Find the parameter of a name; "first" is the first layer's weight: the first with two or more dimensions.

    Raises:
        PerturbationError: If there is none; names the nearest ones.
    """
    parameters = dict(model.named_parameters())
    if wanted == "first":
        for name, parameter in parameters.items():
            if parameter.dim() >= 2:
                return name, parameter
        raise PerturbationError("bit.parameter: the model has no weight with two dimensions: name a parameter")
    if wanted in parameters:
        return wanted, parameters[wanted]
    near = difflib.get_close_matches(wanted, parameters, n=3, cutoff=0.4) or list(parameters)[:5]
    raise PerturbationError(f"bit.parameter: the model has no parameter {wanted!r}; there are {', '.join(near)}, …")


def step(value: Tensor, ulps: int, *, upwards: bool) -> Tensor:
    """Return the float32 number that is some units in the last place above or below a finite one."""
    rank = _rank(value) + (ulps if upwards else -ulps)
    bits = rank if rank >= 0 else -rank - 2**31  # a number below zero has the sign bit and the size of its bits
    return torch.tensor(bits, dtype=torch.int32).view(torch.float32).to(value.device)


def _rank(value: Tensor) -> int:
    """Return the place of a float32 number among all of them in order; 0 for both zeros."""
    bits = int(value.detach().cpu().view(torch.int32))
    return bits if bits >= 0 else -(bits + 2**31)


def _scale(value: Tensor, share: float, *, upwards: bool) -> Tensor:
    """Return a number moved by a share of its size."""
    return (value.double() + (share if upwards else -share) * value.double().abs()).to(value.dtype)


def _bits(value: Tensor) -> str:
    return struct.pack(">f", float(value)).hex()
