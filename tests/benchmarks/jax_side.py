"""Small networks trained by JAX, as fast as is commonly done: one compiled program holds an epoch of all replicas.

Runs under a Python that has JAX, needs nothing of the project, and answers orders on its standard input, one a line:
see `Order`. `jax_peer` starts it and is what it is compared with.

Source: "Parallelizing neural networks on one GPU with JAX" (Will Whitney, 2021): jit of vmap over replicas.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any, TypedDict

import jax  # pyright: ignore[reportMissingImports] - no dependency of the project
import jax.numpy as jnp  # pyright: ignore[reportMissingImports]
import numpy as np
from jax import lax  # pyright: ignore[reportMissingImports]

HIDDEN = 512
CHANNELS = 16
MOMENTUM, WEIGHT_DECAY, SLOW = 0.9, 5e-4, 0.1
EPSILON = 1e-5
"""Of batch norms."""
SHARE_S = 0.5
"""How long epochs with and without evaluation are timed for, to know its share."""

Tree = dict[str, Any]


class Order(TypedDict):
    """What is to be trained: the first one of a case compiles, each gives an answer."""

    preset: str
    data: str
    """An .npz file of train_inputs, train_labels, test_inputs, test_labels; inputs (N, C, H, W)."""
    replicas: int
    shared: bool
    """Whether replicas see the same batches."""
    batch_size: int
    seconds: float
    """Epochs are trained until this much has passed."""


def _uniform(key: Any, shape: tuple[int, ...], inputs: int) -> Any:
    bound = 1 / math.sqrt(inputs)
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)


def _dense(key: Any, inputs: int, outputs: int) -> Tree:
    return {"weight": _uniform(key, (inputs, outputs), inputs), "bias": _uniform(key, (outputs,), inputs)}


def _kernel(key: Any, size: int, inputs: int, outputs: int) -> Any:
    return _uniform(key, (size, size, inputs, outputs), size * size * inputs)


def _norm(channels: int) -> Tree:
    return {"weight": jnp.ones(channels), "bias": jnp.zeros(channels)}


def start(preset: str, shape: tuple[int, ...], key: Any) -> tuple[Tree, Tree]:
    """Draw the weights of a network for inputs (H, W, C), and the running statistics of its norms."""
    keys = jax.random.split(key, 8)
    height, width, channels = shape
    if preset == "linear":
        return {"fc": _dense(keys[0], height * width * channels, 10)}, {}
    if preset == "hidden-fc":
        return {"fc1": _dense(keys[0], height * width * channels, HIDDEN), "fc2": _dense(keys[1], HIDDEN, 10)}, {}
    if preset == "mnist-cnn":
        inside = ((height - 4) // 2) * ((width - 4) // 2) * 64
        weights = {
            "conv1": {"weight": _kernel(keys[0], 3, channels, 32), "bias": jnp.zeros(32)},
            "conv2": {"weight": _kernel(keys[1], 3, 32, 64), "bias": jnp.zeros(64)},
            "fc1": _dense(keys[2], inside, 128),
            "fc2": _dense(keys[3], 128, 10),
        }
        return weights, {}
    weights: Tree = {"conv": _kernel(keys[0], 3, channels, CHANNELS), "bn": _norm(CHANNELS)}
    for number in range(4):
        weights |= {f"conv{number}": _kernel(keys[1 + number], 3, CHANNELS, CHANNELS), f"bn{number}": _norm(CHANNELS)}
    names = ["bn", *(f"bn{number}" for number in range(4))]
    statistics = {name: {"mean": jnp.zeros(CHANNELS), "var": jnp.ones(CHANNELS)} for name in names}
    return weights | {"fc": _dense(keys[5], CHANNELS, 10)}, statistics


def _apply(layer: Tree, x: Any) -> Any:
    return x @ layer["weight"] + layer["bias"]


def _convolve(x: Any, kernel: Any, padding: str) -> Any:
    return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _normalise(x: Any, scale: Tree, running: Tree, *, training: bool) -> tuple[Any, Tree]:
    mean, var = (x.mean((0, 1, 2)), x.var((0, 1, 2))) if training else (running["mean"], running["var"])
    count = x.size // x.shape[-1]
    after = {"mean": 0.9 * running["mean"] + 0.1 * mean, "var": 0.9 * running["var"] + 0.1 * var * count / (count - 1)}
    return (x - mean) * lax.rsqrt(var + EPSILON) * scale["weight"] + scale["bias"], after


def classify(preset: str, weights: Tree, statistics: Tree, x: Any, *, training: bool) -> tuple[Any, Tree]:
    """Return logits (B, 10) of inputs (B, H, W, C), and the running statistics after them."""
    if preset == "linear":
        return _apply(weights["fc"], x.reshape(len(x), -1)), {}
    if preset == "hidden-fc":
        return _apply(weights["fc2"], jax.nn.relu(_apply(weights["fc1"], x.reshape(len(x), -1)))), {}
    if preset == "mnist-cnn":
        for name in ("conv1", "conv2"):
            x = jax.nn.relu(_convolve(x, weights[name]["weight"], "VALID") + weights[name]["bias"])
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        return _apply(weights["fc2"], jax.nn.relu(_apply(weights["fc1"], x.reshape(len(x), -1)))), {}
    after: Tree = {}

    def norm(name: str, values: Any) -> Any:
        result, after[name] = _normalise(values, weights[name], statistics[name], training=training)
        return result

    x = jax.nn.relu(norm("bn", _convolve(x, weights["conv"], "SAME")))
    for first in (0, 2):
        y = jax.nn.relu(norm(f"bn{first}", _convolve(x, weights[f"conv{first}"], "SAME")))
        y = norm(f"bn{first + 1}", _convolve(y, weights[f"conv{first + 1}"], "SAME"))
        x = jax.nn.relu(x + y)
    return _apply(weights["fc"], x.mean((1, 2))), after


def _cross_entropies(logits: Any, labels: Any) -> Any:
    return jax.nn.logsumexp(logits, axis=1) - jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]


def _scales(weights: Tree) -> Tree:
    """Return the factor on the learning rate of every tensor: biases and the scales of norms train slowly."""
    return {
        name: jax.tree.map(lambda _, slow="bn" in name: SLOW if slow else 1.0, value)
        if not isinstance(value, dict) or "bias" not in value
        else {part: SLOW if part == "bias" or "bn" in name else 1.0 for part in value}
        for name, value in weights.items()
    }


def make_epoch(preset: str, train: Any, test: Any | None, scales: Tree) -> Callable[..., Any]:
    """Return a function of one replica's state and one epoch: training, then the figures of a test set if given."""

    def loss(weights: Tree, statistics: Tree, x: Any, y: Any) -> Any:
        logits, after = classify(preset, weights, statistics, x, training=True)
        return _cross_entropies(logits, y).mean(), after

    def step(state: tuple[Tree, Tree, Tree], given: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        weights, momentum, statistics = state
        x, y, rate = given
        (value, statistics), slopes = jax.value_and_grad(loss, has_aux=True)(weights, statistics, x, y)
        momentum = jax.tree.map(lambda m, g, w: MOMENTUM * m + g + WEIGHT_DECAY * w, momentum, slopes, weights)
        weights = jax.tree.map(lambda w, m, scale: w - rate * scale * m, weights, momentum, scales)
        return (weights, momentum, statistics), value

    def epoch(state: tuple[Tree, Tree, Tree], order: Any, rates: Any) -> Any:
        batches = train[0][order], train[1][order], rates
        state, losses = lax.scan(step, state, batches)
        if test is None:
            return state, (losses.mean(),)
        logits, _ = classify(preset, state[0], state[2], test[0], training=False)
        correct = (logits.argmax(1) == test[1]).mean()
        return state, (losses.mean(), correct, _cross_entropies(logits, test[1]).mean(), jnp.isfinite(logits).all())

    return epoch


class Training:
    """Holds the replicas of a case, and trains them epoch by epoch."""

    def __init__(self, order: Order) -> None:
        """Draw the weights and compile an epoch."""
        arrays = np.load(order["data"])
        parts = [
            (jnp.asarray(arrays[f"{name}_inputs"].transpose(0, 2, 3, 1)), jnp.asarray(arrays[f"{name}_labels"]))
            for name in ("train", "test")
        ]
        self.replicas, self.shared, self.size = order["replicas"], order["shared"], order["batch_size"]
        self.examples = len(parts[0][1])
        self.steps = self.examples // self.size
        keys = jax.random.split(jax.random.key(1), self.replicas)
        weights, statistics = jax.vmap(lambda key: start(order["preset"], parts[0][0].shape[1:], key))(keys)
        scales = _scales(weights)
        self.state = weights, jax.tree.map(jnp.zeros_like, weights), statistics
        if self.replicas == 1:  # without an axis of replicas: grouped convolutions are slower
            self.state = jax.tree.map(lambda leaf: leaf[0], self.state)
        self.draws = np.random.default_rng(1)
        self.rates = jnp.full(self.steps, 0.1)
        self.epoch, trained_only = (
            self._compile(make_epoch(order["preset"], parts[0], test, scales)) for test in (parts[1], None)
        )
        self.train(self.epoch)
        self.evaluation = max(0.0, 1 - self._time(trained_only) / self._time(self.epoch))

    def _compile(self, one: Callable[..., Any]) -> Callable[..., Any]:
        if self.replicas > 1:
            one = jax.vmap(one, in_axes=(0, None if self.shared else 0, None))
        return jax.jit(one, donate_argnums=0)

    def _time(self, epoch: Callable[..., Any]) -> float:
        """Return the seconds of the shortest of some epochs; the first one compiles."""
        self.train(epoch)
        seconds: list[float] = []
        started = time.perf_counter()
        while time.perf_counter() - started < SHARE_S or not seconds:
            before = time.perf_counter()
            self.train(epoch)
            seconds.append(time.perf_counter() - before)
        return min(seconds)

    def train(self, epoch: Callable[..., Any]) -> None:
        """Train an epoch, and wait for its losses and for what the test set says."""
        count = 1 if self.shared else self.replicas
        orders = [self.draws.permutation(self.examples)[: self.steps * self.size] for _ in range(count)]
        order = np.stack(orders).reshape(count, self.steps, self.size)
        self.state, figures = epoch(self.state, jnp.asarray(order[0] if self.shared else order), self.rates)
        jax.block_until_ready(figures)


def main() -> None:
    cases: dict[str, Training] = {}
    print(json.dumps({"version": jax.__version__}), flush=True)
    for line in sys.stdin:
        order: Order = json.loads(line)
        key = json.dumps({name: value for name, value in order.items() if name != "seconds"})
        if key not in cases:
            cases[key] = Training(order)
        used, started, epochs = time.process_time(), time.perf_counter(), 0
        while time.perf_counter() - started < order["seconds"]:
            cases[key].train(cases[key].epoch)
            epochs += 1
        wall, used = time.perf_counter() - started, time.process_time() - used
        answer = {"wall_s": wall / epochs, "used_s": used / epochs, "evaluation": cases[key].evaluation}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
