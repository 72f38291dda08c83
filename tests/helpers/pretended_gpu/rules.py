"""What CUDA refuses to do, and what it makes the CPU wait for: rules about a single operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten

COPYING = {aten.copy_, aten._to_copy, aten._copy_from}

WAITING = {
    aten._local_scalar_dense, aten.equal, aten.nonzero, aten.masked_select, aten.is_nonzero, aten._unique2,
    aten.unique_dim, aten.unique_consecutive, aten.repeat_interleave,
}  # fmt: skip
"""Operations whose result the CPU waits for."""

INDEXING = {
    aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_, aten._unsafe_index, aten._unsafe_index_put,
}  # fmt: skip
"""Operations that take indices from the CPU too."""

NOT_DETERMINISTIC = {
    aten._adaptive_avg_pool2d_backward, aten._adaptive_avg_pool3d_backward, aten.adaptive_max_pool2d_backward,
    aten.avg_pool3d_backward, aten.fractional_max_pool2d_backward, aten.reflection_pad2d_backward,
    aten.upsample_bilinear2d_backward, aten.upsample_bicubic2d_backward, aten.nll_loss2d_forward,
    aten.nll_loss2d_backward, aten.grid_sampler_2d_backward, aten.histc, aten.median, aten.put_,
}  # fmt: skip
"""As the documentation of `use_deterministic_algorithms` lists them; `cumsum` of floats is one more."""

FUSED = {aten._fused_sgd_: 3, aten._fused_adam_: 4, aten._fused_adamw_: 4}
"""Fused optimisers, and how many of their first arguments are lists whose strides have to agree."""


class RefusedError(RuntimeError):
    """What CUDA would not do."""


@dataclass(frozen=True)
class Call:
    """One operation on its way to the kernels."""

    func: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    here: tuple[Tensor, ...]
    """Its tensors on the pretended GPU."""
    others: tuple[Tensor, ...]
    """Its tensors on the CPU."""

    @property
    def packet(self) -> Any:
        """The operation without its overload."""
        return self.func.overloadpacket

    @property
    def wanted(self) -> torch.device | None:
        """The device that the result is asked to be on."""
        device = self.kwargs.get("device")
        return None if device is None else torch.device(device)

    @property
    def makes(self) -> bool:
        """Whether the result is asked to be on the GPU."""
        return self.wanted is not None and self.wanted.type == "cuda"

    @property
    def leaves(self) -> bool:
        """Whether the result is asked to be on the CPU."""
        return self.wanted is not None and self.wanted.type != "cuda"


def refuse(call: Call) -> None:
    """Refuse what CUDA refuses.

    Raises:
        RefusedError: With CUDA's reason.
    """
    _refuse_two_devices(call)
    generator = call.kwargs.get("generator")
    if generator is not None and generator.device.type == "cpu":
        raise RefusedError(f"{call.func}: expected a 'cuda' device type for generator but found 'cpu'")
    if torch.are_deterministic_algorithms_enabled():
        sums_floats = call.packet is aten.cumsum and call.args[0].is_floating_point()
        if call.packet in NOT_DETERMINISTIC or sums_floats:
            raise RefusedError(f"{call.func} does not have a deterministic implementation")
    if call.packet in FUSED:
        _refuse_unlike_strides(call, call.args[: FUSED[call.packet]])


def crosses(call: Call) -> bool:
    """Whether an operation copies from one device to the other."""
    return call.packet in COPYING and bool(call.others or not call.here or call.leaves)


def find_wait(call: Call, is_pinned: Callable[[Tensor], bool]) -> str | None:
    """What the CPU waits for in an operation; None where it goes on at once.

    Args:
        call: The operation.
        is_pinned: Tells whether the GPU fetches a tensor from the CPU's memory by itself.
    """
    if call.packet in COPYING:
        if not crosses(call) or (call.kwargs.get("non_blocking") and all(map(is_pinned, call.others))):
            return None
        return f"{call.func} {'to' if call.makes or call.others else 'from'} the GPU"
    if any(tensor.dim() for tensor in call.others):
        return f"{call.func} by indices from the CPU"
    return str(call.func) if call.packet in WAITING else None


def _refuse_two_devices(call: Call) -> None:
    if call.packet in COPYING or not any(tensor.dim() for tensor in call.others):
        return
    if call.packet in INDEXING and any(call.args[0] is tensor for tensor in call.here):
        kinds = (torch.int64, torch.int32, torch.bool)
        if all(index is None or index.dtype in kinds for index in call.args[1]):
            return
    raise RefusedError(f"{call.func}: expected all tensors to be on the same device, but found cuda:0 and cpu")


def _refuse_unlike_strides(call: Call, lists: tuple[Any, ...]) -> None:
    """Refuse weights, gradients and state that are laid out otherwise than each other, or with gaps.

    Source: check_fast_path_restrictions of ATen/native/ForeachUtils.h, which FusedSgdKernel.cu insists on.
    """
    for tensors in zip(*(values for values in lists if values), strict=True):
        if len({_strides(tensor) for tensor in tensors}) > 1:
            found = [tensor.stride() for tensor in tensors]
            raise RefusedError(f"{call.func}: check_fast_path_restrictions: strides {found}")
        expected = 1
        for length, stride in sorted(_strides(tensors[0]), key=lambda pair: pair[1]):
            if stride != expected:
                raise RefusedError(f"{call.func}: check_fast_path_restrictions: not dense {tensors[0].stride()}")
            expected *= length


def _strides(tensor: Tensor) -> tuple[tuple[int, int], ...]:
    """Lengths and strides of the axes that have more than one place."""
    return tuple((n, s) for n, s in zip(tensor.shape, tensor.stride(), strict=True) if n != 1)
