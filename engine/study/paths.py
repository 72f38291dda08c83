"""Names of every file of a study folder; the one place that knows them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.errors import StudyError
from engine.protocol.faults import show_path
from engine.study.opening import PLAN, find_obstacle, is_there

STORE_VARIABLE = "NONDET_STORE"
DEFAULT_STORE = "studies"
MAX_NAME_BYTES, MAX_PATH_BYTES = 255, 4096
"""What Linux allows; beyond it even the question whether a file is there is an error."""

LABELS_MAX_BYTES = 64_000_000
PREDICTIONS_MAX_BYTES = 2_000_000_000
MODEL_MAX_BYTES = 16_000_000_000
CHECKPOINT_MAX_BYTES = 64_000_000_000
"""How large files that are no records may be; see `engine.study.records.Record.max_bytes` for those."""

ATTEMPT = re.compile(r"0[1-9]|[1-9][0-9]{1,8}")
"""Names of folders that were claimed, as `name_number` makes them; others are nobody's."""


def name_number(number: int) -> str:
    """Return the name of the folder that claims a number."""
    return f"{number:02d}"


def list_numbers(folder: Path) -> list[int]:
    """Return the numbers that were claimed in a folder, in order; none where there is no such folder.

    Raises:
        OSError: If it cannot be read.
    """
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(int(name) for name in names if ATTEMPT.fullmatch(name))


@dataclass(frozen=True)
class AttemptPaths:
    """One try at a run; only the process that claimed it writes here."""

    folder: Path

    @property
    def number(self) -> int:
        return int(self.folder.name)

    @property
    def run(self) -> RunPaths:
        return RunPaths(self.folder.parents[1])

    @property
    def attempt(self) -> Path:
        """The record of which process makes the attempt, on which device and with which software."""
        return self.folder / "attempt.json"

    @property
    def epochs(self) -> Path:
        """One line per epoch."""
        return self.folder / "epochs.jsonl"

    @property
    def log(self) -> Path:
        """Everything that the training printed."""
        return self.folder / "log.txt"

    @property
    def exit(self) -> Path:
        """The record of how the attempt ended; written only where it ended without a result."""
        return self.folder / "exit.json"

    @property
    def lost(self) -> Path:
        """The record that the attempt was declared lost; whoever makes it writes nothing of the run any more."""
        return self.folder / "lost.json"

    @property
    def beat(self) -> Path:
        """The latest sign of life of the process that makes the attempt."""
        return self.folder / "beat.json"

    @property
    def checkpoint(self) -> Path:
        """State at the end of an epoch; gone once the run is done."""
        return self.folder / "checkpoint.safetensors"


@dataclass(frozen=True)
class RunPaths:
    """One run's folder."""

    folder: Path

    @property
    def spec(self) -> Path:
        """Everything that determines the result."""
        return self.folder / "spec.json"

    @property
    def attempts(self) -> Path:
        return self.folder / "attempts"

    @property
    def predictions(self) -> Path:
        """Logits (N, C), float32."""
        return self.folder / "predictions.npy"

    @property
    def model(self) -> Path:
        """Final weights."""
        return self.folder / "model.safetensors"

    @property
    def result(self) -> Path:
        """Written last; it alone means done."""
        return self.folder / "result.json"

    @property
    def device(self) -> Path:
        """The record of the model of device that it and those tied to it are trained on; see `one_model`."""
        return self.folder / "device.json"

    @property
    def damage(self) -> Path:
        """The record of what was found wrong with the files of a result; see `DamageRecord`."""
        return self.folder / "damage.json"

    def attempt(self, number: int) -> AttemptPaths:
        return AttemptPaths(self.attempts / name_number(number))

    def list_attempts(self) -> list[AttemptPaths]:
        """Return the attempts that were claimed so far, oldest first; none where their folder cannot be read."""
        return self.look_for_attempts()[0]

    def look_for_attempts(self) -> tuple[list[AttemptPaths], str | None]:
        """Return the attempts that were claimed so far, oldest first, and why they cannot be seen where that is so."""
        try:
            numbers = list_numbers(self.attempts)
        except OSError as error:
            return [], error.strerror
        return [self.attempt(number) for number in numbers], None


@dataclass(frozen=True)
class ForkPaths:
    """A common beginning, up to the end of one epoch."""

    stem: Path

    @property
    def checkpoint(self) -> Path:
        """The state; written last."""
        return self.stem.with_name(self.stem.name + ".safetensors")

    @property
    def epochs(self) -> Path:
        """The lines of epochs.jsonl that led there."""
        return self.stem.with_name(self.stem.name + ".jsonl")


@dataclass(frozen=True)
class StudyPaths:
    """A study's folder."""

    folder: Path
    """Absolute: the processes that train and measure it run in another working directory."""

    def __post_init__(self) -> None:
        """Refuse a relative folder, which would name another place in another process."""
        if not self.folder.is_absolute():
            raise ValueError(f"{self.folder}: a study's folder must be an absolute path")

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def protocol(self) -> Path:
        return self.folder / "protocol.toml"

    @property
    def history(self) -> Path:
        """Earlier protocols of this study."""
        return self.folder / "history"

    @property
    def plan(self) -> Path:
        return self.folder / PLAN

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def forks(self) -> Path:
        """States at onsets, which every run with the same beginning goes on from."""
        return self.folder / "forks"

    def fork(self, prefix_id: str, epoch: int) -> ForkPaths:
        return ForkPaths(self.forks / f"{prefix_id}-{epoch:05d}")

    def list_forks(self, prefix_id: str) -> list[ForkPaths]:
        """Return the states that were kept of a common beginning, earliest first; see `fork`."""
        kept = self.forks.glob(f"{prefix_id}-*.safetensors")
        return [ForkPaths(path.with_suffix("")) for path in sorted(kept)]

    @property
    def start_lock(self) -> Path:
        """Locked by the command that writes or starts the study; empty."""
        return self.folder / "start.lock"

    @property
    def labels(self) -> Path:
        """int64 (N,)."""
        return self.folder / "labels.npy"

    def data_digest(self, name: str) -> Path:
        """Return where the digest lies of what a user's data function returned for the first run."""
        return self.folder / "data" / f"{name}.sha256"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.json"

    @property
    def checked(self) -> Path:
        """The record of which predictions were compared with their digests, and of how their files looked then."""
        return self.folder / "checked.json"

    @property
    def note(self) -> Path:
        """The record of what a person says of the study, and of its tags."""
        return self.folder / "note.json"

    @property
    def partings(self) -> Path:
        """Records of where two runs part."""
        return self.folder / "partings"

    def divergence(self, one: str, other: str) -> Path:
        """Return where the record lies of where a run parts from another one."""
        return self.partings / f"{one}-{other}.json"

    @property
    def selftest(self) -> Path:
        """The outcome of the self-test of a user's own program."""
        return self.folder / "selftest.json"

    @property
    def measuring(self) -> Path:
        """The sign of the process that measures the study, while there is one."""
        return self.folder / "measuring.json"

    @property
    def decision(self) -> Path:
        """After how many pairs of replicas the study's two arms were told apart."""
        return self.folder / "decision.json"

    @property
    def cka(self) -> Path:
        """CKA of inner layers, all pairs of each arm's replicas."""
        return self.folder / "cka.json"

    @property
    def curves(self) -> Path:
        """Spread of each arm's replicas, epoch by epoch."""
        return self.folder / "curves.json"

    @property
    def control(self) -> Path:
        """Requests: cancel, pause, resume."""
        return self.folder / "control"

    @property
    def supervisor(self) -> Path:
        return self.folder / "supervisor.json"

    @property
    def jobs(self) -> Path:
        """The folder of what jobs of a scheduler printed."""
        return self.folder / "jobs"

    @property
    def device(self) -> Path:
        """The record of the model of device that all runs are trained on: earlier versions kept it here."""
        return self.folder / "device.json"

    @property
    def supervisors(self) -> Path:
        """Claims of supervisors, of which the one with the highest number holds."""
        return self.folder / "supervisors"

    @property
    def similarity_beat(self) -> Path:
        """The latest sign of life of the process that compares layers."""
        return self.folder / "similarity-beat.json"

    @property
    def supervisor_beat(self) -> Path:
        """The supervisor's latest sign of life."""
        return self.folder / "supervisor-beat.json"

    @property
    def supervisor_log(self) -> Path:
        return self.folder / "supervisor.log"

    def run(self, run_id: str) -> RunPaths:
        return RunPaths(self.runs / run_id)


def enter_path(text: str | Path) -> Path:
    """Make a path that a user gave absolute: ~ is the home, a relative one is seen from the working directory.

    Raises:
        StudyError: If it names the home of a user who does not exist, or is longer than any path can be.
    """
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        remedy = f"write the path out, or use ./{show_path(text)}"
        problem = "there is no such user's home" if Path(text).parts[0] != "~" else "HOME is not set"
        raise StudyError(f"{show_path(text)}: {problem}: {remedy}") from error
    if len(os.fsencode(path)) >= MAX_PATH_BYTES or any(len(os.fsencode(name)) > MAX_NAME_BYTES for name in path.parts):
        problem = f"a name in it has more than {MAX_NAME_BYTES} bytes, or all of it more than {MAX_PATH_BYTES}"
        raise StudyError(f"{show_path(text)}: {problem}, which no path can have: give another")
    return path.absolute()


def find_store(option: str | None) -> Path:
    """Find the folder of all studies: the option, else $NONDET_STORE, else ./studies; always absolute."""
    return enter_path(option or os.environ.get(STORE_VARIABLE) or DEFAULT_STORE)


def is_named(option: str | None) -> bool:
    """Tell whether a user has named the store, by the option or in the environment, rather than left it to us."""
    return bool(option or os.environ.get(STORE_VARIABLE))


def iterate_studies(store: Path) -> Iterator[StudyPaths]:
    """Yield the studies of a store in the order of their names; nothing where there is no store or it cannot be read.

    A folder that cannot be looked into is one of them: nobody can tell that it is none.
    """
    try:
        names = sorted(os.listdir(store))
    except OSError:
        return
    for name in names:
        paths = StudyPaths(store / name)
        if is_there(paths.plan) or find_obstacle(paths.plan) is not None:
            yield paths


def find_store_fault(store: Path) -> str | None:
    """Return why a store cannot be read; None where it can, or is not there yet."""
    try:
        os.listdir(store)
    except FileNotFoundError:
        return None
    except OSError as error:
        return (
            f"{store}: cannot be read as a store ({error.strerror}): check its owner and mount, or choose another "
            "with --store"
        )
    return None
