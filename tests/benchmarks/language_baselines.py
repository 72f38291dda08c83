"""Perplexity of a small QRNN on the Python help topics, beside a unigram and an interpolated bigram model."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from measurement import Measurement

from engine.plan.plan import make_plan
from engine.protocol.load import load_protocol
from engine.training.data.text import load_corpus
from engine.training.loop import train_runs

PROTOCOL = Path(__file__).parents[2] / "protocols" / "small" / "table2.toml"


def measure_counts(train: list[int], valid: list[int], test: list[int], words: int) -> tuple[float, float]:
    """Perplexities of a unigram model (add one) and of λ·bigram + (1−λ)·unigram, λ chosen on the validation text."""
    unigrams = np.ones(words)
    np.add.at(unigrams, train, 1)
    unigrams /= unigrams.sum()
    pairs, heads = Counter(itertools.pairwise(train)), Counter(train[:-1])

    def perplexity(text: list[int], share: float) -> float:
        logs = []
        for before, word in itertools.pairwise(text):
            seen = heads[before]
            bigram = pairs[before, word] / seen if seen else unigrams[word]
            logs.append(np.log(share * bigram + (1 - share) * unigrams[word]))
        return float(np.exp(-np.mean(logs)))

    shares = np.arange(0.05, 1.0, 0.05)
    best = min(shares, key=lambda share: perplexity(valid, share))
    return perplexity(test, 0.0), perplexity(test, best)


def measure() -> Measurement:
    plan = make_plan(load_protocol(PROTOCOL), device="cpu")
    recipe = next(iter(plan.recipes.values()))
    corpus = load_corpus("pydoc", Path())
    outcome = train_runs([recipe], corpus, device=torch.device("cpu"))[0]
    parts = [part.tolist() for part in (corpus.train, corpus.valid, corpus.test)]
    unigram, bigram = measure_counts(parts[0], parts[1], parts[2], len(corpus.vocabulary))
    perplexity = outcome.test_perplexity or float("inf")
    text = (
        f"test perplexity of one run of protocols/small/table2.toml: {perplexity:.1f}; unigram {unigram:.1f}, "
        f"interpolated bigram {bigram:.1f}"
    )
    return Measurement(text, "below the unigram model", perplexity < unigram)
