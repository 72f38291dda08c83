"""Watches a program that trains with torch: marks at every step, and the operations between two of them."""

from __future__ import annotations

import atexit
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional, TextIO
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils._python_dispatch import _disable_current_modes

from . import fingerprints
from .facts import LoaderWatch, fix_kernels, fix_threads, read_settings
from .fingerprints import Fingerprint
from .records import Facts, Record, write_differences, write_facts, write_line
from .seeds import SeedWatch
from .tracer import Tracer
from .values import measure
from .wanted import Mark, Wanted, read_marks

MOST_RECORDS = 1_000_000
"""Operations that are recorded: what comes later in a window is not compared."""

_is_compiling: Callable[[], bool] = getattr(getattr(torch, "compiler", None), "is_compiling", lambda: False)
"""Says whether what is executed is only looked at by torch's compiler."""


class Watcher:
    """Follows the process that trains. Each process has files of its own; the first that trains claims the run."""

    def __init__(self, wanted: Wanted, seeds: SeedWatch) -> None:
        """Take what is wanted, and what has been seen of seeds."""
        self._wanted, self._seeds = wanted, seeds
        self._folder, self._process = Path(wanted.folder), os.getpid()
        self._loaders = LoaderWatch(fixed="workers" in wanted.fixed)
        self._others = read_marks(Path(wanted.others)) if wanted.others else []
        self._begun: WeakSet[torch.optim.Optimizer] = WeakSet()
        self._depth = 0
        self._inputs: list[Optional[Fingerprint]] = []
        self._marks: list[Mark] = []
        self._steps = 0
        self._unread, self._most_unread = 0, 0
        self._claimed: Optional[bool] = None
        self._lines: dict[str, TextIO] = {}
        self._tracer: Optional[Tracer] = None

    def attach(self) -> None:
        """Begin to watch."""
        if "threads" in self._wanted.fixed:
            fix_threads()
        if "kernels" in self._wanted.fixed:
            fix_kernels()
        self._loaders.attach()
        for owner in (torch, torch.random):
            self._seeds.watch(owner, "manual_seed", "torch.manual_seed")
        self._seeds.watch(torch.cuda, "manual_seed", "torch.cuda.manual_seed")
        self._seeds.watch(torch.cuda, "manual_seed_all", "torch.cuda.manual_seed_all")
        if self._wanted.begin is not None:
            self._tracer = Tracer(watch=self._wanted.watch, sink=self._write_records)
            self._tracer.attach()
        register_optimizer_step_pre_hook(self._before_step)
        register_optimizer_step_post_hook(self._after_step)
        register_module_forward_pre_hook(self._enter)
        try:
            register_module_forward_hook(self._leave, with_kwargs=True, always_call=True)
        except TypeError:  # before torch 2.1
            register_module_forward_hook(lambda module, inputs, output: self._leave(module, inputs, {}, output))
        atexit.register(self._end)
        if self._tracer is not None and self._wanted.begin == 0:
            self._tracer.__enter__()

    def _enter(self, _module: nn.Module, _inputs: Any) -> None:
        if not _is_compiling():
            self._depth += 1

    def _leave(self, _module: nn.Module, inputs: Any, named: Any, _output: Any) -> None:
        if _is_compiling():
            return
        self._depth = max(self._depth - 1, 0)
        if self._depth == 0 and self._claimed is not False and os.getpid() == self._process:
            self._inputs.append(self._take(_list_tensors((inputs, named))))

    def _before_step(self, optimiser: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
        if optimiser not in self._begun:
            self._begun.add(optimiser)
            self._mark("begin", optimiser)

    def _after_step(self, optimiser: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
        self._steps += 1
        self._mark("step", optimiser)

    def _mark(self, kind: str, optimiser: torch.optim.Optimizer) -> None:
        """Write a mark, and end the program where that is wanted."""
        if os.getpid() != self._process or not self._claim():
            return
        parameters = [one for group in optimiser.param_groups for one in group["params"]]
        weights = _settle([self._take(parameters)])
        known = [one.grad for one in parameters if one.grad is not None] if kind == "begin" else []
        gradients = _settle([self._take(known)])
        self._most_unread, self._unread = max(self._most_unread, self._unread), 0
        mark = Mark(kind, self._steps, _settle(self._inputs), weights, gradients, type(optimiser).__name__)
        number = len(self._marks)
        self._inputs = []
        self._marks.append(mark)
        self._write("marks", json.dumps(mark) + "\n")
        if self._others and self._others[number : number + 1] != [mark]:
            self._finish("differs")
        if number == self._wanted.end:
            self._finish("window")
        if self._wanted.steps is not None and kind == "step" and self._steps >= self._wanted.steps:
            self._finish("steps")
        if self._tracer is not None and number + 1 == self._wanted.begin:
            self._tracer.__enter__()

    def _claim(self) -> bool:
        """Tell whether this is the process that the run is about: the first that trains, of several ranks the first."""
        if self._claimed is None:
            self._claimed = os.environ.get("RANK", "0") == "0"
            if self._claimed:
                try:
                    handle = os.open(self._folder / "claimed", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                    os.write(handle, str(self._process).encode())
                    os.close(handle)
                except OSError:
                    self._claimed = False
            if not self._claimed and self._tracer is not None:
                self._tracer.stop()
        return self._claimed

    def _write_records(self, records: list[Record]) -> None:
        self._write("records", "".join(map(write_line, records)))
        if self._tracer is not None and self._tracer.count > MOST_RECORDS:
            self._tracer.stop()

    def _write(self, kind: str, text: str) -> None:
        lines = self._lines.get(kind)
        if lines is None:
            path = self._folder / f"{kind}-{self._process}"
            lines = self._lines[kind] = path.open("w", encoding="utf-8")
        lines.write(text)
        lines.flush()

    def _finish(self, reason: str) -> None:
        """End the program here and now: what it would do later is not wanted."""
        self._report(reason)
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(0)

    def _end(self) -> None:
        """Write down what is known when the program ends.

        Where no process trains, the program is compared as a whole: the process that ends last stands for it. One that
        ends without a step claims nothing, since another may train later.
        """
        if os.getpid() != self._process or self._claimed is False or os.environ.get("RANK", "0") != "0":
            return
        if self._claimed is None:
            (self._folder / "whole").write_text(str(self._process))
        self._report("ended")

    def _report(self, reason: str) -> None:
        """Write down all that is known at the end."""
        if self._tracer is not None:
            self._tracer.flush()
        if self._wanted.watch is not None and self._tracer is not None:
            with _disable_current_modes():
                self._keep(self._tracer.kept)
        unread = max(self._most_unread, self._unread)
        if self._tracer is not None and not self._marks:
            unread += self._tracer.unread
        facts = Facts(reason, unread, read_settings(), tuple(self._seeds.seen), tuple(self._loaders.seen))
        self._write("facts", write_facts(facts))

    def _keep(self, kept: dict[str, Tensor]) -> None:
        """Save the tensors that were watched, or write how they differ from those of the other run."""
        if not self._wanted.kept:
            torch.save(kept, self._folder / f"kept-{self._process}")
            return
        others: dict[str, Tensor] = torch.load(self._wanted.kept, weights_only=True)
        found = {name: measure(others[name], one) for name, one in kept.items() if name in others}
        content = {name: one for name, one in found.items() if one is not None}
        self._write("difference", write_differences(content))

    def _take(self, tensors: list[Tensor]) -> Optional[Fingerprint]:
        """Return one fingerprint of several tensors, untraced; what cannot be read is counted and left out."""
        with _disable_current_modes(), torch.no_grad():
            found = [fingerprints.read(one) for one in tensors]
            self._unread += sum(one is None for one in found)
            return fingerprints.join([0 if one is None else one for one in found])


def _settle(found: list[Optional[Fingerprint]]) -> int:
    with _disable_current_modes(), torch.no_grad():
        joined = fingerprints.join(found) if found else 0
        return fingerprints.settle([joined])[0] if joined is not None else 0


def _list_tensors(values: Any) -> list[Tensor]:
    """Return the tensors among arguments, in lists and dictionaries too."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, dict):
        return [one for value in values.values() for one in _list_tensors(value)]
    if isinstance(values, (list, tuple)):
        return [one for value in values for one in _list_tensors(value)]
    return []
