"""Two arms compared by the process that does it for the command and the app: time, and memory beside the logits."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from measurement import Measurement, best_s

from engine.dispatch.children import command
from engine.study.files import make_folder
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from tests.helpers.arrays_study import write_plan
from tests.helpers.records import make_arm, make_result

REPLICAS, EXAMPLES, CLASSES = 100, 10_000, 10
BUDGET_S = 1.0

LARGE = (20, 50_000, 1_000)
"""R, N and C of ImageNet's size."""

BUDGET_BYTES = 2**31


def write_arms(folder: Path, replicas: int, examples: int, classes: int, *, same: bool) -> StudyPaths:
    """Write a study of two arms; `same` lets the second one have the predictions of the first, which saves disk."""
    rng = np.random.default_rng(1)
    paths = StudyPaths(folder)
    make_folder(paths.folder)
    arms = [[f"{letter}{number}" for number in range(replicas)] for letter in "ab"]
    write_plan(
        paths, [make_arm(name, runs, vary=("init",)) for name, runs in zip("AB", arms, strict=True)], bootstrap=0
    )
    labels = rng.integers(classes, size=examples)
    np.save(paths.labels, labels)
    labels_sha256 = hashlib.sha256(paths.labels.read_bytes()).hexdigest()
    common = rng.standard_normal((examples, classes), dtype=np.float32)
    common[np.arange(examples), labels] += 4
    for run in (run for arm in arms for run in arm):
        make_folder(paths.run(run).folder)
        file, twin = paths.run(run).predictions, paths.run(f"a{run[1:]}").predictions
        if same and run.startswith("b"):
            file.hardlink_to(twin)
        else:
            np.save(file, common + np.float32(0.5) * rng.standard_normal((examples, classes), dtype=np.float32))
        with file.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        result = make_result(run=run, predictions_sha256=sha256, labels_sha256=labels_sha256, weights_sha256=sha256)
        write_record(paths.run(run).result, result)
    return paths


def ask(paths: StudyPaths) -> list[str]:
    """The command that compares both arms in every measure, with a margin."""
    sides = [str(paths.folder), "A", str(paths.folder), "B"]
    return command("engine.metrics", "compare", *sides, "", "0.2", "every")


def iterate_predictions(paths: StudyPaths) -> Iterator[Path]:
    """The files of all replicas."""
    yield from sorted(paths.folder.glob("runs/*/predictions.npy"))


def read_and_predict(paths: StudyPaths) -> None:
    """What no comparison can do without: read every file, compare it with its digest, find the classes."""
    for file in iterate_predictions(paths):
        hashlib.sha256(file.read_bytes()).hexdigest()
        np.load(file).argmax(axis=1)


def measure_speed() -> Measurement:
    with tempfile.TemporaryDirectory() as name:
        paths = write_arms(Path(name) / "study", REPLICAS, EXAMPLES, CLASSES, same=False)
        ours_s = best_s(lambda: subprocess.run(ask(paths), stdout=subprocess.PIPE, check=True), 5)
        least_s = best_s(lambda: read_and_predict(paths), 3)
    text = (
        f"R={REPLICAS} of each arm, N={EXAMPLES:,}, C={CLASSES}, accuracy and cross-entropy: {ours_s:.2f} s with the "
        f"start of the process, {ours_s / least_s:.1f} x reading, digests and argmax of the files ({least_s:.2f} s)"
    )
    return Measurement(text, f"{BUDGET_S:g} s", ours_s <= BUDGET_S)


def measure_peak(words: list[str]) -> tuple[float, int]:
    """Seconds of a process, and the most memory that was its own and no part of a file, in bytes."""
    started = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    peak = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = max(
            peak, *(1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")), 0
        )
        time.sleep(0.02)
    said, _ = process.communicate()
    if process.returncode or not said:
        raise RuntimeError(f"comparing ended with status {process.returncode}")
    return time.perf_counter() - started, peak


def measure_memory() -> Measurement:
    with tempfile.TemporaryDirectory() as name:
        paths = write_arms(Path(name) / "study", *LARGE, same=True)
        seconds, peak = measure_peak(ask(paths))
        held = sum(file.stat().st_size for file in iterate_predictions(paths))
    text = (
        f"R={LARGE[0]} of each arm, N={LARGE[1]:,}, C={LARGE[2]:,}: peak {peak / 1e6:.0f} MB beside "
        f"{held / 1e6:.0f} MB of predictions, {peak / held:.2f}x; {seconds:.0f} s"
    )
    return Measurement(text, f"{BUDGET_BYTES / 1e6:.0f} MB", peak <= BUDGET_BYTES)
