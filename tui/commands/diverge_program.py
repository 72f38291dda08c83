"""`diverge -- PROGRAM`: runs a program twice, finds the first step and operation in which the runs differ, and why."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, Protocol

import msgspec

from engine.errors import EXIT_OK, EXIT_RUNS_FAILED, EXIT_UNDECIDED, NondetError
from engine.tracing.comparison import Verdict, compare, reconsider
from engine.tracing.wanted import Mark, Wanted
from tui.commands.diverge_causes import EXPERIMENTS, TRIED, Cause, find_evidence
from tui.commands.diverge_process import Outcome, run_watched
from tui.commands.diverge_report import Report, Tried
from tui.commands.diverge_words import describe_program, describe_report
from tui.commands.typed import read_whole

TRIES = 3
"""Pairs of runs that are traced until the difference shows again."""
PATIENCE_S = 60.0
"""Seconds that trying causes may take without being asked for."""
BEFORE = 3
"""Operations that are shown before the first that differs."""


class ProgramError(NondetError):
    """A program that cannot be run twice to be compared."""

    exit_code = EXIT_RUNS_FAILED


def diverge_program(
    words: Sequence[str], *, steps: str | None, repeat: str | None, find_cause: bool, as_json: bool
) -> int:
    """Run a program twice and say where the runs part.

    Args:
        words: Its command line.
        steps: After how many steps it is ended, as it was typed.
        repeat: With how many further runs the first is compared, as it was typed.
        find_cause: Whether causes are tried however long it takes.
        as_json: Whether JSON is printed, and nothing else.

    Returns:
        EXIT_OK where it was found, EXIT_UNDECIDED where the runs agree.

    Raises:
        NondetError: If the program cannot be run or watched.
    """
    if not words:
        raise NondetError("nondet-tui diverge: behind `--` stands the program, as in `-- python train.py`")
    limit, further = _read_count("--steps", steps), _read_count("--repeat", repeat) or 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nothing may be left behind then either
    with tempfile.TemporaryDirectory(prefix="nondet-diverge-") as folder:
        search = Search(words, Path(folder), limit=limit, further=further)
        report = search.find(find_cause=find_cause)
    if as_json:
        content = describe_report(report)
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(content), indent=1).decode() + "\n")
    else:
        sys.stdout.write("\n".join([*describe_program(report), ""]))
    return EXIT_OK if report.differs else EXIT_UNDECIDED


OF_RUNS = {"words": "STUDY:ARM I J", "out": "--out", "epochs": "--epochs", "again": "--again"}
OF_PROGRAMS = {"steps": "--steps", "repeat": "--repeat", "find_cause": "--find-cause"}
"""What goes with one form of the command alone, by its field."""


def check_form(options: Mapping[str, Any]) -> None:
    """Refuse options of one form of `diverge` with the other.

    Raises:
        NondetError: If there are any.
    """
    of_program = options["program"] is not None
    wrong = [name for field, name in (OF_RUNS if of_program else OF_PROGRAMS).items() if options[field]]
    if of_program and options["format"] == "html":
        wrong.append("--format html")
    if wrong and of_program:
        raise NondetError(
            f"nondet-tui diverge: {', '.join(wrong)}: for runs of a study, not with a program behind `--`"
        )
    if wrong:
        raise NondetError(
            f"nondet-tui diverge: {', '.join(wrong)}: for a program: name it behind `--`, as in `-- python train.py`"
        )


def _read_count(option: str, text: str | None) -> int | None:
    """Return the number behind an option, from 1; None where the option is not given."""
    return None if text is None else read_whole(option, text, "a whole number from 1", least=1)


class Run(Protocol):
    """Runs a program once while it is watched."""

    def __call__(self, words: Sequence[str], wanted: Wanted, /, *, look: Callable[[int], None]) -> Outcome:
        """Return what the run left; `look` is called with the number of steps so far."""
        ...


class Search:
    """Runs the program as often as it takes."""

    def __init__(
        self, words: Sequence[str], folder: Path, *, limit: int | None, further: int, run: Run = run_watched
    ) -> None:
        """Take the program, a folder for what its runs leave, the limits, and what runs a program."""
        self._execute = run
        self._words, self._folder, self._limit, self._further = words, folder, limit, further
        self._report = Report(words)
        self._slowest_s = 0.0

    def find(self, *, find_cause: bool) -> Report:
        """Find where the runs part, and why."""
        started = time.monotonic()
        report = self._report
        self._find_step()
        if report.mark is not None or report.whole:
            facts = self._find_operation()
            if report.verdict is not None and report.verdict.place:
                self._measure(report.verdict)
            if report.differs and report.seen_again:
                self._find_causes(*facts, find_cause=find_cause)
        report.seconds = time.monotonic() - started
        return report

    def _find_step(self) -> None:
        """Find the first mark that differs between the first run and one of the others."""
        first = self._run("steps of run 1", steps=self._limit)
        self._check_first(first)
        report = self._report
        report.whole, report.steps = not first.marks, _count_steps(first.marks)
        report.unread = first.facts.unread
        if report.whole:
            return
        for number in range(self._further):
            others = str(first.folder / f"marks-{first.process}")
            second = self._run(f"steps of run {number + 2}", steps=self._limit, others=others)
            mark = find_mark(first.marks, second.marks)
            if mark is not None:
                self._note_mark(mark, first.marks, second.marks)
                return
            report.agreed += 1

    def _note_mark(self, mark: int, first: Sequence[Mark], second: Sequence[Mark]) -> None:
        report = self._report
        one, other = (marks[mark] if mark < len(marks) else None for marks in (first, second))
        known = one or other
        assert known is not None, "one of the runs has the mark"
        report.mark = mark
        report.steps, report.optimiser = _count_steps(first[:mark]), known.optimiser
        report.what = _find_what(one, other)
        before = known.kind == "begin" and known.step == 0 and report.what == "weights"
        report.step = 0 if before else report.steps + 1

    def _check_first(self, outcome: Outcome) -> None:
        """Refuse a program that cannot be watched.

        Raises:
            ProgramError: With the reason.
        """
        name = " ".join(self._words)
        if not outcome.is_python:
            raise ProgramError(
                f"nondet-tui diverge: {name}: no Python was started, or one with -E, -I or -S: what watches a program "
                "is loaded by Python through PYTHONPATH"
            )
        if outcome.old_torch:
            raise ProgramError(
                f"nondet-tui diverge: {name}: it has torch {outcome.old_torch}: torch 2 or newer is needed"
            )
        if not outcome.process:
            raise ProgramError(
                f"nondet-tui diverge: {name}: it does not import torch: only trainings in torch are watched"
            )

    def _find_operation(self) -> tuple[Outcome, Outcome]:
        """Find the first operation that differs between the last mark that agrees and the first that does not.

        What differs rarely may agree in some pairs, and in all that are tried: then it was not seen again.
        """
        report = self._report
        pair: tuple[Outcome, Outcome] | None = None
        tries, agreed = max(TRIES, self._further), 0
        while agreed < tries:
            pair = self._run_pair("operations", begin=report.mark or 0, end=report.mark)
            first, second = pair
            mark = find_mark(first.marks, second.marks)
            if mark is not None and report.mark is not None and mark < report.mark:
                self._note_mark(mark, first.marks, second.marks)
                continue
            report.verdict = compare(first.read_operations(), second.read_operations())
            if report.verdict is not None:
                start = max(report.verdict.number - BEFORE, 0)
                report.before = list(islice(first.read_operations(), start, report.verdict.number))
                break
            if mark is not None or report.whole:
                report.unread = max(report.unread, *(one.facts.unread for one in pair))
                break
            agreed += 1
        report.seen_again = agreed < tries
        report.agreed = report.agreed + agreed if report.seen_again else agreed
        assert pair is not None, "there is one try at least"
        return pair

    def _measure(self, verdict: Verdict) -> None:
        """Measure how the tensors of the first operation that differs are apart."""
        where = {"begin": self._report.mark or 0, "end": self._report.mark, "watch": verdict.number}
        for _ in range(TRIES):  # what differs in most runs may agree in one pair
            first = self._run("values of run 1", **where)
            second = self._run("values of run 2", **where, kept=first.kept)
            found = second.read_differences()
            if verdict.place not in found:
                continue
            again = compare(first.read_operations(), second.read_operations())
            if again is not None and (again.kind, again.number) == (verdict.kind, verdict.number):
                verdict = self._report.verdict = reconsider(verdict, found)
            self._report.difference = found[verdict.place]
            return

    def _find_causes(self, first: Outcome, second: Outcome, *, find_cause: bool) -> None:
        """Say what the runs set otherwise; where that is nothing, hold things fixed, one by one, until they agree."""
        report = self._report
        kind = "" if report.verdict is None else report.verdict.kind
        report.causes = find_evidence(first.facts, second.facts, kind)
        if report.causes:
            return
        pairs = report.agreed + 1
        expected_s, started = pairs * (first.seconds + second.seconds), time.monotonic()
        for name in TRIED[kind]:
            if not find_cause and time.monotonic() - started + expected_s > PATIENCE_S:
                report.untried_s = expected_s
                return
            try:
                agree = all(self._agree_with(name) for _ in range(pairs))
            except ProgramError:  # it does not run with what is held fixed
                agree = False
            report.tried.append(Tried(name, agree))
            if agree:
                those = "the two runs" if pairs == 1 else f"{pairs} pairs of runs"
                report.causes = [Cause(name, f"with {EXPERIMENTS[name]} {those} agree up to there")]
                return

    def _agree_with(self, fixed: str) -> bool:
        """Tell whether two runs agree up to the difference when one thing is held fixed; they have to do something."""
        title, mark = f"with {EXPERIMENTS[fixed]}", self._report.mark
        if self._report.whole:
            first, second = self._run_pair(title, begin=0, fixed=(fixed,))
            did = next(first.read_operations(), None) is not None
            return did and compare(first.read_operations(), second.read_operations()) is None
        first, second = self._run_pair(title, end=mark, fixed=(fixed,))
        return bool(first.marks) and find_mark(first.marks, second.marks) is None

    def _run_pair(self, title: str, **wanted: Any) -> tuple[Outcome, Outcome]:
        return self._run(f"{title}, run 1", **wanted), self._run(f"{title}, run 2", **wanted)

    def _run(self, title: str, **wanted: Any) -> Outcome:
        """Run the program once.

        Raises:
            ProgramError: If it fails by itself.
        """
        self._report.runs += 1
        line = Line(title)
        folder = self._folder / str(self._report.runs)
        outcome = self._execute(self._words, Wanted(str(folder), **wanted), look=line.show)
        line.end(_describe_end(outcome.marks))
        name = " ".join(self._words)
        if outcome.status is None:
            raise ProgramError(f"nondet-tui diverge: it cannot be started: {outcome.fault}")
        if outcome.status != 0 and not outcome.was_cut:
            how = f"signal {-outcome.status}" if outcome.status < 0 else f"exit status {outcome.status}"
            tail = outcome.read_tail()
            raise ProgramError(
                f"nondet-tui diverge: {name}: it failed by itself ({how}, {title}); its last lines:\n"
                f"{tail or '(it printed nothing)'}"
            )
        return outcome


def find_mark(first: Sequence[Mark], second: Sequence[Mark]) -> int | None:
    """Return the number of the first mark that is not the same in both, None where all are."""
    pairs = enumerate(zip_longest(first, second))
    return next((number for number, (one, other) in pairs if one != other), None)


def _find_what(one: Mark | None, other: Mark | None) -> str:
    """Return what differs in a mark, the earliest first."""
    if one is None or other is None or one.kind != other.kind:
        return "length"
    if one.kind == "begin" and one.parameters != other.parameters:
        return "weights"
    if one.inputs != other.inputs:
        return "inputs"
    return "weights" if one.gradients == other.gradients else "gradients"


def _count_steps(marks: Sequence[Mark]) -> int:
    return sum(mark.kind == "step" for mark in marks)


def _describe_end(marks: Sequence[Mark]) -> str:
    """Return how far a run came, in words."""
    steps = _count_steps(marks)
    if marks and marks[-1].kind == "begin":  # what came later in that step was not wanted
        return f"ended in step {steps + 1:,}"
    return "1 step" if steps == 1 else f"{steps:,} steps"


class Line:
    """Shows on stderr how far a run is: a line that is written over on a terminal, one line at its end elsewhere."""

    def __init__(self, title: str) -> None:
        """Begin a run."""
        self._title, self._started = title, time.monotonic()
        self._moves = sys.stderr.isatty()

    def show(self, steps: int) -> None:
        """Show the steps so far."""
        if self._moves:
            sys.stderr.write(f"\r\x1b[K{self._describe(f'{steps:,} steps')}")
            sys.stderr.flush()

    def end(self, reached: str) -> None:
        """Show how far it came."""
        sys.stderr.write(("\r\x1b[K" if self._moves else "") + self._describe(reached) + "\n")
        sys.stderr.flush()

    def _describe(self, reached: str) -> str:
        seconds = time.monotonic() - self._started
        return f"{self._title}: {reached}, {int(seconds) // 60}:{int(seconds) % 60:02d}"
