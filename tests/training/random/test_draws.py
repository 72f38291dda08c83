"""Random operations of torch under keys: whose draws they are, their distributions, and what is left alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats as scipy_stats
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from engine.training.random.context import MaskContext, Place
from engine.training.random.draws import KeyedDraws, learn_places
from engine.training.random.seeding import operation_keys

stats: Any = scipy_stats  # whose types are not declared

BATCH = 6
ORDER = torch.tensor([3, 1, 0, 5, 4, 2])

Operation = Callable[[Tensor], Tensor]


def draw(operation: Operation, x: Tensor, examples: Tensor, *, seed: int = 1, epoch: int = 1, step: int = 0) -> Tensor:
    context = MaskContext(epoch_keys=operation_keys(seed, epoch, 3))
    context.begin(examples, context.step_keys(step))
    with KeyedDraws(context):
        return operation(x)


def make_input(*shape: int) -> Tensor:
    return torch.randn(BATCH, *shape, generator=torch.Generator().manual_seed(1))


OPERATIONS: dict[str, Operation] = {
    "rand": lambda x: torch.rand(len(x), 1, 1, 1),
    "rand of a tuple": lambda x: torch.rand((len(x), 3), dtype=torch.float64),
    "rand_like": torch.rand_like,
    "randn": lambda x: torch.randn(len(x), 2),
    "randn_like": torch.randn_like,
    "randint": lambda x: torch.randint(3, 99, (len(x), 4)),
    "randint_like": lambda x: torch.randint_like(x, 99),
    "normal": lambda x: torch.normal(x, 1.0),
    "normal of a size": lambda x: torch.normal(0.0, 1.0, (len(x), 2)),
    "bernoulli": lambda x: torch.bernoulli(torch.full_like(x, 0.3)),
    "bernoulli with p": lambda x: torch.bernoulli(x, 0.3),
    "bernoulli_": lambda x: torch.empty(len(x), 30).bernoulli_(0.3),
    "uniform_": lambda x: torch.empty(len(x), 2).uniform_(1, 2),
    "normal_": lambda x: torch.empty(len(x), 2).normal_(1, 2),
    "log_normal_": lambda x: torch.empty(len(x), 2).log_normal_(),
    "exponential_": lambda x: torch.empty(len(x), 2).exponential_(),
    "geometric_": lambda x: torch.empty(len(x), 9).geometric_(0.01),
    "cauchy_": lambda x: torch.empty(len(x), 2).cauchy_(),
    "random_": lambda x: torch.empty(len(x), 2).random_(2, 999),
    "multinomial": lambda x: torch.multinomial(x[:, 0, 0].exp(), 3),
    "multinomial, replacing": lambda x: torch.multinomial(x[:, 0, 0].exp(), 9, replacement=True),
    "dropout": lambda x: functional.dropout(x, 0.4),
    "dropout in place": lambda x: functional.dropout(x.clone(), 0.4, inplace=True),
    "torch.dropout": lambda x: torch.dropout(x, 0.4, True),
    "dropout1d": lambda x: functional.dropout1d(x.flatten(2), 0.4),
    "dropout2d": lambda x: functional.dropout2d(x, 0.4),
    "dropout3d": lambda x: functional.dropout3d(x[:, :, None], 0.4),
    "alpha_dropout": lambda x: functional.alpha_dropout(x, 0.4, training=True),
    "feature_alpha_dropout": lambda x: functional.feature_alpha_dropout(x, 0.4, training=True),
    "rrelu": lambda x: functional.rrelu(x, training=True),
    "rrelu in place": lambda x: functional.rrelu(x.clone(), training=True, inplace=True),
    "gumbel_softmax": functional.gumbel_softmax,
    "fractional_max_pool2d": lambda x: functional.fractional_max_pool2d(x.repeat(1, 1, 9, 9), 2, output_size=20),
    "fractional_max_pool2d with indices": lambda x: functional.fractional_max_pool2d(
        x, 2, output_size=3, return_indices=True
    )[0],
    "attention": lambda x: functional.scaled_dot_product_attention(x, x, x, dropout_p=0.4),
    "attention to the past": lambda x: functional.scaled_dot_product_attention(x, x, x, dropout_p=0.4, is_causal=True),
    "poisson": lambda x: torch.poisson(x.exp() * 9),
    "binomial": lambda x: torch.binomial(torch.full_like(x, 9.0), torch.full_like(x, 0.5)),
    "gamma": lambda x: torch.distributions.Gamma(x.exp(), torch.ones(())).rsample(),
    "dirichlet": lambda x: torch.distributions.Dirichlet(x.exp()).rsample(),
    "distribution": lambda x: torch.distributions.Laplace(x, x.exp()).rsample(),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_draws_belong_to_examples_seeds_and_epochs(name: str) -> None:
    operation, x, examples = OPERATIONS[name], make_input(4, 5, 5), torch.arange(BATCH) + 40
    before = torch.get_rng_state()
    usual = draw(operation, x, examples)
    torch.testing.assert_close(draw(operation, x[ORDER], examples[ORDER]), usual[ORDER])
    assert torch.equal(draw(operation, x, examples, step=2), usual), "nor does the step matter"
    for other in (draw(operation, x, examples + 1), draw(operation, x, examples, seed=2)):
        assert not torch.equal(other, usual)
    assert not torch.equal(draw(operation, x, examples, epoch=2), usual)
    assert torch.equal(torch.get_rng_state(), before), "nothing is drawn from torch's own stream"


def test_draws_of_one_pass_differ() -> None:
    one, two = draw(lambda x: torch.stack([torch.rand_like(x), torch.rand_like(x)], 1), make_input(9), ORDER).unbind(1)
    assert not torch.equal(one, two)


@pytest.mark.parametrize("operation", [lambda x: torch.rand(()), lambda x: torch.randn(7, 3)])
def test_draw_without_the_batch_belongs_to_the_step(operation: Operation) -> None:
    x = make_input(3)
    usual = draw(operation, x, torch.arange(BATCH))
    assert torch.equal(draw(operation, x, ORDER), usual), "the order inside the batch does not matter"
    assert not torch.equal(draw(operation, x, torch.arange(BATCH), step=1), usual)
    assert not torch.equal(draw(operation, x, torch.arange(BATCH), seed=2), usual)


def test_permutation_of_the_batch_pairs_the_same_examples_in_any_order() -> None:
    examples = torch.tensor([50, 3, 17, 8, 99, 21])

    def pair(ids: Tensor) -> Tensor:
        return draw(lambda x: x[torch.randperm(len(x))], ids, ids)

    assert torch.equal(pair(examples[ORDER]), pair(examples)[ORDER])
    assert sorted(pair(examples).tolist()) == sorted(examples.tolist())
    assert sorted(draw(lambda x: torch.randperm(9), examples, examples).tolist()) == list(range(9))


SAMPLES = 4000

CONTINUOUS: dict[str, tuple[Operation, Callable[[np.ndarray], np.ndarray]]] = {
    "rand": (lambda x: torch.rand(len(x)), stats.uniform().cdf),
    "float64": (lambda x: torch.rand(len(x), dtype=torch.float64), stats.uniform().cdf),
    "uniform_": (lambda x: torch.empty(len(x)).uniform_(-1, 3), stats.uniform(-1, 4).cdf),
    "randn": (lambda x: torch.randn(len(x)), stats.norm().cdf),
    "normal_": (lambda x: torch.empty(len(x)).normal_(2, 3), stats.norm(2, 3).cdf),
    "normal": (lambda x: torch.normal(torch.full((len(x),), 2.0), 3.0), stats.norm(2, 3).cdf),
    "exponential_": (lambda x: torch.empty(len(x)).exponential_(2.0), stats.expon(scale=0.5).cdf),
    "cauchy_": (lambda x: torch.empty(len(x)).cauchy_(1.0, 2.0), stats.cauchy(1, 2).cdf),
    "log_normal_": (lambda x: torch.empty(len(x)).log_normal_(1, 0.5), stats.lognorm(0.5, scale=math.e).cdf),
    "rrelu": (lambda x: -functional.rrelu(-torch.ones(len(x)), 0.2, 0.6, training=True), stats.uniform(0.2, 0.4).cdf),
    "gamma": (lambda x: torch._standard_gamma(torch.full((len(x),), 2.0)), stats.gamma(2).cdf),  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
}


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous_draws_have_their_distribution(name: str) -> None:
    operation, distribution = CONTINUOUS[name]
    drawn = draw(operation, torch.zeros(SAMPLES), torch.arange(SAMPLES)).numpy()
    assert stats.kstest(drawn, distribution).pvalue > 0.001
    alone = draw(lambda x: operation(torch.zeros(SAMPLES)), torch.zeros(1), torch.zeros(1, dtype=torch.int64)).numpy()
    assert stats.kstest(alone, distribution).pvalue > 0.001


WEIGHTS = np.array([0.1, 0.2, 0.3, 0.4])

DISCRETE: dict[str, tuple[Operation, np.ndarray]] = {
    "randint": (lambda x: torch.randint(4, (len(x),)), np.full(4, 0.25)),
    "random_": (lambda x: torch.empty(len(x)).random_(0, 4), np.full(4, 0.25)),
    "bernoulli": (lambda x: torch.bernoulli(torch.full((len(x),), 0.3)), np.array([0.7, 0.3])),
    "multinomial": (
        lambda x: torch.multinomial(torch.tensor(WEIGHTS).expand(len(x), -1), 1)[:, 0],
        WEIGHTS,
    ),
    "multinomial, replacing": (
        lambda x: torch.multinomial(torch.tensor(WEIGHTS).expand(len(x), -1), 1, replacement=True)[:, 0],
        WEIGHTS,
    ),
    "geometric_": (lambda x: torch.empty(len(x)).geometric_(0.5).clamp(max=4) - 1, np.array([0.5, 0.25, 0.125, 0.125])),
    "poisson": (
        lambda x: torch.poisson(torch.ones(len(x))).clamp(max=3),
        np.append(stats.poisson(1).pmf(range(3)), stats.poisson(1).sf(2)),
    ),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_draws_have_their_shares(name: str) -> None:
    operation, shares = DISCRETE[name]
    drawn = draw(operation, torch.zeros(SAMPLES), torch.arange(SAMPLES)).long().numpy()
    counts = np.bincount(drawn, minlength=len(shares))
    assert len(counts) == len(shares)
    assert stats.chisquare(counts, shares * SAMPLES).pvalue > 0.001


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = torch.randn(400, 400, generator=torch.Generator().manual_seed(1))
    y = draw(lambda x: functional.alpha_dropout(x, 0.4, training=True), x, torch.arange(400))
    assert float(y.mean()) == pytest.approx(0.0, abs=0.01)
    assert float(y.std()) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_dropped_share_and_gradient(p: float) -> None:
    x = torch.ones(BATCH, 500, requires_grad=True)
    y = draw(lambda x: functional.dropout(x, p), x, ORDER)
    assert float((y == 0).float().mean()) == pytest.approx(p, abs=0.03)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())


def test_attention_is_the_formula() -> None:
    x, mask = make_input(2, 5, 8), torch.ones(5, 5, dtype=torch.bool).tril()

    def attend(x: Tensor, **settings: object) -> Tensor:
        return functional.scaled_dot_product_attention(x, x, x, **settings)  # pyright: ignore[reportArgumentType]

    for settings in ({}, {"is_causal": True}, {"attn_mask": mask}, {"attn_mask": mask.float()}, {"scale": 0.1}):
        few = draw(lambda x, s=settings: attend(x, dropout_p=1e-9, **s), x, ORDER)
        torch.testing.assert_close(few, attend(x, **settings))


def flatten(result: object) -> list[Tensor]:
    """Return the tensors of nested tuples."""
    if isinstance(result, Tensor):
        return [result]
    assert isinstance(result, tuple)
    return [tensor for part in result for tensor in flatten(part)]


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("settings", [{"batch_first": True}, {"batch_first": True, "bidirectional": True}])
def test_recurrent_network_is_its_layers(kind: type[nn.LSTM], settings: dict[str, bool]) -> None:
    x, network = make_input(7, 4), kind(4, 3, 3, dropout=0.5, **settings)
    usual = flatten(network.eval()(x))
    network.train().dropout = 1e-9
    for part, whole in zip(flatten(draw(network, x, ORDER)), usual, strict=True):
        torch.testing.assert_close(part, whole)
    network.dropout = 0.5
    dropped = draw(network, x, torch.arange(BATCH))[0]
    torch.testing.assert_close(draw(network, x[ORDER], ORDER)[0], dropped[ORDER])
    assert not torch.equal(dropped, usual[0])


def test_generator_of_its_own_is_left_alone() -> None:
    def own(x: Tensor) -> Tensor:
        return torch.rand(len(x), generator=torch.Generator().manual_seed(5))

    assert torch.equal(draw(own, make_input(1), ORDER), own(make_input(1)))


def test_draw_while_gradients_are_computed_is_an_error() -> None:
    context, x = MaskContext(epoch_keys=operation_keys(1, 1, 1)), make_input(4).requires_grad_()
    context.begin(ORDER, context.step_keys(0))
    with KeyedDraws(context):
        y = checkpoint(lambda x: functional.dropout(x, 0.4), x, use_reentrant=False)
    context.end()
    assert isinstance(y, Tensor)
    with KeyedDraws(context), pytest.raises(RuntimeError, match="do without checkpointing"):
        y.sum().backward()


class Network(nn.Module):
    """Draws with time first, with heads beside examples, for the batch, and for weights of any number of rows."""

    def forward(self, x: Tensor) -> Tensor:
        times, heads = torch.rand(7, len(x), 4), torch.rand(len(x) * 2, 3)
        whole, weights = torch.rand(()), torch.rand(2, 5)
        return x + times.mean() + heads.mean() + whole + weights.mean()


def test_places_are_found_by_batches_of_two_sizes() -> None:
    context = MaskContext()
    model, example = Network(), torch.zeros(2, 4)
    before = torch.get_rng_state()
    places = learn_places(model, context, example, 0)
    assert places == (Place(1, 1), Place(0, 2), None, None)
    assert torch.equal(torch.get_rng_state(), before)
    assert context == MaskContext()
    context.places = places or ()
    context.epoch_keys = operation_keys(1, 1, 1)

    def heads(examples: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        context.begin(examples, context.step_keys(0))
        with KeyedDraws(context):
            times, heads, _, weights = torch.rand(7, 2, 4), torch.rand(4, 3), torch.rand(()), torch.rand(2, 5)
        return times, heads, weights

    one, other = heads(torch.tensor([8, 9])), heads(torch.tensor([9, 8]))
    assert torch.equal(one[0], other[0].flip(1))
    assert torch.equal(one[1][:2], other[1][2:])
    assert torch.equal(one[2], other[2]), "as many rows as examples, and not theirs"


def test_places_of_a_network_that_cannot_be_tried_are_unknown() -> None:
    class Failing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("not in training mode")

    assert learn_places(Failing(), MaskContext(), torch.zeros(2, 4), 0) is None
    assert learn_places(nn.Linear(4, 2), MaskContext(), torch.zeros(2, 4), 0) == ()
