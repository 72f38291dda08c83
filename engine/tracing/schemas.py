"""Says of each operation of torch what it does with its arguments: reads, overwrites, looks at, draws."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

UNRECORDED = ("profiler::", "prim::", "debugprims::")
"""Beginnings of names that compute nothing."""
MEMORY = (
    "aten::empty", "aten::empty_like", "aten::empty_strided", "aten::empty_permuted", "aten::new_empty",
    "aten::new_empty_strided", "aten::resize_", "aten::resize", "aten::_resize_output_", "aten::empty_quantized",
    "aten::_empty_affine_quantized",
)  # fmt: skip
"""Operations whose output is memory as it was found."""
EXCHANGING = ("aten::set_", "aten::set_data")
"""Operations that give a tensor other memory."""
OVERWRITING = (
    "aten::fill_", "aten::zero_", "aten::copy_", "aten::normal_", "aten::uniform_", "aten::random_", "aten::bernoulli_",
    "aten::exponential_", "aten::geometric_", "aten::cauchy_", "aten::log_normal_",
    "aten::_foreach_copy_", "aten::_foreach_zero_",
)  # fmt: skip
"""In-place operations that do not read what they write over."""
RUNNING = frozenset({"running_mean", "running_var"})
HIDDEN_WRITES = {
    "aten::native_batch_norm": RUNNING, "aten::cudnn_batch_norm": RUNNING, "aten::miopen_batch_norm": RUNNING,
}  # fmt: skip
"""Arguments that are written although the schema does not say so."""
WORKSPACES = {
    "aten::_cudnn_rnn": (3, 4), "aten::cudnn_batch_norm": (3,), "aten::_batch_norm_with_update": (3,),
    "aten::mkldnn_rnn_layer": (3,), "aten::miopen_rnn": (3, 4), "aten::_embedding_bag": (1, 2, 3),
    "aten::_embedding_bag_forward_only": (1, 2, 3), "aten::_ctc_loss": (1,),
    "aten::_scaled_dot_product_flash_attention": (6, 7, 8), "aten::_scaled_dot_product_cudnn_attention": (6, 7, 8),
    "aten::_scaled_dot_product_efficient_attention": (1, 2, 3), "aten::_flash_attention_forward": (2, 3, 4),
    "aten::_efficient_attention_forward": (1, 2, 3),
}  # fmt: skip
"""Outputs for the backward pass that may hold memory as it was found: they mean nothing by themselves."""
WORKSPACE_INPUTS = frozenset(
    {"workspace", "reserve", "reserveSpace", "reserve_space", "log_alpha", "rng_state", "philox_seed", "philox_offset"}
)
"""Names of arguments of the backward pass that are given them."""


class Operation(NamedTuple):
    """Describes an overload of an operation."""

    name: str
    is_view: bool
    """Whether its output is another look at the memory of an input."""
    is_random: bool
    is_memory: bool
    """Whether it only takes memory or exchanges it, and computes nothing."""
    is_filled: bool
    """Whether that memory comes from elsewhere and means something."""
    labels: tuple[str, ...]
    """Names of its arguments, in order."""
    written: frozenset[str]
    """Names of arguments that it writes."""
    unread: frozenset[str]
    """Those whose content before means nothing to it: it writes over it, or it is a workspace."""
    workspaces: tuple[int, ...]


_known: dict[Any, Any] = {}


def describe(function: Any) -> Any:
    """Return the description of an overload, or None for what is not recorded."""
    if function in _known:
        return _known[function]
    schema = getattr(function, "_schema", None)
    described = None
    if schema is not None and not schema.name.startswith(UNRECORDED):
        described = _describe(function, schema)
    _known[function] = described
    return described


def _describe(function: Any, schema: Any) -> Operation:
    written = frozenset(one.name for one in schema.arguments if _writes(one))
    written |= HIDDEN_WRITES.get(schema.name, frozenset())
    outs = frozenset(one.name for one in schema.arguments if _writes(one) and one.kwarg_only)
    labels = tuple(one.name for one in schema.arguments)
    aliases = any(one.alias_info is not None for one in schema.returns)
    return Operation(
        name=schema.name,
        is_view=aliases and not written and schema.name != "aten::lift_fresh",
        is_random=torch.Tag.nondeterministic_seeded in function.tags,
        is_memory=schema.name in MEMORY or schema.name in EXCHANGING,
        is_filled=schema.name in EXCHANGING,
        labels=labels,
        written=written,
        unread=(written if schema.name in OVERWRITING else outs) | (WORKSPACE_INPUTS & {*labels}),
        workspaces=WORKSPACES.get(schema.name, ()),
    )


def _writes(argument: Any) -> bool:
    return argument.alias_info is not None and argument.alias_info.is_write
