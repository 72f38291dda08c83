"""The app on a pseudo-terminal: first paint, opening and following 700 runs of 500 epochs, bytes and processor time."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from measurement import Measurement, best_s

from engine.study.epochs import EpochRecord, append_epoch
from engine.study.paths import StudyPaths
from tests.helpers.studies import write_study
from tests.helpers.terminal_process import AppProcess
from tui.app.follow import Follower

ARMS, REPLICAS, EPOCHS, RUNNING = 7, 100, 500, 14
FIRST_PAINT_S, OPEN_S, LOOK_S, BYTES_PER_S = 0.6, 1.5, 0.020, 10_000


def measure() -> Measurement:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arms = {f"Arm {number}": ["init"] for number in range(ARMS)}
        paths = write_study(folder / "big", arms=arms, replicas=REPLICAS, epochs=EPOCHS, done=86, running=RUNNING)
        subprocess.run([sys.executable, "-P", "-m", "engine.metrics", str(paths.folder)], check=True)
        import_s = best_s(lambda: subprocess.run([sys.executable, "-c", "import textual.app"], check=True), 3)
        paint_s = min(paint(folder) for _ in range(3))
        started = time.perf_counter()
        follower = Follower(paths)
        follower.look()
        open_s = time.perf_counter() - started
        look_s = best_s(follower.look, 5)
        quiet, busy, cpu = follow(paths, folder)
    text = (
        f"first paint {paint_s:.2f} s ({paint_s / import_s:.1f} times `import textual.app`); {ARMS * REPLICAS} runs x "
        f"{EPOCHS} epochs: opened in {open_s:.2f} s, a look {1000 * look_s:.0f} ms; terminal {quiet:.0f} B/s at rest, "
        f"{busy / 1000:.1f} kB/s and {1000 * cpu:.0f} ms of processor per second while {ARMS * RUNNING} replicas run"
    )
    within = paint_s <= FIRST_PAINT_S and open_s <= OPEN_S and look_s <= LOOK_S and busy <= BYTES_PER_S and quiet < 50
    return Measurement(text, "0.6 s, 1.5 s, 20 ms, ~0 B/s, 10 kB/s", within)


def paint(folder: Path) -> float:
    """Seconds until something is on the screen."""
    with AppProcess("--store", str(folder / "none"), folder=folder, size=(120, 40)) as app:
        return app.wait_for(b"nondet-tui   ")


def follow(paths: StudyPaths, folder: Path) -> tuple[float, float, float]:
    """Bytes per second at rest, and while every running replica ends an epoch each second; and processor time then."""
    files = [f for f in paths.runs.glob("*/attempts/01/epochs.jsonl") if not (f.parents[2] / "result.json").exists()]

    def grow() -> None:
        for step in range(8):
            end = time.monotonic() + 1.0
            for number, path in enumerate(files):
                append_epoch(path, EpochRecord(
                    epoch=EPOCHS // 2 + 1 + step, train_loss=1.0, test_accuracy=97 + number / 100,
                    test_cross_entropy=0.1, lr=0.1, seconds=0.5,
                ))  # fmt: skip
            time.sleep(max(0.0, end - time.monotonic()))

    with AppProcess(str(paths.folder), folder=folder, size=(120, 40), SSH_TTY="/dev/pts/9") as app:
        app.wait_for(b"700 runs")
        app.read(3.0)
        quiet = len(app.read(4.0)) / 4
        thread = threading.Thread(target=grow)
        before = processor_s(app.pid)
        thread.start()
        busy = len(app.read(8.0)) / 8
        cpu = (processor_s(app.pid) - before) / 8
        thread.join()
    return quiet, busy, cpu


def processor_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
