"""Trains a small network on handwritten digits: a plain script with two seeds, as an example of a command of your own.

    python train.py --seed 1 --data-seed 1

It runs by itself too; `nondet_report` then does nothing.
"""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn

import nondet_report as report

TRAINED = 1000
"""Examples that are trained on; the others are the test set, always in the same order."""


def make_network() -> nn.Module:
    """Make the network, whose weights are drawn from the default generator."""
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))


def train(network: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, order: torch.Generator) -> float:
    """Train for an epoch in a new order; return the mean loss."""
    network.train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.2)
    losses: list[float] = []
    for batch in torch.randperm(len(inputs), generator=order).split(50):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(inputs[batch]), labels[batch])
        loss.backward()  # pyright: ignore[reportUnknownMemberType]
        optimiser.step()  # pyright: ignore[reportUnknownMemberType]
        losses.append(float(loss.detach()))
    return sum(losses) / len(losses)


def predict(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Return the logits, without dropout."""
    network.eval()
    with torch.no_grad():
        return network(inputs)


def save(epoch: int, network: nn.Module, order: torch.Generator) -> None:
    """Keep all that the next epochs depend on: weights, and both random generators; SGD as it is here has no state."""
    state = {"epoch": epoch, "network": network.state_dict()}
    state |= {"order": order.get_state(), "random": torch.get_rng_state()}
    written = report.out() / "checkpoint.new"
    torch.save(state, written)  # pyright: ignore[reportUnknownMemberType]
    written.replace(report.checkpoint())  # complete, or not there


def restore(file: str, network: nn.Module, order: torch.Generator) -> int:
    """Go on from what `save` has kept; return the epoch that it was kept after."""
    state = torch.load(file, weights_only=True)  # pyright: ignore[reportUnknownMemberType]
    network.load_state_dict(state["network"])
    order.set_state(state["order"])
    torch.set_rng_state(state["random"])
    return state["epoch"]


def main() -> None:
    """Train, report each epoch, and hand over the logits on the test set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the initial weights and of dropout")
    parser.add_argument("--data-seed", type=int, default=1, help="of the order of the training examples")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--resume", help="a checkpoint to go on from")
    options = parser.parse_args()
    torch.use_deterministic_algorithms(report.deterministic())
    torch.manual_seed(options.seed)
    order = torch.Generator().manual_seed(options.data_seed)
    digits = load_digits()
    inputs = torch.tensor(digits.data, dtype=torch.float32) / 16
    labels = torch.tensor(digits.target)
    network = make_network()
    trained = restore(options.resume, network, order) if options.resume else 0
    for epoch in range(trained + 1, options.epochs + 1):
        loss = train(network, inputs[:TRAINED], labels[:TRAINED], order)
        right = (predict(network, inputs[TRAINED:]).argmax(dim=1) == labels[TRAINED:]).float()
        report.epoch(epoch, accuracy=100 * float(right.mean()), loss=loss)
        if report.active():
            save(epoch, network, order)
    report.done(predictions=predict(network, inputs[TRAINED:]), labels=labels[TRAINED:])


if __name__ == "__main__":
    main()
