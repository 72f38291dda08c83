"""A run trained by a worker, files and all, against the same training written as a bare loop."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from measurement import Measurement, best_s
from torch.nn import functional

from engine.dispatch.claims import claim
from engine.dispatch.launch import plan_protocol, prepare_study
from engine.dispatch.queue import NotTaken
from engine.protocol.load import load_protocol
from engine.recipe import Recipe
from engine.study.study_plan import read_plan
from engine.training import worker
from engine.training.data.datasets import Dataset, load_data
from engine.training.models.build import build_network
from engine.training.optimiser import learning_rate, make_optimiser, set_learning_rate
from engine.training.random.seeding import epoch_order, set_kernels
from engine.training.run_files import Claimed, describe_attempt
from engine.training.stopping import Requests

EPOCHS = 30
BUDGET = 0.05
PROTOCOL = Path(__file__).parents[2] / "protocols" / "quickstart.toml"


def train_bare(recipe: Recipe, data: Dataset) -> None:
    """Forward, backward, step and evaluation; nothing is recorded."""
    network = build_network(
        recipe.model, input_shape=data.input_shape, classes=data.classes, init_seed=1, search_path=(),
        example=data.test_inputs[:2],
    )  # fmt: skip
    model, size = network.model, recipe.train.batch_size
    optimiser = make_optimiser(model.named_parameters(), recipe.train)
    steps = len(data.train_labels) // size
    for epoch in range(EPOCHS):
        model.train()
        order = torch.from_numpy(epoch_order(1, epoch, len(data.train_labels)))
        for step, examples in enumerate(order.split(size)):
            set_learning_rate(optimiser, learning_rate(epoch * steps + step, steps, recipe.train))
            loss = functional.cross_entropy(model(data.train_inputs[examples]), data.train_labels[examples])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        model.eval()
        with torch.no_grad():
            logits = model(data.test_inputs)
            functional.cross_entropy(logits, data.test_labels)


def measure() -> Measurement:
    torch.set_num_threads(1)
    protocol = load_protocol(PROTOCOL, overrides=(f"train.epochs={EPOCHS}", "dispatch.devices=cpu"))
    plan = plan_protocol(protocol)
    with tempfile.TemporaryDirectory() as store:
        paths = prepare_study(protocol, plan, store=store)
        run_id, recipe = next(iter(plan.recipes.items()))
        data = load_data(recipe.data, root=Path(store), search_path=())
        set_kernels(recipe.lowlevel, "fp32")
        attempts = iter(range(1, 1000))

        def by_worker() -> None:
            attempt = claim(paths.run(run_id), next(attempts), describe_attempt("b", "cpu:0"))
            assert attempt is not None
            claimed = Claimed(paths, read_plan(paths), run_id, attempt)
            kept = worker.Kept("b", {recipe.data: data})
            worker._train_claimed(claimed, Requests(paths), kept, lambda wanted: NotTaken.NOTHING_LEFT)

        train_bare(replace(recipe), data)
        # Taken in turns, so that a slow minute of the machine meets both.
        bare_s = worker_s = float("inf")
        for _ in range(5):
            bare_s = min(bare_s, best_s(lambda: train_bare(recipe, data), 1))
            worker_s = min(worker_s, best_s(by_worker, 1))
    overhead = worker_s / bare_s - 1
    times = f"worker {worker_s:.2f} s, bare loop {bare_s:.2f} s"
    text = f"{EPOCHS} epochs of quickstart's network: {times}: {100 * overhead:+.1f} %"
    return Measurement(text, f"+{100 * BUDGET:.0f} %", overhead <= BUDGET)
