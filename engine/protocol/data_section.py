"""The section [data] of a protocol file, each key declared once; see `sections`."""

from __future__ import annotations

from dataclasses import dataclass

from engine.catalog import presets
from engine.protocol import checks
from engine.protocol.checks import choice, text, whole
from engine.protocol.keys import key


@dataclass(frozen=True, kw_only=True)
class Data:
    """[data]: the examples that all arms train on and are tested on."""

    preset: str | None = key(
        checks.data_preset,
        None,
        f"available: {', '.join(checks.DATA_NAMES)}",
        "Chooses one of the data sets that the program knows.",
    )
    target: str | None = key(
        checks.target,
        None,
        'your function, e.g. "mypkg.data:load", instead of preset',
        "Names your own function that loads the data, instead of a preset.",
    )
    root: str = key(
        text(1000),
        "~/datasets",
        "the folder of the data files",
        "Names the folder that holds the data files, or that they are downloaded to; a relative one is seen from the "
        "protocol file.",
    )
    train_size: int = key(
        whole(0, 10**9),
        0,
        "0 keeps every training example",
        "Keeps this many training examples, drawn by a fixed seed.",
    )
    test_size: int = key(
        whole(0, presets.MAX_TEST_SIZE),
        0,
        f"0 is the preset's own number; acts on {', '.join(presets.ANY_TEST_SIZE)} only",
        "Sets how many test examples are made, where the preset makes them.",
    )
    augment: str = key(
        choice(("auto", *presets.AUGMENTATIONS)),
        "auto",
        "auto is what the preset's paper used",
        "Chooses the random changes of each training image.",
    )
    sample: str = key(
        choice(("none", *presets.SAMPLES)),
        "none",
        "none trains on all; bootstrap draws as many, with repetition; split leaves validation_size out",
        "Chooses how the training examples of a replica are drawn from all, by the seed of the source sample.",
    )
    validation_size: int = key(
        whole(0, 10**9),
        0,
        "of the training examples, e.g. 5000 of CIFAR-10's 50000",
        "Sets how many training examples a split leaves out, as if for validation.",
    )
