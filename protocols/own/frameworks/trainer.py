"""Trains a small network with Hugging Face's Trainer, as a script that knows nothing of nondet-tui.

    python trainer.py --output_dir runs/1 --seed 1 --data_seed 1

It needs transformers, accelerate and scikit-learn.
"""

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from transformers import HfArgumentParser, Trainer, TrainingArguments, set_seed

TRAINED = 1000


class Network(nn.Module):
    """Classifies digits; returns its loss beside the logits, as the Trainer expects."""

    def __init__(self) -> None:
        """Draw the weights."""
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))

    def forward(self, inputs: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return loss and logits."""
        logits = self.layers(inputs)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def main() -> None:
    """Train, and save the predictions on the test set."""
    (options,) = HfArgumentParser(TrainingArguments).parse_args_into_dataclasses()
    set_seed(options.seed)
    digits = load_digits()
    inputs, labels = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)
    rows = [{"inputs": one, "labels": label} for one, label in zip(inputs, labels, strict=True)]
    trainer = Trainer(model=Network(), args=options, train_dataset=rows[:TRAINED], eval_dataset=rows[TRAINED:])
    trainer.train(resume_from_checkpoint=options.resume_from_checkpoint)
    found = trainer.predict(rows[TRAINED:])
    np.save(Path(options.output_dir) / "predictions.npy", found.predictions)
    np.save(Path(options.output_dir) / "labels.npy", found.label_ids)


if __name__ == "__main__":
    main()
