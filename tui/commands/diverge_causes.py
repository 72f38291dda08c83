"""Says what makes two runs of a program differ, how that is tried out, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from engine.tracing import comparison
from engine.tracing.records import Facts, Loader, Settings
from engine.tracing.seeds import Seeding
from tui.text.counts import plural

EXPERIMENTS = {
    "hash": "PYTHONHASHSEED=0",
    "seeds": "one seed for torch, random and numpy",
    "time": "a clock that says the same in both runs",
    "workers": "loaders without workers",
    "threads": "one thread",
    "kernels": "deterministic algorithms, cudnn.benchmark off",
}
"""What can be held fixed in both runs → how it is said."""

TRIED = {
    comparison.INPUT: ("hash", "seeds", "time", "workers", "threads"),
    comparison.ARGUMENT: ("hash", "seeds", "time"),
    comparison.OPERATIONS: ("hash", "seeds", "time", "workers"),
    comparison.RANDOM: ("seeds", "hash", "time", "workers"),
    comparison.KERNEL: ("threads", "kernels"),
    comparison.MEMORY: (),
    "": ("hash", "seeds", "time", "workers", "threads", "kernels"),
}
"""Kind of difference → what is held fixed to find its cause, in this order."""

MEANINGS = {
    comparison.INPUT: "torch was given other numbers: the data, or what the program changed outside of torch, differ",
    comparison.ARGUMENT: "a number that the program computed itself, outside of torch, differs",
    comparison.OPERATIONS: "the two runs do other operations: the program takes another way, or has more or fewer data",
    comparison.RANDOM: "random numbers are drawn, and the generator is not in the same state in both runs",
    comparison.KERNEL: "all that goes in agrees to the bit and what comes out does not: the computation itself differs",
    comparison.MEMORY: "memory is read that no operation of torch has written into: it holds whatever was there, or "
    "what numpy or a kernel of your own wrote",
    "": "no operation of torch differs: weights or data were changed by something else, such as numpy or a file",
}

REMEDIES = {
    "hash": "Python hashes texts anew in every process, so sets of texts have another order: use sorted(…), or start "
    "Python with PYTHONHASHSEED=0",
    "seeds": "set all seeds at the start: torch.manual_seed(0), random.seed(0), numpy.random.seed(0)",
    "time": "take no seed and no number from the clock: write it into the program or its options",
    "workers": "give the DataLoader the same num_workers in every run, generator=torch.Generator().manual_seed(0), and "
    "a worker_init_fn that seeds random and numpy from torch.initial_seed()",
    "threads": "give torch the same number of threads in every run: torch.set_num_threads(1), or OMP_NUM_THREADS=1 in "
    "the environment",
    "kernels": "torch.use_deterministic_algorithms(True), torch.backends.cudnn.benchmark = False, and "
    "CUBLAS_WORKSPACE_CONFIG=:4096:8 in the environment",
    "memory": "fill what torch.empty gives before it is read, or use torch.zeros; where numpy or a kernel of your own "
    "fills it, look there for what differs: random numbers without a seed, or additions in no fixed order",
}

USUAL = {
    comparison.INPUT: "a set of texts (PYTHONHASHSEED), a seed that is not set or comes from the clock, another number "
    "of loader workers, files listed in no order, numpy drawing without a seed, os.urandom or uuid",
    comparison.ARGUMENT: "random or numpy drawing without a seed, the clock, a set of texts (PYTHONHASHSEED)",
    comparison.OPERATIONS: "a decision by the clock or by an unseeded random number, a set of texts (PYTHONHASHSEED), "
    "a file that an earlier run left, such as a checkpoint",
    comparison.RANDOM: "torch.manual_seed is not called, or is given another number, or something drew before",
    comparison.KERNEL: "another number of threads, atomic additions on a GPU (use_deterministic_algorithms), "
    "cudnn.benchmark, other libraries or processors",
    comparison.MEMORY: "torch.empty that is read before it is filled, or that numpy or a kernel of your own fills",
    "": "numpy or another library drawing without a seed, a file that an earlier run left",
}


@dataclass(frozen=True)
class Cause:
    """Describes what was found to make the runs differ."""

    name: str
    """One of EXPERIMENTS, or `memory`."""
    evidence: str
    """How that is known."""

    @property
    def remedy(self) -> str:
        """Return what to do about it."""
        return REMEDIES[self.name]


def find_evidence(first: Facts, second: Facts, kind: str) -> list[Cause]:
    """Return causes that are seen in what two runs set, without another run.

    Args:
        first: The facts of a run.
        second: Those of the other.
        kind: Of the difference.
    """
    causes = [*_compare_seeds(first.seeds, second.seeds), *_compare_loaders(first.loaders, second.loaders)]
    causes += _compare_settings(first.settings, second.settings)
    if kind == comparison.RANDOM and not first.seeds and not second.seeds:
        causes.append(Cause("seeds", "the program sets no seed"))
    if kind == comparison.MEMORY:
        causes.append(Cause("memory", "no operation of torch has written into what is read"))
    return causes


def _compare_seeds(first: Sequence[Seeding], second: Sequence[Seeding]) -> list[Cause]:
    for one, other in zip_longest(first, second):
        known = one or other
        assert known is not None, "zip_longest gives one of both"
        if one is None or other is None:
            return [Cause("seeds", f"{known.function} is called in one run only, at {shorten(known.place)}")]
        if one != other:
            given = f"is given {one.value} in one run and {other.value} in the other"
            told = f"{one.function} at {shorten(one.place)} {given}"
            return [Cause("time" if _look_like_time(one.value, other.value) else "seeds", told)]
    return []


def _look_like_time(*values: str) -> bool:
    """Tell whether numbers are moments since 1970 within the same day, in seconds or parts of them."""
    try:
        moments = [float(value) for value in values]
    except ValueError:
        return False
    return any(all(1.2e9 < one / unit < 4e9 for one in moments) for unit in (1, 1e3, 1e6, 1e9))


def _compare_loaders(first: Sequence[Loader], second: Sequence[Loader]) -> list[Cause]:
    for one, other in zip(first, second, strict=False):
        if one.workers != other.workers:
            counts = f"{plural(one.workers, 'worker')} in one run and {other.workers} in the other"
            return [Cause("workers", f"the DataLoader at {shorten(one.place)} has {counts}")]
    return []


def _compare_settings(first: Settings, second: Settings) -> list[Cause]:
    causes: list[Cause] = []
    for name, one in first.items():
        other = second.get(name, one)
        if one != other:
            cause = "threads" if "threads" in name else "hash" if name == "PYTHONHASHSEED" else "kernels"
            causes.append(Cause(cause, f"{name} is {one} in one run and {other} in the other"))
    return causes


def shorten(place: str) -> str:
    """Return a place in a file relative to the working directory where it is below it."""
    name, _, line = place.rpartition(":")
    path = Path(name)
    return f"{path.relative_to(Path.cwd())}:{line}" if path.is_relative_to(Path.cwd()) else place
