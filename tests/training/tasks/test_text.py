"""Language models: the network against a loop written out, its data against hand-made files, its runs repeated."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.catalog.presets import QRNN_ARGS
from engine.errors import DataError
from engine.plan.corpora import digest_corpus, find_files, read_corpus
from engine.recipe import BitChange, DataRecipe, ModelRecipe, Onset, Recipe, Seeds, TrainRecipe
from engine.study.epochs import EpochRecord, format_epoch, parse_epoch
from engine.training.checkpoint import CheckpointPolicy, load_checkpoint
from engine.training.data.text import (
    Corpus,
    cut_segments,
    load_corpus,
    make_streams,
    split_lines,
    split_topics,
)
from engine.training.loop import Outcome, train_runs
from engine.training.models.builders import count_parameters
from engine.training.models.qrnn import Qrnn, QrnnLayer
from engine.training.models.recurrence import pool
from engine.training.tasks.text import prepare, regularise
from engine.training.tasks.text_reading import evaluate
from engine.training.tasks.text_steps import segment_sizes
from engine.training.weights import array_bytes, weights_bytes

CPU = torch.device("cpu")
SMALL = {"embedding": 12, "hidden": 16, "layers": 2}
WORDS = torch.from_numpy(np.random.default_rng(0).integers(0, 20, 900) ** 2 // 20)
CORPUS = Corpus(WORDS[:600], WORDS[600:750], WORDS[750:], vocabulary=tuple(map(str, range(20))))
BASE = Recipe(
    data=DataRecipe(preset="pydoc"),
    model=ModelRecipe(preset="qrnn", args=tuple(sorted((QRNN_ARGS | SMALL).items()))),
    train=TrainRecipe(
        epochs=3, batch_size=6, lr=5.0, momentum=0.0, weight_decay=0.0, bias_bn_lr_scale=1.0, schedule="constant",
        warmup_epochs=0.0, clip_grad_norm=0.25, bptt=12, activation_reg=2.0, slowness_reg=1.0,
    ),
    seeds=Seeds(init=1, shuffle=1, stochastic=1, lowlevel=1),
    lowlevel="order",
    device="cpu",
)  # fmt: skip


def train(recipe: Recipe, **arguments: Any) -> Outcome:
    return train_runs([recipe], CORPUS, device=CPU, **arguments)[0]


def pool_in_a_loop(candidates: Tensor, forget: Tensor, initial: Tensor) -> Tensor:
    states, state = [], initial
    for candidate, gate in zip(candidates, forget, strict=True):
        state = gate * state + (1 - gate) * candidate
        states.append(state)
    return torch.stack(states)


@pytest.mark.parametrize("tokens", [1, 2, 7])
def test_recurrence_and_its_gradients_equal_a_plain_loop(tokens: int) -> None:
    generator = torch.Generator().manual_seed(0)
    shape = (tokens, 3, 4)
    inputs = [torch.rand(s, generator=generator, dtype=torch.float64).requires_grad_() for s in (shape, shape, (3, 4))]
    weights = torch.rand(shape, generator=generator, dtype=torch.float64)
    found = pool(*inputs)
    expected = pool_in_a_loop(*inputs)
    assert torch.allclose(found, expected, atol=1e-14, rtol=0)
    for one, other in zip(
        torch.autograd.grad((found * weights).sum(), inputs),
        torch.autograd.grad((expected * weights).sum(), inputs),
        strict=True,
    ):
        assert torch.allclose(one, other, atol=1e-13, rtol=0)
    assert torch.autograd.gradcheck(pool, inputs)


def test_network_and_its_gradients_equal_one_written_out_in_float64() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        model = Qrnn(20, QRNN_ARGS | SMALL)
        tokens = WORDS[:60].view(10, 6)
        masks = model.draw_masks(6, torch.Generator().manual_seed(1))
        first = model.read(tokens[:4], model.start(6), masks)
        second = model.read(tokens[4:], first.state, masks)
        loss = model.decode(second.output).square().mean()
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        expected = write_out(model, tokens, masks)
        wanted = torch.autograd.grad(expected, list(model.parameters()))
    finally:
        torch.set_default_dtype(torch.float32)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-12)
    for found, value in zip(gradients, wanted, strict=True):
        assert torch.allclose(found, value, atol=1e-12, rtol=1e-10)


def write_out(model: Qrnn, tokens: Tensor, masks: object) -> Tensor:
    """The loss over the second segment, token by token, gradients cut between the segments."""
    m = masks
    embedded = [(model.embedding.weight * m.words)[t] * m.input for t in tokens]  # pyright: ignore[reportAttributeAccessIssue]
    layers = [layer for layer in model.layers if isinstance(layer, QrnnLayer)]
    cells = [torch.zeros(6, layer.outputs) for layer in layers]
    outputs = []
    for t in range(len(tokens)):
        if t == 4:
            cells = [cell.detach() for cell in cells]
        x = embedded[t]
        for number, layer in enumerate(layers):
            if layer.window == 2:
                before = torch.zeros_like(x) if t == 0 else embedded[t - 1].detach() if t == 4 else embedded[t - 1]
                x = torch.cat([x, before], dim=1)
            gates = x @ (layer.linear.weight * m.weights[number]).T + layer.linear.bias  # pyright: ignore[reportAttributeAccessIssue]
            candidate, forget, output = gates.chunk(3, dim=1)
            forget = forget.sigmoid()
            cells[number] = forget * cells[number] + (1 - forget) * candidate.tanh()
            x = output.sigmoid() * cells[number]
            x = x * (m.hidden[number] if number < len(layers) - 1 else m.output)  # pyright: ignore[reportAttributeAccessIssue]
        outputs.append(x)
    return (torch.stack(outputs[4:]) @ model.embedding.weight.T + model.decoder_bias).square().mean()


def test_published_sizes_have_the_published_parameters() -> None:
    """emb 256, hidden 512, 3 layers, 10,000 words: the embedding is the decoder too."""
    assert count_parameters(Qrnn(10_000, dict(QRNN_ARGS))) == 10_000 * 257 + 787_968 + 787_968 + 393_984


def test_masks_keep_their_share_and_are_scaled() -> None:
    model = Qrnn(500, QRNN_ARGS | SMALL)
    masks = model.draw_masks(400, torch.Generator().manual_seed(3))
    rates = {"words": 0.1, "input": 0.4, "output": 0.4}
    for name, rate in rates.items():
        mask = getattr(masks, name)
        assert float((mask == 0).float().mean()) == pytest.approx(rate, abs=0.05)
        assert set(mask.unique().tolist()) == {0.0, float(np.float32(1) / np.float32(1 - rate))}
    assert [m.shape for m in masks.weights] == [(48, 24), (36, 16)]
    assert masks.words.shape == (500, 1), "whole words are dropped"


def test_streams_and_segments_cover_the_text_once() -> None:
    streams = make_streams(torch.arange(103), 5)
    assert streams.shape == (20, 5)
    assert streams[:, 0].tolist() == list(range(20))
    segments = list(cut_segments(20, iter([7, 7, 7])))
    assert segments == [(0, 7), (7, 7), (14, 5)], "the last word is predicted and never read"


def test_segment_lengths_are_the_stochastic_sources() -> None:
    def take(seed: int, epoch: int) -> list[int]:
        sizes = segment_sizes(seed, epoch, 70)
        return [next(sizes) for _ in range(2000)]

    assert take(1, 1) == take(1, 1)
    assert take(1, 1) != take(2, 1)
    assert take(1, 1) != take(1, 2)
    sizes = np.array(take(1, 1))
    assert np.mean(sizes < 52) == pytest.approx(0.05, abs=0.02)
    assert np.mean(sizes[sizes > 52]) == pytest.approx(69.5, abs=1)
    assert sizes.min() >= 5


@pytest.mark.parametrize("streams", [6, 10])
def test_evaluation_is_the_mean_log_probability_of_every_word(streams: int) -> None:
    training = prepare(BASE, CORPUS, device=CPU)
    found = evaluate(training.model, CORPUS.test, BASE)
    assert len(found.predictions) == len(CORPUS.test_labels) == 149
    # Streams of 15 words, read one by one.
    model, words, expected, likeliest = training.model, CORPUS.test, [], []
    with torch.no_grad():
        for start in range(0, 149, 15):
            state = model.start(1)
            for place in range(start, min(start + 15, 149)):
                reading = model.read(words[place].view(1, 1), state, None)
                state = reading.state
                scores = model.decode(reading.output).flatten().log_softmax(0)
                expected.append(float(scores[words[place + 1]]))
                likeliest.append(int(scores.argmax()))
    assert np.allclose(found.predictions["log_probability"], expected, atol=1e-5)
    assert found.predictions["argmax"].tolist() == likeliest
    assert found.cross_entropy == pytest.approx(-np.mean(expected), abs=1e-5)
    assert found.perplexity == pytest.approx(math.exp(found.cross_entropy))
    assert found.accuracy == pytest.approx(100 * np.mean(np.array(likeliest) == words[1:].numpy()))


def read_in_a_loop(model: Qrnn, words: Tensor) -> list[float]:
    """The log-probability of every word but the first, one after the other in one stream, as awd-lstm-lm tests."""
    model.eval()
    state, found = model.start(1), []
    with torch.no_grad():
        for word, following in pairwise(words.tolist()):
            reading = model.read(torch.tensor([[word]]), state, None)
            state = reading.state
            found.append(float(model.decode(reading.output).flatten().log_softmax(0)[following]))
    return found


PUBLISHED_WAY = replace(BASE, train=replace(BASE.train, epochs=7, lr=20.0, select="best-validation"), streams=1)


def test_final_prediction_is_the_best_validations_in_one_stream() -> None:
    training, recipe = prepare(PUBLISHED_WAY, CORPUS, device=CPU), PUBLISHED_WAY
    losses: list[float] = []
    weights: list[list[Tensor]] = []
    (last,) = training.evaluate(0)
    for epoch in range(1, recipe.train.epochs + 1):
        training.train_epoch(epoch)
        (last,) = training.evaluate(epoch)
        training.keep(epoch, [last])
        losses.append(evaluate(training.model, CORPUS.valid, recipe).cross_entropy)
        weights.append([p.detach().clone() for p in training.model.parameters()])
    best = int(np.argmin(losses))
    assert best < recipe.train.epochs - 1, "or the last epoch's weights would do"
    final = training.finish(0, recipe.train.epochs, last, diverged=False)
    assert all(torch.equal(p, kept) for p, kept in zip(training.model.parameters(), weights[best], strict=True))
    expected = read_in_a_loop(training.model, CORPUS.test)
    assert np.allclose(final.predictions["log_probability"], expected, atol=1e-5)
    assert final.perplexity == pytest.approx(math.exp(-sum(expected) / len(expected)), rel=1e-5)
    ten = evaluate(training.model, CORPUS.test, recipe)
    assert not np.array_equal(ten.predictions, final.predictions), "ten beginnings do not know what stands before them"


def test_averaged_weights_are_what_validation_judges_and_keeps() -> None:
    recipe = replace(PUBLISHED_WAY, train=replace(PUBLISHED_WAY.train, optimizer="nt-asgd"))
    training = prepare(recipe, CORPUS, device=CPU)
    training.averages = True
    training.train_epoch(1)
    evaluation = training.evaluate(1)
    training.keep(1, evaluation)
    raw = [p.detach().clone() for p in training.model.parameters()]
    assert training.best.weights.keys() == training.average.mean.keys()
    assert all(torch.equal(training.best.weights[name], mean) for name, mean in training.average.mean.items())
    assert not all(torch.equal(p, mean) for p, mean in zip(raw, training.average.mean.values(), strict=True))


def test_final_prediction_of_a_diverged_run_is_its_last() -> None:
    training = prepare(PUBLISHED_WAY, CORPUS, device=CPU)
    (evaluation,) = training.evaluate(1)
    training.keep(1, [None])
    assert training.finish(0, 1, evaluation, diverged=True) is evaluation


def test_settings_of_the_final_prediction_leave_other_ids_as_they_were() -> None:
    assert BASE.canonical_json() == replace(BASE, streams=None).canonical_json()
    assert "streams" not in BASE.canonical_json()
    assert "select" not in BASE.canonical_json()
    ids = {r.id for r in (BASE, replace(BASE, streams=1), replace(BASE, train=replace(BASE.train, select="x")))}
    assert len(ids) == 3
    late = replace(BASE, streams=1, onset=Onset(epoch=1, seeds=BASE.seeds, lowlevel="order"))
    assert late.prefix == BASE, "a common beginning is shared whatever is read in the end"


def test_regularisers_by_hand() -> None:
    training = prepare(BASE, CORPUS, device=CPU)
    reading = training.model.read(CORPUS.train[:12].view(6, 2), training.model.start(2), None)
    raw, output = reading.raw.detach().numpy(), reading.output.detach().numpy()
    expected = 2.0 * np.mean(output**2) + np.mean(np.diff(raw, axis=0) ** 2)
    assert regularise(reading, BASE).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_equal_recipes_give_equal_bits_and_each_source_others() -> None:
    one = train(BASE)
    assert array_bytes(one.predictions) == array_bytes(train(BASE).predictions)
    seeds = ("init", "stochastic", "lowlevel")
    varied = [replace(BASE, seeds=replace(BASE.seeds, **{source: 2})) for source in seeds]
    varied.append(replace(BASE, bit=BitChange(seed=1)))
    digests = {weights_bytes(train(recipe).state) for recipe in [BASE, *varied]}
    assert len(digests) == 5


def test_order_inside_the_batch_changes_rounding_alone() -> None:
    one = train(replace(BASE, train=replace(BASE.train, epochs=1)))
    other = replace(BASE, train=replace(BASE.train, epochs=1), seeds=replace(BASE.seeds, lowlevel=2))
    two = train(other)
    assert one.predictions["log_probability"] == pytest.approx(two.predictions["log_probability"], abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("select", [None, "best-validation"])
def test_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, select: str | None) -> None:
    recipe = replace(BASE, train=replace(BASE.train, epochs=12, optimizer="nt-asgd", lr=40.0, select=select))
    policy = CheckpointPolicy(path=tmp_path / "c.safetensors", every_s=0.0, recipe_id=recipe.id)
    whole = train(recipe, checkpoints=[policy])
    checkpoint = load_checkpoint(policy.path, recipe_id=recipe.id)
    assert checkpoint is not None
    assert checkpoint.epoch == 11
    assert bool(checkpoint.extra["averages"]), "by then validation has stopped getting better"
    rest: list[EpochRecord] = []
    resumed = train(recipe, starts=[checkpoint], on_epoch=lambda _, record: rest.append(record))
    assert [record.epoch for record in rest] == [12]
    assert parse_epoch(format_epoch(rest[0])) == rest[0], "its numbers are plain ones, which a file can hold"
    assert rest[0].test_perplexity == pytest.approx(math.exp(rest[0].test_cross_entropy or 0.0))
    assert weights_bytes(whole.state) == weights_bytes(resumed.state)
    assert array_bytes(whole.predictions) == array_bytes(resumed.predictions)


def test_switch_to_averaging_is_non_monotone() -> None:
    """awd-lstm-lm: the loss is worse than the best of all epochs but the last five."""
    recipe = replace(BASE, train=replace(BASE.train, optimizer="nt-asgd"))
    training = prepare(recipe, CORPUS, device=CPU)
    evaluation = training.evaluate(1)
    for _ in range(6):
        training.keep(1, evaluation)
    assert not training.averages, "equal losses are not worse"
    nn.init.normal_(training.model.embedding.weight, std=3.0)
    training.keep(7, evaluation)
    assert training.averages
    training.train_epoch(8)
    kept = [p.detach().clone() for p in training.model.parameters()]
    training.evaluate(8)
    assert all(torch.equal(p, k) for p, k in zip(training.model.parameters(), kept, strict=True))
    training.finish(0, 8, evaluation[0], diverged=False)
    assert not all(torch.equal(p, k) for p, k in zip(training.model.parameters(), kept, strict=True))


def write_corpus(folder: Path, names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part, text in {"train": " a b c \n c d \n", "valid": " a d \n", "test": " b <unk> \n"}.items():
        (folder / names.format(part)).write_text(text)


@pytest.mark.parametrize(
    ("preset", "folder", "names"),
    [
        ("ptb", ".", "ptb.{}.txt"),
        ("ptb", "penn", "{}.txt"),
        ("ptb", "simple-examples/data", "ptb.{}.txt"),
        ("wikitext2", ".", "wiki.{}.tokens"),
        ("wikitext2", "wikitext-2", "{}.txt"),
    ],
)
def test_corpora_load_from_their_usual_layouts(preset: str, folder: str, names: str, tmp_path: Path) -> None:
    write_corpus(tmp_path / folder, names)
    corpus = load_corpus(preset, tmp_path)
    assert corpus.vocabulary == ("a", "b", "c", "<eos>", "d", "<unk>")
    assert corpus.train.tolist() == [0, 1, 2, 3, 2, 4, 3]
    assert corpus.test_labels.tolist() == [5, 3]
    before = digest_corpus(preset, tmp_path)
    (tmp_path / folder / names.format("test")).write_text("a a\n")
    assert digest_corpus(preset, tmp_path) != before


def test_missing_and_damaged_corpora_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"does not hold ptb\.train\.txt.*put its files there"):
        find_files("ptb", tmp_path)
    assert digest_corpus("ptb", tmp_path) is None
    write_corpus(tmp_path, "ptb.{}.txt")
    (tmp_path / "ptb.test.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"ptb\.test\.txt cannot be read as UTF-8"):
        read_corpus("ptb", tmp_path)
    (tmp_path / "ptb.test.txt").write_text("  \n")
    with pytest.raises(DataError, match="is empty"):
        read_corpus("ptb", tmp_path)


def test_help_topics_are_english_and_disjoint() -> None:
    corpus = load_corpus("pydoc", Path("/nonexistent"))
    assert len(corpus.train) > 60_000
    assert len(corpus.test) > 5_000
    assert corpus.train.max() < len(corpus.vocabulary)
    words = Counter(corpus.vocabulary[i] for i in corpus.train.tolist())
    assert words["the"] > 2000
    assert split_topics("The x_y isn't 42 ===\n\nEnd") == ["the", "x_y", "isn't", "n", "===", "<eos>", "end"]
    assert split_lines("a b\n\nc") == ["a", "b", "<eos>", "<eos>", "c", "<eos>"]
