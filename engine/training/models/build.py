"""Builds a network from a recipe's model settings: a preset, or the user's own, which two examples check."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.catalog import presets
from engine.errors import CompileError, ModelError
from engine.recipe import ModelRecipe
from engine.training.compiler import compile_network
from engine.training.models.builders import BUILDERS, ModelShape
from engine.training.random.context import MaskContext
from engine.training.random.draws import KeyedDraws, learn_places
from engine.training.random.dropout import key_dropout
from engine.training.random.seeding import initialised_under
from engine.training.user_functions import call_target, import_target


@dataclass(frozen=True)
class Network:
    """A model and the handle on its random numbers."""

    model: nn.Module
    masks: MaskContext
    dropout_layers: int
    """Layers whose masks are keyed by example."""
    keys_draws: bool = False
    """Whether the forward pass may hold other random operations, which are to be keyed too."""
    compiled: Callable[[Tensor], Tensor] | None = None
    """Computes what the model computes, by compiled kernels; None where nothing is compiled."""

    @property
    def classify(self) -> Callable[[Tensor], Tensor]:
        """Return what maps a batch to its logits, in the mode that the model is in."""
        return self.model if self.compiled is None else self.compiled

    @property
    def is_random(self) -> bool:
        """Tell whether the network may draw while it is trained."""
        return self.keys_draws or self.dropout_layers > 0

    def keyed(self) -> contextlib.AbstractContextManager[object]:
        """Return the context in which a forward pass of training is computed."""
        return KeyedDraws(self.masks) if self.keys_draws else contextlib.nullcontext()


def compile_forward(network: Network, name: str) -> Network:
    """Return a network whose forward and backward passes torch.compile makes the kernels of.

    Raises:
        CompileError: If it draws by operations whose keys the compiler does not see.
    """
    if network.keys_draws:
        raise CompileError(f"{name}: draws by operations of its own, which torch.compile cannot key by example")
    return replace(network, compiled=compile_network(network.model))


def build_network(
    recipe: ModelRecipe,
    *,
    input_shape: tuple[int, ...],
    classes: int,
    init_seed: int,
    search_path: tuple[Path, ...],
    example: Tensor,
) -> Network:
    """Build a model on the CPU, its weights a function of the initialisation's seed alone.

    Args:
        recipe: Preset or target.
        input_shape: The shape of one example, (C, H, W) for the presets.
        classes: Number of classes.
        init_seed: The source `init`.
        search_path: Where a user's target is looked for.
        example: Two normalised examples, (2, *input_shape), that a user's model is tried on.

    Raises:
        ModelError: If the model cannot be built for this data, or is no classifier.
    """
    with initialised_under(init_seed):
        if recipe.target is not None:
            model = _build_user_model(recipe, recipe.target, input_shape, classes, search_path)
        else:
            model = _build_preset(recipe, input_shape, classes)
    name = recipe.target or recipe.preset or ""
    masks = MaskContext()
    layers = key_dropout(model, masks)
    if presets.find_model(recipe.preset) is None:
        check_output(model, name, example, classes)
    if recipe.draws is None:
        return Network(model, masks, layers)
    with initialised_under(init_seed):
        places = learn_places(model, masks, example, layers)
    masks.places = places or ()
    return Network(model, masks, layers, keys_draws=places is None or len(places) > 0)


def _build_preset(recipe: ModelRecipe, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    name = recipe.preset or ""
    if name.startswith(presets.TORCHVISION_PREFIX):
        if len(input_shape) != 3 or input_shape[0] != 3:
            raise ModelError(
                f"{name}: needs images of three channels, and the data's examples have shape {input_shape}"
            )
        from engine.training.vision import build_torchvision  # noqa: PLC0415 - imports torchvision, which takes a second

        return build_torchvision(name.removeprefix(presets.TORCHVISION_PREFIX), classes)
    if len(input_shape) != 3 and not presets.MODELS[name].flat:
        raise ModelError(f"{name}: needs images (C, H, W), and the data's examples have shape {input_shape}")
    return BUILDERS[name](ModelShape(input_shape=input_shape, classes=classes, width=recipe.width))


def _build_user_model(
    recipe: ModelRecipe,
    target: str,
    input_shape: tuple[int, ...],
    classes: int,
    search_path: tuple[Path, ...],
) -> nn.Module:
    function = import_target(target, search_path=search_path, error=ModelError)
    arguments = dict(recipe.args)
    model = call_target(function, target, ModelError, input_shape=input_shape, classes=classes, **arguments)
    if not isinstance(model, nn.Module):
        raise ModelError(f"{target}: returned {type(model).__name__}, it must return a torch.nn.Module")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelError(f"{target}: returned a model without trainable parameters, so there is nothing to train")
    return model


def check_output(model: nn.Module, target: str, example: Tensor, classes: int) -> None:
    """Refuse a model that does not map a batch of examples to a batch of logits."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            output = model(example)
    except Exception as cause:  # a user's forward may raise anything
        shape = tuple(example.shape)
        reason = f"{type(cause).__name__}: {cause}"
        raise ModelError(f"{target}: its model failed on an input of shape {shape}: {reason}") from cause
    finally:
        model.train(was_training)
    expected = (len(example), classes)
    if not isinstance(output, Tensor) or tuple(output.shape) != expected:
        found = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise ModelError(f"{target}: its model returned {found}, it must return logits of shape {expected}")
