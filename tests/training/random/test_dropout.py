"""Keyed dropout: the right share, the right mean, masks that belong to examples."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine.training.random.dropout import KeyedDropout, MaskContext, key_dropout
from engine.training.random.seeding import mask_keys


def context(examples: int, seed: int = 1, epoch: int = 1) -> MaskContext:
    return MaskContext(keys=mask_keys(seed, epoch, 2), examples=torch.arange(examples))


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_share_of_dropped_units_is_p_and_the_mean_is_kept(p: float) -> None:
    layer = KeyedDropout(p, 0, channelwise=False, context=context(500)).train()
    y = layer(torch.ones(500, 400))
    assert float((y == 0).float().mean()) == pytest.approx(p, abs=0.005)
    assert float(y.mean()) == pytest.approx(0.0 if p == 1 else 1.0, abs=0.03)


def test_evaluation_drops_nothing() -> None:
    layer = KeyedDropout(0.5, 0, channelwise=False, context=context(3)).eval()
    assert torch.equal(layer(torch.ones(3, 4)), torch.ones(3, 4))


def test_mask_belongs_to_the_example_and_not_to_its_place() -> None:
    shared = context(50)
    layer = KeyedDropout(0.5, 0, channelwise=False, context=shared).train()
    straight = layer(torch.ones(50, 30))
    order = torch.randperm(50)
    shared.examples = order
    assert torch.equal(layer(torch.ones(50, 30)), straight[order])


def test_seed_epoch_and_layer_give_other_masks() -> None:
    def mask(seed: int, epoch: int, layer: int) -> torch.Tensor:
        module = KeyedDropout(0.5, layer, channelwise=False, context=context(40, seed, epoch)).train()
        return module(torch.ones(40, 40)) > 0

    reference = mask(1, 1, 0)
    for other in (mask(2, 1, 0), mask(1, 2, 0), mask(1, 1, 1)):
        agreement = float((reference == other).float().mean())
        assert agreement == pytest.approx(0.5, abs=0.05), "unrelated masks agree on half of their units"


def test_neighbouring_units_and_examples_are_unrelated() -> None:
    layer = KeyedDropout(0.5, 0, channelwise=False, context=context(400)).train()
    mask = (layer(torch.ones(400, 400)) > 0).float() - 0.5
    for shifted in (mask.roll(1, 0), mask.roll(1, 1), mask.T):
        assert abs(float((mask * shifted).mean())) * 4 < 0.02


def test_channelwise_dropout_drops_whole_channels() -> None:
    layer = KeyedDropout(0.5, 0, channelwise=True, context=context(6)).train()
    y = layer(torch.ones(6, 8, 3, 3))
    assert set(y.amax((2, 3)).flatten().tolist()) == set(y.amin((2, 3)).flatten().tolist()) == {0.0, 2.0}


def test_all_dropout_layers_of_a_model_are_replaced() -> None:
    model = nn.Sequential(nn.Dropout(0.1), nn.Sequential(nn.Dropout2d(0.2), nn.ReLU()), nn.AlphaDropout(0.3))
    assert key_dropout(model, context(2)) == 2
    kinds = [type(module) for module in model.modules()]
    assert kinds.count(KeyedDropout) == 2
    assert nn.AlphaDropout in kinds, "left to torch's generator, which is seeded at every step"


def test_batch_that_does_not_come_first_is_refused() -> None:
    layer = KeyedDropout(0.5, 0, channelwise=False, context=context(3)).train()
    with pytest.raises(RuntimeError, match="the batch must come first"):
        layer(torch.ones(4, 3))
