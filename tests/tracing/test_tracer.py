"""Two runs of one training are told apart at the operation in which they part, and equal ones nowhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from engine.tracing.comparison import (
    ARGUMENT,
    INPUT,
    KERNEL,
    MEMORY,
    OPERATIONS,
    RANDOM,
    Verdict,
    compare,
)
from engine.tracing.records import Record, Value, read_line, read_records, write_line
from engine.tracing.tracer import Tracer
from engine.tracing.values import measure

STEPS = 3


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, inputs: Tensor) -> Tensor:
        return functional.relu(self.norm(self.conv(inputs)))


class Net(nn.Module):
    def __init__(self, probability: float = 0.0) -> None:
        super().__init__()
        self.layer = nn.Sequential(Block())
        self.drop = nn.Dropout(probability)
        self.fc = nn.Linear(4 * 36, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.fc(self.drop(self.layer(inputs).flatten(1)))


def trace(
    change: Callable[[int, Net, Tensor], Tensor | None] = lambda step, net, inputs: None,
    *,
    watch: int | None = None,
    seed: int = 0,
    probability: float = 0.0,
    optimiser: Callable[..., torch.optim.Optimizer] = torch.optim.SGD,
    loss: Callable[[Tensor], Tensor] = lambda logits: logits.square().mean(),
    **settings: object,
) -> Tracer:
    """Train a few steps; `change` may replace the inputs of a step, or do anything else before it."""
    with torch.random.fork_rng():
        torch.set_rng_state(torch.Generator().manual_seed(5).get_state())
        net, images = Net(probability), torch.randn(8, 2, 6, 6)
        torch.set_rng_state(torch.Generator().manual_seed(seed).get_state())
        steps = optimiser(net.parameters(), lr=0.1, **settings)
        with Tracer(watch=watch) as tracer:
            for step in range(STEPS):
                other = change(step, net, images)
                outcome = loss(net(images if other is None else other))
                steps.zero_grad()
                outcome.backward()
                steps.step()
    return tracer


def part(*tracers: Tracer) -> Verdict:
    verdict = compare(tracers[0].records, tracers[1].records)
    assert verdict is not None
    return verdict


def find(records: list[Record], name: str, phase: str) -> Record:
    return next(record for record in records if record.name == name and record.phase == phase)


def test_operations_have_modules_and_phases_forward_and_backward() -> None:
    records = trace(momentum=0.9).records
    for name, module in (("convolution", "layer.0.conv"), ("native_batch_norm", "layer.0.norm"), ("addmm", "fc")):
        assert find(records, f"aten::{name}", "forward").module == module
    for name, module in (
        ("convolution_backward", "layer.0.conv"),
        ("native_batch_norm_backward", "layer.0.norm"),
        ("mm", "fc"),
    ):
        assert find(records, f"aten::{name}", "backward").module == module
    stepped = [record for record in records if record.phase == "optimiser"]
    assert {"layer.0.conv.weight", "fc.bias"} <= {one.parameter for record in stepped for one in record.outputs}
    assert find(stepped, "aten::mul_", "optimiser").module.endswith("momentum_buffer")
    assert [record.number for record in records] == list(range(len(records)))


def test_a_model_that_is_called_by_its_parts_is_named_where_it_is_given() -> None:
    net = Net()
    with Tracer(net) as tracer:
        net.layer[0](torch.ones(1, 2, 6, 6)).sum().backward()
    assert find(tracer.records, "aten::convolution_backward", "backward").module == "layer.0.conv"


@pytest.mark.parametrize(
    ("optimiser", "settings"),
    [(torch.optim.SGD, {"momentum": 0.9}), (torch.optim.Adam, {"foreach": True}), (torch.optim.Adam, {"fused": True})],
)
def test_twenty_equal_pairs_part_nowhere(optimiser: Callable[..., torch.optim.Optimizer], settings: dict) -> None:
    first = trace(optimiser=optimiser, probability=0.5, **settings).records
    assert all(value.print is not None for record in first for value in record.outputs if record.name == "aten::addmm")
    for _ in range(7):
        assert compare(first, trace(optimiser=optimiser, probability=0.5, **settings).records) is None


def test_tracing_changes_no_bit() -> None:
    def train(*, traced: bool) -> list[Tensor]:
        torch.set_rng_state(torch.Generator().manual_seed(1).get_state())
        net, images = Net(0.5), torch.randn(8, 2, 6, 6)
        steps = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(2):
            with Tracer() if traced else torch.enable_grad():
                net(images).square().mean().backward()
                steps.step()
        return list(net.state_dict().values())

    with torch.random.fork_rng():
        assert all(map(torch.equal, train(traced=True), train(traced=False)))


def test_reversed_minibatch_is_found_where_it_enters() -> None:
    other = torch.randn(8, 2, 6, 6, generator=torch.Generator().manual_seed(5))

    def give(inputs: Tensor) -> Callable[[int, Net, Tensor], Tensor | None]:
        return lambda step, net, images: inputs if step == 1 else None

    verdict = part(trace(give(other)), trace(give(other.flip(0))))
    assert (verdict.kind, verdict.place) == (INPUT, "input input")
    assert verdict.first is not None
    assert (verdict.first.name, verdict.first.module) == ("aten::convolution", "layer.0.conv")


def change_bits(bits: int) -> Callable[[int, Net, Tensor], None]:
    """Change a weight behind torch's back, by the bits that are given."""

    def change(step: int, net: Net, _inputs: Tensor) -> None:
        if step == 2:
            net.fc.weight.detach().numpy().view("int32")[1, 7] ^= bits

    return change


def test_one_bit_of_a_weight_is_found_by_its_name_and_measured() -> None:
    verdict = part(trace(change_bits(0)), trace(change_bits(1)))
    assert (verdict.kind, verdict.parameter) == (INPUT, "fc.weight")
    kept = [trace(change_bits(bits), watch=verdict.number).kept[verdict.place] for bits in (0, 1)]
    difference = measure(*kept)
    assert difference is not None
    assert (difference.differing, difference.ulps, difference.elements) == (1, 1.0, 3 * 4 * 36)
    assert difference.where == (7, 1), "as the product sees it: transposed"


def test_kernel_that_sums_in_another_order_is_named_with_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    first = trace()
    plain = Tracer.__torch_dispatch__
    calls = 0

    def disturb(self: Tracer, func: object, *rest: Any) -> object:
        """Stand for a kernel whose sums have no fixed order: one element of the second weight gradient."""
        nonlocal calls

        def execute(*args: object, **kwargs: object) -> object:
            nonlocal calls
            result = func(*args, **kwargs)  # type: ignore[operator]
            if func is torch.ops.aten.convolution_backward.default:
                calls += 1
                if calls == 2:
                    result[1].view(-1)[5] *= 1 + 2**-8
            return result

        execute._schema, execute.tags = func._schema, func.tags  # type: ignore[attr-defined]
        return plain(self, execute, *rest)

    monkeypatch.setattr(Tracer, "__torch_dispatch__", disturb)
    verdict = part(first, trace())
    assert calls == STEPS
    assert (verdict.kind, verdict.place) == (KERNEL, "output 1")
    assert verdict.first is not None
    assert (verdict.first.name, verdict.first.module) == ("aten::convolution_backward", "layer.0.conv")


def test_random_layer_without_a_seed_is_named() -> None:
    verdict = part(trace(probability=0.5, seed=1), trace(probability=0.5, seed=2))
    assert verdict.kind == RANDOM
    assert verdict.first is not None
    assert (verdict.first.name, verdict.first.module) == ("aten::bernoulli_", "drop")
    assert compare(trace(seed=1).records, trace(seed=2).records) is None, "a seed that nothing draws from"


def test_other_operations_and_other_numbers_are_told_apart() -> None:
    verdict = part(trace(), trace(lambda step, net, images: images.flip(0) if step == 1 else None))
    assert verdict.kind == OPERATIONS
    assert verdict.second is not None
    assert verdict.second.name == "aten::flip"
    longer = trace().records
    ended = compare(longer[:-1], longer)
    assert ended is not None
    assert (ended.kind, ended.first, ended.second) == (OPERATIONS, None, longer[-1])
    scaled = part(trace(loss=lambda out: (out * 2).mean()), trace(loss=lambda out: (out * 3).mean()))
    assert scaled.kind == ARGUMENT
    assert scaled.second is not None
    assert "3" in scaled.second.arguments


def with_memory(fill: float, *, use: bool) -> list[Record]:
    """Read memory that `torch.empty` gave as it found it; `fill` stands for what was there."""
    with Tracer() as tracer:
        buffer = torch.empty(6)
        buffer.numpy()[:] = fill
        half = torch.empty(6)
        half[:3], half[3:] = 1.0, 2.0
        copy = buffer.clone()
        if not use:
            copy.zero_()
        (copy + half).sum()
    return tracer.records


def test_memory_as_it_was_found_counts_only_where_something_comes_of_it() -> None:
    assert compare(with_memory(1.0, use=False), with_memory(2.0, use=False)) is None
    verdict = compare(with_memory(1.0, use=True), with_memory(2.0, use=True))
    assert verdict is not None
    assert verdict.kind == MEMORY
    assert verdict.first is not None
    assert verdict.first.name == "aten::clone"
    filled = next(record for record in with_memory(0.0, use=True) if record.name == "aten::add")
    assert filled.inputs[1].print is not None, "what was filled in parts is known"


def with_workspace(content: float, *, reaches: bool) -> list[Record]:
    """Two outputs of which one differs, and what reads them; every number stands for a fingerprint."""

    def value(found: float) -> Value:
        return Value("0", "float32", (2,), int(found), "")

    gives = Record(0, "aten::gives", "", "forward", False, "", (value(1),), (value(2), value(content)))
    reads = Record(1, "aten::reads", "", "backward", False, "", (value(content),), (value(content if reaches else 3),))
    return [gives, reads]


def test_output_of_which_nothing_comes_does_not_count() -> None:
    assert compare(with_workspace(4, reaches=False), with_workspace(5, reaches=False)) is None
    verdict = compare(with_workspace(4, reaches=True), with_workspace(5, reaches=True))
    assert verdict is not None
    assert (verdict.kind, verdict.number) == (KERNEL, 0)
    unread = compare(with_workspace(4, reaches=False)[:1], with_workspace(5, reaches=False)[:1])
    assert unread is not None, "what is read by nothing may be the outcome"


def test_tensor_from_another_process_differs_where_it_is_read() -> None:
    def take(content: float) -> list[Record]:
        """Build a tensor of memory that torch has not filled, as a loader does with what its workers send."""
        storage = torch.full((4,), content).untyped_storage()
        with Tracer() as tracer:
            torch.empty(0).set_(storage, 0, (4,), (1,)).mul(2)  # type: ignore[call-overload]
        return tracer.records

    verdict = compare(take(1.0), take(3.0))
    assert verdict is not None
    assert (verdict.kind, verdict.place) == (INPUT, "input self")
    assert verdict.first is not None
    assert verdict.first.name == "aten::mul"


def test_memory_that_is_used_again_has_no_old_fingerprint() -> None:
    with Tracer() as tracer:
        for value in (1.0, 2.0, 3.0):
            one = torch.full((4,), value)
            other = one * 1
            one.fill_(value + 0.5)
            other = one * 1
            del one, other
    products = [record for record in tracer.records if record.name == "aten::mul"]
    assert len({record.inputs[0].print for record in products}) == 6


def test_modules_that_are_computed_again_in_the_backward_pass_keep_their_names() -> None:
    net = Net()
    with Tracer(net) as tracer:
        checkpoint(net.layer, torch.ones(1, 2, 6, 6, requires_grad=True), use_reentrant=False).sum().backward()
    found = [record.module for record in tracer.records if record.name.startswith("aten::convolution")]
    assert found == ["layer.0.conv"] * 3


def test_process_that_is_forked_off_is_left_alone() -> None:
    with Tracer() as tracer:
        torch.ones(1)
        before, child = tracer.count, os.fork()
        if child == 0:
            torch.ones(1).add(1)
            os._exit(tracer.count - before)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert tracer.count == before > 0


def test_records_are_handed_on_as_they_come_and_read_back(tmp_path: object) -> None:
    batches: list[list[Record]] = []
    with Tracer(sink=batches.append) as tracer:
        for _ in range(3000):
            torch.ones(1).add(1)
    assert tracer.records == []
    assert len(batches) == 2
    records = [record for batch in batches for record in batch]
    path = tmp_path / "records"  # type: ignore[operator]
    path.write_text("".join(map(write_line, records)) + '[0,"cut')
    assert list(read_records(path)) == records
    assert len(records) == tracer.count == 6000


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_tensors_are_read_with_their_lengths(layout: torch.layout) -> None:
    def take(*lengths: int, fill: float = 1.0) -> list[Record]:
        parts = [torch.full((length, 3), fill) for length in lengths]
        with Tracer() as tracer:
            _ = torch.nested.nested_tensor(parts, layout=layout) * 2
        return [record for record in tracer.records if record.name == "aten::mul"]

    first = take(2, 4)
    assert [value.shape[0] for value in (*first[0].inputs, *first[0].outputs)] == [2, 2]
    assert read_line(write_line(first[0])) == first[0]
    assert compare(first, take(2, 4)) is None
    for other in (take(2, 4, fill=2.0), take(4, 2)):
        verdict = compare(first, other)
        assert verdict is not None
        assert (verdict.kind, verdict.place) == (INPUT, "input self")


class Tagged(Tensor):
    """Stands for tensors of a class that only has another name, as libraries for images have them."""


def test_tensors_of_a_class_that_leaves_all_to_torch_are_read() -> None:
    def take(first: float, *, filled: bool = True) -> list[Record]:
        images = torch.full((2, 3), first).as_subclass(Tagged)
        with Tracer() as tracer:
            _ = images * 2
            made = torch.empty_like(images)
            if filled:
                made.fill_(first)
            _ = made + 1
        return [record for record in tracer.records if record.name in ("aten::mul", "aten::add")]

    first = take(1.0)
    assert compare(first, take(1.0)) is None
    verdict = compare(first, take(3.0))
    assert verdict is not None
    assert (verdict.kind, verdict.place) == (INPUT, "input self")
    assert [record.inputs[0].print is None for record in take(1.0, filled=False)] == [False, True]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_kept_tensors_are_of_no_class_of_the_program(tmp_path: Path) -> None:
    nested = torch.nested.nested_tensor([torch.ones(2, 3)], layout=torch.jagged)
    for given, names in ((torch.ones(3).as_subclass(Tagged), ["input self", "output 0"]), (nested, [])):
        with Tracer(watch=0) as tracer:
            _ = given * 2
        torch.save(tracer.kept, tmp_path / "kept")
        assert list(torch.load(tmp_path / "kept", weights_only=True)) == names


def test_output_whose_fingerprint_is_0_is_known_again_in_another_shape() -> None:
    def make(output: int) -> list[Record]:
        gives, reads = (Value("0", "float32", shape, output, "") for shape in ((1, 2), (2, 1)))
        return [
            Record(0, "aten::gives", "", "forward", False, "", (), (gives,)),
            Record(1, "aten::reads", "", "forward", False, "", (reads,), (gives._replace(print=output + 1),)),
        ]

    verdict = compare(make(0), make(5))
    assert verdict is not None
    assert (verdict.kind, verdict.number) == (KERNEL, 0)
