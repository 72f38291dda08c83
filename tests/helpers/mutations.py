"""Changes files of a study in every way that others could, and looks at it with everything that reads studies."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import random
import resource
import shutil
import signal
import socket
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from engine.errors import NondetError
from engine.metrics.renewal import measure
from engine.study.paths import StudyPaths, iterate_studies
from engine.study.similarity_record import find_similarity
from engine.study.summary import StudySummaries
from tui import cli
from tui.app.follow import Follower
from tui.app.listed_files import describe_study
from tui.app.screens.dialogs import read_quietly
from tui.app.screens.monitor_lines import arm_lines, now_lines
from tui.app.screens.results_compare import list_candidates
from tui.app.screens.runs_lines import describe_run
from tui.commands import reporting
from tui.text.series import make_curve

CPU_S, SILENCE_S = 1.0, 30.0
"""Processor time that one look may take, and time of the clock that none needs on the busiest machine."""

MEMORY_BYTES = 200_000_000
"""Memory that one look may take on top of what the process has."""


class TooLongError(Exception):
    """Ends a look that takes more than it may."""


def list_kinds(folder: Path) -> dict[str, Path]:
    """Return one file of every kind that a study may have, and the folders, by name below the study."""
    run = folder / "runs" / sorted(os.listdir(folder / "runs"))[0]
    attempt = run / "attempts" / "01"
    fork = sorted(os.listdir(folder / "forks"))[0].split(".")[0]
    files = [
        *(folder / name for name in ("plan.json", "metrics.json", "curves.json", "cka.json", "checked.json")),
        *(folder / name for name in ("supervisor.json", "supervisor.log", "labels.npy", "protocol.toml")),
        *(folder / "control" / name for name in ("00000001.json", "00000002.json")),
        *(folder / "forks" / f"{fork}{kind}" for kind in (".jsonl", ".safetensors")),
        *(run / name for name in ("spec.json", "result.json", "damage.json", "predictions.npy", "model.safetensors")),
        *(
            attempt / name
            for name in ("attempt.json", "epochs.jsonl", "exit.json", "log.txt", "checkpoint.safetensors")
        ),
        *(folder / "runs", run, run / "attempts", attempt, folder / "control", folder / "forks"),
    ]
    return {str(path.relative_to(folder)): path for path in files}


# Ways to change a file ---------------------------------------------------------------------------------------------

Change = Callable[[Path, random.Random, bytes, bytes], object]
"""Makes something of a path that is free; gets what was there and the content of another file."""


def _cut(path: Path, rng: random.Random, content: bytes, other: bytes) -> None:
    path.write_bytes(content[: rng.randrange(len(content) + 1)])


def _flip(path: Path, rng: random.Random, content: bytes, other: bytes) -> None:
    changed = bytearray(content or b"\0")
    for _ in range(rng.choice((1, 1, 4, 64))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    path.write_bytes(changed)


def _zero(path: Path, rng: random.Random, content: bytes, other: bytes) -> None:
    start = rng.randrange(len(content) + 1)
    end = rng.randrange(start, len(content) + 1)
    path.write_bytes(content[:start] + bytes(end - start) + content[end:])


def _insert(path: Path, rng: random.Random, content: bytes, other: bytes) -> None:
    place = rng.randrange(len(content) + 1)
    part = rng.choice((rng.randbytes(9), b"[" * 5000, b"{" * 5000, b"9" * 400, b"9" * 9000, b"\n" * 5000, b"-", b"e9"))
    path.write_bytes(content[:place] + part + content[place:])


def _swap(path: Path, rng: random.Random, content: bytes, other: bytes) -> None:
    path.write_bytes(other)


def _nest(path: Path, rng: random.Random, content: bytes, other: bytes) -> None:
    begin, end = rng.choice(((b"[", b"]"), (b'{"v":', b"}"), (b'{"v":1,"arms":[', b"]}")))
    depth = rng.choice((100, 900, 1100, 100_000))
    path.write_bytes(begin * depth + b"1" + end * depth)


def _grow(path: Path, rng: random.Random, content: bytes, other: bytes) -> None:
    path.write_bytes(content)
    os.truncate(path, rng.choice((10**6, 10**8, 2 * 10**9, 2**40)))


def _hollow(path: Path, rng: random.Random, content: bytes, other: bytes) -> None:
    _grow(path, rng, b"", other)


def _edit_json(path: Path, rng: random.Random, content: bytes, other: bytes) -> None:
    try:
        value = json.loads(content)
    except ValueError:
        return _swap(path, rng, content, b"[]")
    places = list(list_places(value))
    changed = replace(value, rng.choice(places), rng.choice(VALUES)) if places else rng.choice(VALUES)
    return _write_json(path, changed)


def _listen(path: Path, *_: object) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        folder = os.open(path.parent, os.O_RDONLY)  # names of sockets are short
        server.bind(f"/proc/self/fd/{folder}/{path.name}")
        os.close(folder)


CHANGES: dict[str, Change] = {
    "cut": _cut,
    "flip": _flip,
    "zero": _zero,
    "insert": _insert,
    "swap": _swap,
    "nest": _nest,
    "grow": _grow,
    "hollow": _hollow,
    "edit": _edit_json,
    "edit again": _edit_json,
    "gone": lambda path, *_: None,
    "fifo": lambda path, *_: os.mkfifo(path),
    "socket": _listen,
    "folder": lambda path, *_: path.mkdir(),
    "device": lambda path, *_: path.symlink_to("/dev/zero"),
    "loop": lambda path, *_: path.symlink_to(path.name),
    "dangling": lambda path, *_: path.symlink_to("nothing"),
    "out": lambda path, *_: path.symlink_to("/etc"),
    "up": lambda path, *_: path.symlink_to(".."),
}

VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1, 2_000_000_000, 2**63, -(2**63), 10**400, 0.0, -0.0, 1e308, 1e-320, 0.5, "", "x", "\0",
    "\ud800", "../../../x", "/", ".", "²", "a" * 5000,
    "\x1b[31m", [], [[]], [0], ["x"], [None] * 3, {}, {"": None}, {"v": 1},
    [["init", 2], ["shuffle", 2]],
)  # fmt: skip
"""Values that stand in the place of others."""

Place = tuple[str | int, ...]


def list_places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Yield the place of everything in a JSON value, as keys and numbers from the outside."""
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from list_places(inner, (*place, key))


def replace(value: Any, place: Place, other: Any) -> Any:
    """Return a JSON value with another one at a place."""
    if not place:
        return other
    copy = value.copy()
    copy[place[0]] = replace(value[place[0]], place[1:], other)
    return copy


def _write_json(path: Path, value: Any) -> None:
    path.write_bytes(json.dumps(value).encode("utf-8", errors="surrogatepass"))


class Bench:
    """A study that is changed and looked at, and made whole again."""

    def __init__(self, kept: Path, folder: Path) -> None:
        """Keep a whole study aside; the one that is changed is made of links to its files."""
        self.whole, self.paths = folder / "whole", StudyPaths(folder / "store" / "study")
        shutil.copytree(kept, self.whole)
        for name in ("supervisor.log", "control/00000002.json"):
            shutil.copy(self.whole / "protocol.toml", self.whole / name)
        for name in list_kinds(self.whole):
            if not (self.whole / name).exists():
                (self.whole / name).write_bytes(b"{}")
        for name in ("damage.json", "attempts/01/exit.json"):
            for file in self.whole.glob(f"runs/*/{name}"):
                file.write_bytes(b'{"v": 1}')  # of a form that says nothing about the run
        measure(StudyPaths(self.whole))  # so that a look measures what a change concerns, and takes the rest as it was
        self.kinds = list(list_kinds(self.whole))
        self.summaries, self.forms = StudySummaries(), itertools.cycle(("table", "csv", "json"))

    def restore(self) -> None:
        """Make the study whole."""
        shutil.rmtree(self.paths.folder.parent, ignore_errors=True)
        shutil.copytree(self.whole, self.paths.folder, copy_function=os.link)

    def change(self, kind: str, change: str, rng: random.Random) -> None:
        """Change one file in one way."""
        self.restore()
        path, other = self.paths.folder / kind, self.whole / rng.choice(self.kinds)
        content = path.read_bytes() if path.is_file() else b""
        self.clear(path)
        CHANGES[change](path, rng, content, other.read_bytes() if other.is_file() else b"")

    def put(self, kind: str, value: Any) -> None:
        """Write a JSON value in the place of a file."""
        self.restore()
        path = self.paths.folder / kind
        self.clear(path)
        _write_json(path, value)

    def clear(self, path: Path) -> None:
        """Remove what is at a path, so that the whole study keeps its own."""
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def look(self) -> dict[str, float]:
        """Look at the study with everything that reads one; return the processor time of each look.

        Raises:
            TooLongError: If one takes longer than it may.
            MemoryError: If one takes more memory than it may.
        """
        folder, store = str(self.paths.folder), str(self.paths.folder.parent)
        looks: dict[str, Callable[[], object]] = {
            "ls": lambda: run(["ls", "--store", store]),
            "status": lambda: run(["status", folder]),
            "list": lambda: [describe_study(self.summaries.summarise(p), 24) for p in iterate_studies(Path(store))],
            "monitor": lambda: watch(self.paths),
            "files": lambda: [read_quietly(self.paths.folder / kind) for kind in self.kinds],
            "pairs": lambda: find_similarity(self.paths.cka),
            "report": lambda: run(["report", folder, "--format", next(self.forms)]),
            "compare": lambda: list_candidates(self.paths, Path(store)),
        }
        spent: dict[str, float] = {}
        for name, act in looks.items():
            before = time.process_time()
            with bounded():
                act()
            spent[name] = time.process_time() - before
        return spent


def run(arguments: list[str]) -> int:
    """Run a command in this process, measuring included; whatever it raises beside messages goes on."""
    refresh = reporting.refresh_metrics
    reporting.refresh_metrics = measure
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
            code = cli.main(arguments)
    finally:
        reporting.refresh_metrics = refresh
    assert code in (0, 1, 2), code
    assert "Traceback" not in said.getvalue()
    return code


def watch(paths: StudyPaths) -> None:
    """Do what the monitor does with a study, without its screen."""
    try:
        follower = Follower(paths)
        pictures = [follower.look(), follower.look()]
    except NondetError:
        return
    console = Console(file=io.StringIO())
    for picture in pictures:
        lines = [
            *arm_lines(picture, hidden=(), width=100, theme="nondet-dark"),
            *now_lines(picture, (), width=40, theme="nondet-dark"),
        ]
        for line in lines:
            console.print(line.text)
        for number, arm in enumerate(picture.snapshot.arms):
            for replica, one in enumerate(arm.runs):
                describe_run(replica, one)
            for measure_name in picture.measures:
                for spread in (False, True):
                    make_curve(
                        picture.series[arm.name],
                        measure_name,
                        number,
                        spread=spread,
                        diverged=arm.diverged_epochs,
                    )


@contextlib.contextmanager
def bounded() -> Generator[None]:
    """End what takes more processor time, time or memory than it may."""

    def end(number: int, frame: FrameType | None) -> None:
        raise TooLongError(f"took longer than {CPU_S} s of the processor or {SILENCE_S} s")

    held = Path("/proc/self/statm").read_text().split()[0]
    limits = resource.getrlimit(resource.RLIMIT_AS)
    previous = [signal.signal(number, end) for number in (signal.SIGPROF, signal.SIGALRM)]
    resource.setrlimit(resource.RLIMIT_AS, (int(held) * resource.getpagesize() + MEMORY_BYTES, limits[1]))
    signal.setitimer(signal.ITIMER_PROF, CPU_S)
    signal.setitimer(signal.ITIMER_REAL, SILENCE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        for number, handler in zip((signal.SIGPROF, signal.SIGALRM), previous, strict=True):
            signal.signal(number, handler)


def mutate(bench: Bench, numbers: range, seed: int) -> None:
    """Change every kind of file in every way, then again; seed and number are all that it takes to repeat a mutation.

    Raises:
        AssertionError: If a look ends otherwise than in words, or takes too long or too much memory.
    """
    cases = [(kind, change) for kind in bench.kinds for change in CHANGES]
    random.Random(seed).shuffle(cases)
    for number in numbers:
        kind, change = cases[number % len(cases)]
        bench.change(kind, change, random.Random(seed + number))
        try:
            bench.look()
        except BaseException as error:
            raise AssertionError(f"mutation {number}: {change} of {kind}: {type(error).__name__}: {error}") from error
