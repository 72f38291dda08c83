"""torch's random operations, each with a twin that draws from a `MaskContext`.

A twin takes the context, the operation itself and the operation's arguments. Operations that torch composes of others
in Python are run from inside, so that what they draw is seen; those that it composes in C++ are composed here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from engine.training.random import distributions
from engine.training.random.context import MaskContext

Twin = Callable[..., Any]


def make_own(made: Tensor, context: MaskContext) -> Tensor:
    """Give each stacked replica a tensor of its own where all of them share one, so that it can be filled in place."""
    if context.draws is None or not _is_stacked(context.draws) or _is_stacked(made):
        return made
    return made + (context.draws[0] * 0).to(made.dtype)


def _is_stacked(tensor: Tensor) -> bool:
    return torch._C._functorch.is_batchedtensor(tensor)  # pyright: ignore[reportAttributeAccessIssue, reportPrivateUsage] - torch.func has no public test for it


def _make_like(func: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return what makes an empty tensor from the arguments of an operation that makes a random one."""

    def make(*args: Any, generator: None = None, out: None = None, **kwargs: Any) -> Tensor:
        return func(*args, **kwargs)

    return make


_empty, _empty_like = _make_like(torch.empty), _make_like(torch.empty_like)


def _give(values: Tensor, like: Tensor, out: Tensor | None = None) -> Tensor:
    """Return values as an operation returns them: in the type and on the device of a tensor, or in `out`."""
    if out is not None:
        return out.copy_(values)
    given = values.to(device=like.device, dtype=like.dtype)
    return given.requires_grad_() if like.requires_grad else given


def _rand(context: MaskContext, func: Any, *args: Any, out: Tensor | None = None, **kwargs: Any) -> Tensor:
    like = out if out is not None else _empty(*args, **kwargs)
    return _give(distributions.uniform(context.take("rand", like.shape), like.dtype), like, out)


def _rand_like(context: MaskContext, func: Any, *args: Any, **kwargs: Any) -> Tensor:
    like = _empty_like(*args, **kwargs)
    return _give(distributions.uniform(context.take("rand_like", like.shape), like.dtype), like)


def _randn(context: MaskContext, func: Any, *args: Any, out: Tensor | None = None, **kwargs: Any) -> Tensor:
    like = out if out is not None else _empty(*args, **kwargs)
    return _give(distributions.normal(context.take("randn", like.shape)), like, out)


def _randn_like(context: MaskContext, func: Any, *args: Any, **kwargs: Any) -> Tensor:
    like = _empty_like(*args, **kwargs)
    return _give(distributions.normal(context.take("randn_like", like.shape)), like)


def _randint(context: MaskContext, func: Any, *args: Any, out: Tensor | None = None, **kwargs: Any) -> Tensor:
    positional = list(args)
    size = kwargs.pop("size", None)
    size = positional.pop() if size is None else size
    low, high = _read_limits(positional, kwargs)
    like = _empty(size, **{"dtype": torch.int64} | kwargs)
    return _give(distributions.integers(context.take("randint", like.shape), low, high), like, out)


def _randint_like(context: MaskContext, func: Any, *args: Any, **kwargs: Any) -> Tensor:
    model = kwargs.pop("input") if "input" in kwargs else args[0]
    low, high = _read_limits(list(args[1:] if "input" not in kwargs else args), kwargs)
    like = _empty_like(model, **kwargs)
    return _give(distributions.integers(context.take("randint_like", like.shape), low, high), like)


def _read_limits(positional: list[Any], named: dict[str, Any]) -> tuple[int, int]:
    """Take the limits from arguments (high) or (low, high)."""
    if len(positional) == 1 and "high" not in named:
        return named.pop("low", 0), int(positional[0])
    low = positional[0] if positional else named.pop("low", 0)
    high = positional[1] if len(positional) > 1 else named.pop("high")
    return int(low), int(high)


def _randperm(context: MaskContext, func: Any, n: int, *, out: Tensor | None = None, **kwargs: Any) -> Tensor:
    """Permute; as many numbers as the batch has examples stand for these, whatever their order in the batch."""
    like = _empty(n, **{"dtype": torch.int64} | kwargs)
    permuted = distributions.permute(context.take("randperm", (n,), of_step=True))
    examples = context.examples
    if examples is not None and len(examples) == n > 1:
        by_id = torch.argsort(examples)
        permuted = by_id[permuted[torch.argsort(by_id)]]
    return _give(permuted, like, out)


def _normal(context: MaskContext, func: Any, *args: Any, out: Tensor | None = None, **kwargs: Any) -> Tensor:
    def read(mean: Any = 0.0, std: Any = 1.0, size: Any = None) -> tuple[Any, Any, Any]:
        return mean, std, size

    own = {name: kwargs.pop(name) for name in ("mean", "std", "size") if name in kwargs}
    mean, std, size = read(*args, **own)
    if size is not None:
        like = _empty(size, **kwargs)
    else:
        like = torch.empty_like(torch.as_tensor(mean) + torch.as_tensor(std))
    values = distributions.normal(context.take("normal", like.shape)).to(like.dtype)
    return _give(values.to(like.device) * std + mean, like, out)


def _bernoulli(context: MaskContext, func: Any, input: Tensor, p: float | None = None, **kwargs: Any) -> Tensor:  # noqa: A002
    chance = input.detach() if p is None else p
    drawn = distributions.bernoulli(context.take("bernoulli", input.shape), chance)
    return _give(drawn, input.detach(), kwargs.get("out"))


def _bernoulli_(context: MaskContext, func: Any, self: Tensor, p: float | Tensor = 0.5, **kwargs: Any) -> Tensor:
    return self.copy_(distributions.bernoulli(context.take("bernoulli_", self.shape), p))


def _uniform_(context: MaskContext, func: Any, self: Tensor, *limits: float, **kwargs: Any) -> Tensor:
    low = limits[0] if limits else kwargs.get("from", 0.0)
    high = limits[1] if len(limits) > 1 else kwargs.get("to", 1.0)
    units = distributions.uniform(context.take("uniform_", self.shape), self.dtype)
    return self.copy_(units * (high - low) + low)


def _normal_(
    context: MaskContext, func: Any, self: Tensor, mean: float = 0.0, std: float = 1.0, **kwargs: Any
) -> Tensor:
    return self.copy_(distributions.normal(context.take("normal_", self.shape)) * std + mean)


def _log_normal_(
    context: MaskContext, func: Any, self: Tensor, mean: float = 1.0, std: float = 2.0, **kwargs: Any
) -> Tensor:
    return self.copy_(torch.exp(distributions.normal(context.take("log_normal_", self.shape)) * std + mean))


def _exponential_(context: MaskContext, func: Any, self: Tensor, lambd: float = 1.0, **kwargs: Any) -> Tensor:
    return self.copy_(distributions.exponential(context.take("exponential_", self.shape)) / lambd)


def _geometric_(context: MaskContext, func: Any, self: Tensor, p: float, **kwargs: Any) -> Tensor:
    return self.copy_(distributions.geometric(context.take("geometric_", self.shape), p))


def _cauchy_(
    context: MaskContext, func: Any, self: Tensor, median: float = 0.0, sigma: float = 1.0, **kwargs: Any
) -> Tensor:
    return self.copy_(distributions.cauchy(context.take("cauchy_", self.shape)) * sigma + median)


def _random_(context: MaskContext, func: Any, self: Tensor, *limits: int, **kwargs: Any) -> Tensor:
    named = {"low": kwargs.get("from", 0)} | ({"high": kwargs["to"]} if "to" in kwargs else {})
    if not limits and "high" not in named:  # without limits: all that the type can hold exactly
        whole = {torch.float64: 2**53, torch.float32: 2**24, torch.float16: 2**11, torch.bfloat16: 2**8}
        high = whole[self.dtype] + 1 if self.dtype.is_floating_point else min(torch.iinfo(self.dtype).max, 2**47)
        named["high"] = high
    low, high = _read_limits(list(limits), named)
    return self.copy_(distributions.integers(context.take("random_", self.shape), low, high))


def _multinomial(
    context: MaskContext,
    func: Any,
    input: Tensor,  # noqa: A002
    num_samples: int,
    replacement: bool = False,
    **kwargs: Any,
) -> Tensor:
    shape = (*input.shape[:-1], num_samples) if replacement else input.shape
    words = context.take("multinomial", shape)
    chosen = distributions.choose(words, input.detach(), num_samples, replacement=replacement)
    return chosen if kwargs.get("out") is None else kwargs["out"].copy_(chosen)


def _dropout(context: MaskContext, func: Any, input: Tensor, p: float, train: bool) -> Tensor:  # noqa: A002
    """Drop units, or channels, or what alpha dropout puts in their place, as the operation's name says."""
    name = func.__name__
    if not train or p == 0.0:
        return input
    channels = name.startswith("feature")
    shape = (*input.shape[:2], *[1] * (input.dim() - 2)) if channels else input.shape
    words = context.take(name, shape)
    keep = ~distributions.bernoulli(words, p)
    if p >= 1.0:
        factor, summand = torch.zeros_like(keep, dtype=input.dtype), None
    elif "alpha" in name:
        factor, summand = distributions.drop_alpha(input, keep, p)
    else:
        factor, summand = distributions.drop(input, keep, p), None
    if name.endswith("_"):
        input.mul_(factor)
        return input if summand is None else input.add_(summand)
    dropped = input * factor
    return dropped if summand is None else dropped + summand


def _rrelu(  # noqa: PLR0917 - as torch's own
    context: MaskContext,
    func: Any,
    input: Tensor,  # noqa: A002
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    **kwargs: Any,
) -> Tensor:
    if not training:
        return func(input, lower, upper, training)
    units = distributions.uniform(context.take("rrelu", input.shape), input.dtype)
    slopes = torch.where(input.detach() > 0, 1.0, units * (upper - lower) + lower).to(input.dtype)
    return input.mul_(slopes) if func.__name__.endswith("_") else input * slopes


def _attend(  # noqa: PLR0917 - as torch's own
    context: MaskContext,
    func: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Compute attention by the formula, as fused kernels draw inside; without dropout they are used."""
    if dropout_p == 0.0:
        return func(query, key, value, attn_mask, 0.0, is_causal, scale=scale, enable_gqa=enable_gqa)
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
        value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
    scores = query @ key.mT * (1.0 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~allowed, -math.inf)
    if attn_mask is not None:
        added = attn_mask.dtype != torch.bool
        scores = scores + attn_mask if added else scores.masked_fill(~attn_mask, -math.inf)
    weights = scores.softmax(-1)
    keep = ~distributions.bernoulli(context.take("scaled_dot_product_attention", weights.shape), dropout_p)
    return (weights * distributions.drop(weights, keep, dropout_p)) @ value


def _recur(context: MaskContext, func: Any, *args: Any) -> Any:
    """Run a recurrent network layer by layer, as torch's own drops between the layers inside."""
    if len(args) != 9 or isinstance(args[3], (tuple, list)):  # a packed sequence: rows are no examples
        return func(*args)
    x, hidden, weights, biases, layers, p, train, both, batch_first = args
    if not train or p == 0.0 or layers == 1:
        return func(*args)
    is_lstm, directions = isinstance(hidden, (tuple, list)), 2 if both else 1
    per_layer = len(weights) // layers
    states: list[tuple[Tensor, ...]] = []
    for layer in range(layers):
        if layer > 0:
            x = x * distributions.drop(x, ~distributions.bernoulli(context.take(func.__name__, x.shape), p), p)
        part = slice(layer * directions, (layer + 1) * directions)
        own = tuple(one[part] for one in hidden) if is_lstm else hidden[part]
        used = weights[layer * per_layer : (layer + 1) * per_layer]
        x, *after = func(x, own, used, biases, 1, 0.0, train, both, batch_first)
        states.append(tuple(after))
    return (x, *(torch.cat(parts) for parts in zip(*states, strict=True)))


def _draw_by_row(context: MaskContext, func: Any, *args: Tensor, **kwargs: Any) -> Tensor:
    """Draw each example's part with a generator of its own: for distributions that take an unknown number of draws.

    The generator is the CPU's, so that draws are equal on every device. Stacked replicas cannot be drawn for like this.
    """
    if context.draws is not None and _is_stacked(context.draws):
        raise RuntimeError(f"torch.{func.__name__} cannot be drawn for stacked replicas")
    whole = torch.broadcast_tensors(*args)
    words = context.take(func.__name__, (len(whole[0]), 1) if whole[0].dim() else (1, 1))
    seeds = ((words(0) << distributions.BITS) | words(1))[:, 0].tolist()
    rows: list[Tensor] = []
    for row, seed in enumerate(seeds):
        generator = torch.Generator()
        generator.manual_seed(seed)
        own = [one[row].cpu() if one.dim() else one.cpu() for one in whole]
        rows.append(func(*own, generator=generator).to(whole[0].device))
    return torch.stack(rows) if whole[0].dim() else rows[0]


def _sees_no_mode(*_: object) -> bool:
    return False


def _open(function: FunctionType) -> Callable[..., Any]:
    """Return a function of torch in Python that runs its own code instead of handing over to a mode."""
    blind = {name: _sees_no_mode for name in vars(functional) if name.startswith("has_torch_function")}
    inside = FunctionType(
        function.__code__, function.__globals__ | blind, function.__name__, function.__defaults__, function.__closure__
    )
    inside.__kwdefaults__ = function.__kwdefaults__
    return inside


_COMPOSED: dict[Any, Any] = {
    **{
        function: function
        for function in (
            functional.dropout,
            functional.dropout1d,
            functional.dropout2d,
            functional.dropout3d,
            functional.alpha_dropout,
            functional.feature_alpha_dropout,
            functional.rrelu,
            functional.gumbel_softmax,
            functional.multi_head_attention_forward,
            functional.fractional_max_pool2d_with_indices,
            functional.fractional_max_pool3d_with_indices,
            Tensor.backward,
            torch.autograd.backward,
        )
    },
    functional.fractional_max_pool2d: functional._fractional_max_pool2d,  # pyright: ignore[reportAttributeAccessIssue] - the code behind the public name
    functional.fractional_max_pool3d: functional._fractional_max_pool3d,  # pyright: ignore[reportAttributeAccessIssue]
}
"""Function in which draws may happen → its code in Python."""

WITH_DRAWS_INSIDE: dict[Any, Callable[..., Any]] = {name: _open(function) for name, function in _COMPOSED.items()}
"""The same, to be run from inside."""

_OPERATIONS: dict[Twin, tuple[Any, ...]] = {
    _rand: (torch.rand,),
    _rand_like: (torch.rand_like,),
    _randn: (torch.randn,),
    _randn_like: (torch.randn_like,),
    _randint: (torch.randint,),
    _randint_like: (torch.randint_like,),
    _randperm: (torch.randperm,),
    _normal: (torch.normal,),
    _bernoulli: (torch.bernoulli, Tensor.bernoulli),
    _bernoulli_: (Tensor.bernoulli_,),
    _uniform_: (Tensor.uniform_,),
    _normal_: (Tensor.normal_,),
    _log_normal_: (Tensor.log_normal_,),
    _exponential_: (Tensor.exponential_,),
    _geometric_: (Tensor.geometric_,),
    _cauchy_: (Tensor.cauchy_,),
    _random_: (Tensor.random_,),
    _multinomial: (torch.multinomial, Tensor.multinomial),
    _rrelu: (torch.rrelu, torch.rrelu_),
    _attend: (functional.scaled_dot_product_attention,),
    _dropout: tuple(
        getattr(torch, f"{kind}{end}")
        for kind in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
        for end in ("", "_")
    ),
    _recur: (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu),
    _draw_by_row: (torch.poisson, torch.binomial, torch._standard_gamma, torch._sample_dirichlet),  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage] - torch.distributions draw with them
}

KEYED: dict[Any, Twin] = {operation: twin for twin, operations in _OPERATIONS.items() for operation in operations}
"""Operation → its twin."""
