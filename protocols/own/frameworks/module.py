"""Trains a small network with Lightning, as a script that knows nothing of nondet-tui, and has no argument for seeds.

    PL_GLOBAL_SEED=1 python module.py runs/1

`seed_everything()` takes PL_GLOBAL_SEED from the environment. It needs lightning and scikit-learn.
"""

import sys
from pathlib import Path

import lightning
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

TRAINED = 1000


class Network(lightning.LightningModule):
    """Classifies digits."""

    def __init__(self) -> None:
        """Draw the weights."""
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        """Return the loss of a minibatch."""
        inputs, labels = batch
        return nn.functional.cross_entropy(self.layers(inputs), labels)

    def predict_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        """Return logits."""
        return self.layers(batch[0])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimiser."""
        return torch.optim.SGD(self.parameters(), lr=0.2)


def main() -> None:
    """Train, and save the predictions on the test set."""
    lightning.seed_everything()
    digits = load_digits()
    inputs, labels = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)
    training = DataLoader(TensorDataset(inputs[:TRAINED], labels[:TRAINED]), batch_size=50, shuffle=True)
    testing = DataLoader(TensorDataset(inputs[TRAINED:], labels[TRAINED:]), batch_size=797)
    network = Network()
    trainer = lightning.Trainer(max_epochs=5, logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.fit(network, training)
    logits = torch.cat(trainer.predict(network, testing))
    np.save(Path(sys.argv[1]) / "predictions.npy", logits.numpy())
    np.save(Path(sys.argv[1]) / "labels.npy", labels[TRAINED:].numpy())


if __name__ == "__main__":
    main()
