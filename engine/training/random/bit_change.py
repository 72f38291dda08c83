"""One bit: a single weight moved by units in the last place.

Source: section 4 of the paper; `random_bit_change` of the published code.
"""

from __future__ import annotations

import difflib
import struct
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import PerturbationError
from engine.recipe import BitChange, Recipe
from engine.training.random.seeding import draw_bit_place


@dataclass(frozen=True)
class BitRecord:
    """Tells exactly what was changed."""

    parameter: str
    index: int
    """In the flattened parameter."""
    old: float
    new: float
    old_bits: str
    """IEEE 754 binary32, hexadecimal."""
    new_bits: str
    ulps: int
    """Positive where the weight grew."""
    change: float
    """|new − old|."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)


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
    new = _step(old, bit.ulps, upwards=upwards)
    weights[index] = new
    if float(old) == 0.0 or float(weights[index]) == float(old):
        raise PerturbationError(
            f"bit.parameter: weight {index} of {name} is {float(old)!r}, and moving it by {bit.ulps} ulp has no "
            "effect: name a parameter whose initial weights are not zero"
        )
    return BitRecord(
        parameter=name,
        index=index,
        old=float(old),
        new=float(new),
        old_bits=_bits(old),
        new_bits=_bits(new),
        ulps=bit.ulps if upwards else -bit.ulps,
        change=abs(float(new.double() - old.double())),
    )


def move_early_bit(model: nn.Module, recipe: Recipe) -> BitRecord | None:
    """Move a recipe's bit where that is due before training; see `move_bit`."""
    return move_bit(model, recipe.bit) if recipe.bit is not None and recipe.onset is None else None


def move_late_bit(model: nn.Module, recipe: Recipe, epoch: int) -> BitRecord | None:
    """Move a recipe's bit where that is due at the beginning of an epoch: of the first one after the onset."""
    late = recipe.onset is not None and epoch == recipe.onset.epoch + 1
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


def _step(value: Tensor, ulps: int, *, upwards: bool) -> Tensor:
    direction = torch.tensor(torch.inf if upwards else -torch.inf, device=value.device)
    for _ in range(ulps):
        value = torch.nextafter(value, direction)
    return value


def _bits(value: Tensor) -> str:
    return struct.pack(">f", float(value)).hex()
