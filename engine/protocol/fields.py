"""The keys of a protocol file, section by section: type, allowed values, default.

A check takes the TOML value and returns what is allowed, as text, where the value is not; None where it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from engine.catalog import presets
from engine.catalog.executors import EXECUTORS
from engine.catalog.published import read_tables
from engine.catalog.sources import SOURCES

Check = Callable[[Any], str | None]

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
TARGET_PATTERN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
MAX_REPLICAS = 10_000
MAX_SEED = 2**31 - 1
MAX_ARM_NAME = 80
MAX_PACK = 1024


@dataclass(frozen=True)
class Field:
    """One key of a section."""

    check: Check
    default: Any
    remedy: str
    """An example or the reason of the limits, for whoever got it wrong."""


def whole(low: int, high: int) -> Check:
    """A whole number within limits, both included."""

    def check(value: Any) -> str | None:
        good = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return None if good else f"must be a whole number from {low} to {high}"

    return check


def number(low: float, high: float, *, above: bool = False, below: bool = False) -> Check:
    """A finite number within limits; `above` and `below` leave the limit itself out."""

    def check(value: Any) -> str | None:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        good = is_number and low <= value <= high and not (above and value == low) and not (below and value == high)
        bounds = f"{'above' if above else 'at least'} {low:g} and {'below' if below else 'at most'} {high:g}"
        return None if good else f"must be a number {bounds}"

    return check


def choice(names: Iterable[str]) -> Check:
    """One of some names."""
    valid = tuple(names)

    def check(value: Any) -> str | None:
        known = isinstance(value, str) and value in valid
        return None if known else f"must be one of {', '.join(valid)}"

    return check


def flag(value: Any) -> str | None:
    """True or false."""
    return None if isinstance(value, bool) else "must be true or false"


def text(limit: int) -> Check:
    """Printable text up to a length."""

    def check(value: Any) -> str | None:
        good = isinstance(value, str) and len(value) <= limit and all(c.isprintable() or c in "\n\t" for c in value)
        return None if good else f"must be text of at most {limit} printable characters"

    return check


def folder_name(value: Any) -> str | None:
    """A name that is safe as a folder everywhere."""
    good = isinstance(value, str) and NAME_PATTERN.fullmatch(value) and not value.endswith(".")
    return None if good else "must be 1 to 64 of the characters A-Z a-z 0-9 . _ - and start with a letter or digit"


def arm_name(value: Any) -> str | None:
    """One printable line."""
    good = isinstance(value, str) and 0 < len(value.strip()) <= len(value) <= MAX_ARM_NAME and value.isprintable()
    return None if good else f"must be one line of 1 to {MAX_ARM_NAME} printable characters"


def target(value: Any) -> str | None:
    """Where the user's function is."""
    good = isinstance(value, str) and TARGET_PATTERN.fullmatch(value)
    return None if good else 'must be "module:function"'


def source_list(value: Any) -> str | None:
    """Different names of sources; empty for the control."""
    good = isinstance(value, list) and all(isinstance(v, str) and v in SOURCES for v in value)
    if good and len(set(value)) == len(value):
        return None
    return f"must be a list of different sources out of {', '.join(SOURCES)}; empty for a control"


def devices(value: Any) -> str | None:
    """Auto, cpu, or a list of CUDA devices."""
    if value in ("auto", "cpu"):
        return None
    good = isinstance(value, list) and value and all(isinstance(v, str) for v in value)
    if good and len(set(value)) == len(value) and all(re.fullmatch(r"cuda:\d{1,3}", v) for v in value):
        return None
    return 'must be "auto", "cpu" or a list of different CUDA devices such as ["cuda:0", "cuda:1"]'


def slots(value: Any) -> str | None:
    """Auto or a count."""
    return None if value == "auto" or whole(1, 256)(value) is None else 'must be "auto" or a whole number from 1 to 256'


def pack(value: Any) -> str | None:
    """Auto or a count."""
    good = value == "auto" or whole(1, MAX_PACK)(value) is None
    return None if good else f'must be "auto" or a whole number from 1 to {MAX_PACK}'


def arguments(value: Any) -> str | None:
    """Keyword arguments for a user's function."""
    good = isinstance(value, dict) and all(
        key.isidentifier() and isinstance(v, (str, int, float, bool)) and (not isinstance(v, float) or math.isfinite(v))
        for key, v in value.items()
    )
    return None if good else "must be a table of plain values (text, numbers, true, false) under Python names"


def reference(value: Any) -> str | None:
    """A published table."""
    return choice(read_tables())(value)


def square(value: Any) -> str | None:
    """A number of crops that make a grid."""
    good = whole(1, 10_000)(value) is None and math.isqrt(value) ** 2 == value
    return None if good else "must be a square number from 1 to 10000"


def onset(value: Any) -> str | None:
    """An epoch, or different epochs in a list."""
    listed = value if isinstance(value, list) else [value]
    good = bool(listed) and all(whole(0, 100_000)(epoch) is None for epoch in listed)
    return (
        None
        if good and len(set(listed)) == len(listed)
        else "must be a whole number from 0, or different ones in a list"
    )


def ensemble(value: Any) -> str | None:
    """Of which arm, and how many members."""
    good = isinstance(value, dict) and set(value) == {"of", "size"} and isinstance(value["of"], str)
    return (
        None
        if good and whole(1, MAX_REPLICAS)(value["size"]) is None
        else "must be { of = an arm's name, size = members }"
    )


def crossed(value: Any) -> str | None:
    """Two sources, each with its number of seeds."""
    good = isinstance(value, dict) and len(value) == 2 and all(name in SOURCES for name in value)
    good = good and all(whole(2, MAX_REPLICAS)(levels) is None for levels in value.values())
    if good and math.prod(value.values()) <= MAX_REPLICAS:
        return None
    return f"must be two of {', '.join(SOURCES)}, each with 2 or more seeds, at most {MAX_REPLICAS} pairs"


DATA_NAMES = (*presets.DATA, *presets.LANGUAGE)
MODEL_NAMES = (*presets.MODELS, *presets.LANGUAGE_MODELS, f"{presets.TORCHVISION_PREFIX}NAME")


def model_preset(value: Any) -> str | None:
    """A preset's name, or a name that torchvision may know: that is found out where it can be imported."""
    if isinstance(value, str) and presets.TORCHVISION_PATTERN.fullmatch(value):
        return None
    known = isinstance(value, str) and (value in presets.MODELS or value in presets.LANGUAGE_MODELS)
    return None if known else f"must be one of {', '.join(MODEL_NAMES)}"


EXECUTOR_REMEDY = "; ".join(f"{name}: {meaning}" for name, meaning in EXECUTORS.items())
AVERAGINGS = ("swa", "aswa")

SECTIONS: dict[str, dict[str, Field]] = {
    "protocol": {
        "name": Field(folder_name, None, 'it names the study\'s folder: choose one such as "table1-small"'),
        "description": Field(text(2000), "", "one or two sentences"),
        "replicas": Field(whole(1, MAX_REPLICAS), 10, "trainings per arm; 100 in the paper"),
        "reference": Field(reference, None, "a table of the paper, whose rows are shown beside arms of their names"),
    },
    "data": {
        "preset": Field(choice(DATA_NAMES), None, f"available: {', '.join(DATA_NAMES)}"),
        "target": Field(target, None, 'your function, e.g. "mypkg.data:load", instead of preset'),
        "root": Field(text(1000), "~/datasets", "the folder of the data files"),
        "train_size": Field(whole(0, 10**9), 0, "0 keeps every training example"),
        "augment": Field(choice(("auto", *presets.AUGMENTATIONS)), "auto", "auto is what the preset's paper used"),
    },
    "model": {
        "preset": Field(model_preset, None, f"available: {', '.join(MODEL_NAMES)}"),
        "target": Field(target, None, 'your function, e.g. "mypkg.nets:build", instead of preset'),
        "width": Field(number(0, 16, above=True), 1.0, "1.0 is the published width"),
        "args": Field(arguments, {}, "keyword arguments for your target, e.g. { depth = 3 }"),
    },
    "train": {
        "epochs": Field(whole(1, 100_000), 500, "500 in the paper"),
        "batch_size": Field(whole(1, 1_000_000), 512, "512 in the paper"),
        "optimizer": Field(choice(("sgd", "adam", "nt-asgd")), "sgd", "sgd in the paper; nt-asgd for its text"),
        "lr": Field(number(0, 1000, above=True), 0.40, "the highest learning rate; 0.40 in the paper"),
        "momentum": Field(number(0, 1, below=True), 0.9, "0.9 in the paper"),
        "weight_decay": Field(number(0, 100), 5e-4, "5e-4 in the paper"),
        "bias_bn_lr_scale": Field(number(0, 100), 0.1, "0.1 in the published code, 1.0 is off"),
        "schedule": Field(choice(("cosine", "snapshot", "constant")), "cosine", "cosine in the paper"),
        "warmup_epochs": Field(number(0, 100_000), 3, "3 in the paper; fewer for short trainings"),
        "cycles": Field(whole(1, 1000), 5, "of the snapshot schedule; 5 in the paper"),
        "clip_grad_norm": Field(number(0, 1e9), 0.0, "0 is off"),
        "weight_noise": Field(number(0, 10), 0.0, "SD as a share of each tensor's RMS; 0 is off"),
        "averaging": Field(choice(("none", *AVERAGINGS)), "none", "swa after each epoch, aswa after each step"),
        "bptt": Field(whole(1, 100_000), 70, "tokens that a text model's gradient reaches back over"),
        "activation_reg": Field(number(0, 1e6), 2.0, "of text models; 0 is off"),
        "slowness_reg": Field(number(0, 1e6), 1.0, "of text models; 0 is off"),
        "precision": Field(choice(("fp32", "tf32", "bf16")), "fp32", "fp32 lets one ulp survive"),
    },
    "seeds": {
        name: Field(whole(0, MAX_SEED), 1, "the constant of a source while it does not vary; 1 in the paper")
        for name, source in SOURCES.items()
        if source.has_base_seed
    },
    "lowlevel": {
        "mode": Field(choice(("auto", "kernels", "order")), "auto", "auto is kernels on CUDA and order on CPU"),
    },
    "bit": {
        "parameter": Field(text(200), "first", '"first" or the full name of a parameter'),
        "ulps": Field(whole(1, 1_000_000), 1, "1 is the smallest change that a weight can take"),
    },
    "evaluate": {
        "flip": Field(flag, False, "true adds the mirror image of every view"),
        "crops": Field(square, 1, "crops over the padding, averaged; 1 is the image alone, 25 or 81 for CIFAR"),
    },
    "metrics": {
        "cka": Field(flag, False, "true compares the replicas' inner layers too, from their kept weights"),
        "cka_examples": Field(whole(4, 10_000), 2048, "test examples that layers are compared on"),
        "bootstrap": Field(whole(0, 1_000_000), 10_000, "resamples behind the error of an SD; 10,000 in the paper"),
    },
    "dispatch": {
        "devices": Field(devices, "auto", 'e.g. devices = ["cuda:0"]'),
        "slots_per_device": Field(slots, "auto", "runs side by side on one device; auto tries what is fastest"),
        "pack": Field(pack, 1, "replicas that one slot trains at once; auto tries what is fastest"),
        "memory_format": Field(
            choice(("auto", "contiguous", "channels-last")),
            "auto",
            "of convolutions; auto tries where pack does",
        ),
        "compile": Field(flag, False, "true has torch.compile make the kernels of packs"),
        "graphs": Field(flag, True, "false launches the kernels of a pack's step one by one on CUDA"),
        "executor": Field(choice(EXECUTORS), "local", EXECUTOR_REMEDY),
        "keep_weights": Field(flag, True, "false keeps the digest of the final weights but not the file"),
        "checkpoint_s": Field(number(0, 1e9), 60.0, "seconds between checkpoints; 0 is every epoch"),
    },
}

ARM: dict[str, Field] = {
    "name": Field(arm_name, None, "the row's title in the table"),
    "vary": Field(source_list, None, 'e.g. vary = ["init"]; vary = [] is a control'),
    "replicas": Field(whole(1, MAX_REPLICAS), None, "only where this arm differs from protocol.replicas"),
    "onset": Field(onset, 0, "the last common epoch, or a list of them: one arm per value"),
    "crossed": Field(crossed, None, "e.g. crossed = { init = 10, shuffle = 10 }, instead of vary and replicas"),
    "ensemble": Field(ensemble, None, 'e.g. ensemble = { of = "All sources", size = 2 }'),
}

ARM_OVERRIDES: dict[str, tuple[str, ...]] = {
    "train": tuple(SECTIONS["train"]),
    "model": tuple(SECTIONS["model"]),
    "data": ("train_size", "augment"),
    "evaluate": tuple(SECTIONS["evaluate"]),
}
"""What an arm may set for itself. Not the data set: all arms of a study are tested on the same examples."""
