"""Lets a training script report to nondet-tui: seeds in, epochs and predictions out. Copy this file beside your script.

It needs nothing but Python 3.8 or later; numpy is used only where your arrays are numpy's or torch's. Where the script
runs by itself, seeds have their defaults, and nothing is written.

    import nondet_report as report

    torch.manual_seed(report.seed("init", 1))
    for epoch in range(10):
        ...
        report.epoch(accuracy=91.3, loss=0.2)
    report.done(predictions=logits, labels=labels)
"""

import json
import os
import struct
from pathlib import Path


def active():
    """Tell whether nondet-tui has started this script."""
    return "NONDET_OUT" in os.environ


def out(default="."):
    """Return the folder that this run may write to, {out} of the protocol; else the default."""
    return Path(os.environ.get("NONDET_OUT", default))


def seed(source="seed", default=1):
    """Return the seed of a source, such as "init"; without a name, the seed of everything at once."""
    name = "NONDET_SEED" if source == "seed" else f"NONDET_SEED_{source.upper()}"
    return int(os.environ.get(name, default))


def checkpoint():
    """Return where a checkpoint is looked for: write it under another name, and rename it, so that it is never half."""
    return out() / "checkpoint"


def replica(default=1):
    """Return the number of this replica, for messages: a result must not depend on it."""
    return int(os.environ.get("NONDET_REPLICA", default))


def deterministic():
    """Tell whether low-level operations are to be held: torch.use_deterministic_algorithms(report.deterministic())."""
    return os.environ.get("NONDET_DETERMINISTIC", "1") == "1"


def epoch(number=None, **figures):
    """Report the figures at the end of an epoch: accuracy (percent), loss, cross_entropy, lr, or any number by name."""
    if not active():
        return
    line = {"v": 1, **({} if number is None else {"epoch": int(number)})}
    line.update({name: float(value) for name, value in figures.items()})
    with (out() / "epochs.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def done(predictions=None, labels=None, **scores):
    """Hand over the predictions on the test examples with their true classes, and any scores by name.

    Args:
        predictions: (N, C) logits or probabilities, or (N,) classes: an array, a tensor or lists.
        labels: (N,) true classes, in the same order in every run.
        scores: Numbers such as f1=0.81.
    """
    if not active():
        return
    for name, values in (("predictions", predictions), ("labels", labels)):
        if values is not None:
            _write(out() / f"{name}.npy", values)
    if scores:
        _replace(out() / "result.json", json.dumps({name: float(value) for name, value in scores.items()}).encode())


def _write(path, values):
    """Write values as a .npy file, complete or not at all."""
    if hasattr(values, "detach"):  # a tensor of torch
        values = values.detach().cpu().float().numpy() if values.is_floating_point() else values.detach().cpu().numpy()
    if not hasattr(values, "__array__"):
        _replace(path, _encode(values))
        return
    import numpy  # noqa: PLC0415 - a script without arrays needs none

    temporary = path.with_name(f".{path.name}")
    with temporary.open("wb") as file:
        numpy.save(file, numpy.asarray(values), allow_pickle=False)
    temporary.replace(path)


def _encode(values):
    """Return lists of numbers, (N, C) or (N,), as the bytes of a .npy file."""
    rows = [list(row) if hasattr(row, "__len__") else [row] for row in values]
    flat = [number for row in rows for number in row]
    shape = (len(rows), len(rows[0])) if rows and hasattr(values[0], "__len__") else (len(rows),)
    whole = all(isinstance(number, int) for number in flat)
    header = str({"descr": "<i8" if whole else "<f8", "fortran_order": False, "shape": shape})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    return start + struct.pack(f"<{len(flat)}{'q' if whole else 'd'}", *flat)


def _replace(path, content):
    temporary = path.with_name(f".{path.name}")
    temporary.write_bytes(content)
    temporary.replace(path)
