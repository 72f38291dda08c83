"""What `diverge` concludes from what runs of a program left: runs are made up here, none is started."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from engine.tracing import comparison
from engine.tracing.records import (
    Difference,
    Facts,
    Loader,
    Record,
    Value,
    parse_differences,
    parse_facts,
    write_differences,
    write_facts,
    write_line,
)
from engine.tracing.seeds import Seeding
from engine.tracing.wanted import Mark, Wanted
from tui.commands import diverge_causes
from tui.commands.diverge_process import Outcome, read_outcome
from tui.commands.diverge_program import Search
from tui.commands.diverge_report import Report
from tui.commands.diverge_words import describe_program, describe_report

Left = tuple[Sequence[int], Sequence[int]]
"""What a run left: the weights at each of its marks, and the output of each of its operations."""


@pytest.fixture
def search(tmp_path: Path) -> Callable[..., Report]:
    """Search with runs that leave what a function says of a run's number, from 1, and of what was wanted."""

    def find(leave: Callable[[int, Wanted], Left], unread: int = 0, apart: Sequence[str] = ()) -> Report:
        count = 0
        difference = Difference(2, 1, 1.0, 0.5, (0,), "1", "2")

        def run(words: Sequence[str], wanted: Wanted, /, *, look: Callable[[int], None]) -> Outcome:
            nonlocal count
            count += 1
            weights, outputs = leave(count, wanted)
            folder = Path(wanted.folder)
            folder.mkdir(parents=True)
            (folder / "python-7").touch()
            marks = [Mark("step", step, 0, found, 0, "SGD") for step, found in enumerate(weights, start=1)]
            (folder / "whole").write_text("7")
            (folder / "marks-7").write_text("".join(json.dumps(mark) + "\n" for mark in marks))
            (folder / "facts-7").write_text(write_facts(Facts("ended", unread)))
            if wanted.begin is not None:
                values = [(Value("0", "float32", (2,), found, ""),) for found in outputs]
                read = (Value("self", "float32", (2,), 1, "fc.weight"),)
                records = [Record(n, "aten::mul", "", "other", False, "", read, out) for n, out in enumerate(values)]
                (folder / "records-7").write_text("".join(map(write_line, records)))
            if wanted.kept:
                (folder / "difference-7").write_text(write_differences(dict.fromkeys(apart, difference)))
            return read_outcome(folder, 0, "", 0.0)

        left = tmp_path / str(len(list(tmp_path.iterdir())))
        return Search(["train.py"], left, limit=None, further=1, run=run).find(find_cause=True)

    return find


def say(report: Report) -> str:
    return " ".join(" ".join(describe_program(report)).split())


def test_difference_that_does_not_show_again_has_no_cause(search: Callable[..., Report]) -> None:
    report = search(lambda number, wanted: ([1, 2 if number == 2 else 1], [5]))
    assert (report.step, report.seen_again, report.agreed) == (2, False, 3)
    assert (report.causes, report.tried, report.runs) == ([], [], 8)
    assert "did not show again in 3 pairs of runs" in say(report)
    assert "no operation of torch differs" not in say(report)
    assert describe_report(report)["seen_again"] is False


def test_cause_of_a_rare_difference_takes_more_pairs_than_agreed_before(search: Callable[..., Report]) -> None:
    def leave(number: int, wanted: Wanted) -> Left:
        """Differ in the second run, and in every third one from the sixth on; with one seed never."""
        differs = "seeds" not in wanted.fixed and (number == 2 or (number >= 6 and number % 3 == 0))
        return [1, 2 if differs else 1], [5, 6 if differs else 5]

    report = search(leave)
    assert (report.seen_again, report.agreed) == (True, 1), "runs 3 and 4 agree, 5 and 6 do not"
    assert report.verdict is not None
    assert report.verdict.kind == comparison.KERNEL
    tried = [(one.name, one.agree) for one in report.tried]
    assert tried == [("threads", False), ("kernels", False)], "one pair with one thread agrees, two do not"
    assert report.causes == []


def test_input_that_was_changed_behind_torch_is_no_difference_of_the_computation(search: Callable[..., Report]) -> None:
    """Its fingerprint is that from before numpy wrote into it, and the tensors themselves are not equal."""

    def leave(number: int, wanted: Wanted) -> Left:
        return [number], [number]

    plain, behind = search(leave, apart=["output 0"]), search(leave, apart=["input self", "output 0"])
    assert plain.verdict is not None
    assert (plain.verdict.kind, plain.verdict.place, plain.difference is not None) == ("kernel", "output 0", True)
    assert behind.verdict is not None
    assert (behind.verdict.kind, behind.verdict.place) == ("input", "input self")
    assert (behind.verdict.parameter, behind.difference is not None) == ("fc.weight", True)

    def part(number: int, wanted: Wanted) -> Left:
        """Differ in an earlier operation when the tensors are kept."""
        return [number], [number if wanted.watch is not None else 1, number]

    earlier = search(part, apart=["input self"])
    assert earlier.verdict is not None
    assert (earlier.verdict.kind, earlier.verdict.number) == ("kernel", 1), "that pair parts where another one does not"


def test_runs_that_do_nothing_when_something_is_held_fixed_do_not_agree(search: Callable[..., Report]) -> None:
    marked = search(lambda number, wanted: ([] if wanted.fixed else [number], [number]))
    assert [one.agree for one in marked.tried] == [False, False]
    whole = search(lambda number, wanted: ([], [] if wanted.fixed else [number]))
    assert whole.whole
    assert [one.agree for one in whole.tried] == [False, False]


def test_what_could_not_be_read_is_told_where_runs_agree(search: Callable[..., Report]) -> None:
    same = search(lambda number, wanted: ([1], [1]), unread=1)
    assert "1 tensor could not be read, and nobody knows whether it agrees" in say(same)
    whole = search(lambda number, wanted: ([], [1]), unread=2)
    assert "2 tensors could not be read, and nobody knows whether they agree" in say(whole)
    assert describe_report(whole)["unread"] == 2
    assert "could not be read" not in say(search(lambda number, wanted: ([1], [1])))


def test_facts_are_read_back_and_half_written_ones_are_none() -> None:
    facts = Facts("steps", 2, {"threads": 1}, (Seeding("f", "1", "a:2"),), (Loader("b:3", 4),))
    text = write_facts(facts)
    assert parse_facts(text) == facts
    assert parse_facts(text[:-9]) == parse_facts("") == Facts()
    assert parse_differences('{"input 0": [1, 2') == parse_differences("") == {}


def test_memory_that_torch_has_not_written_is_no_proof_that_nobody_has() -> None:
    (cause,) = diverge_causes.find_evidence(Facts(), Facts(), comparison.MEMORY)
    assert cause.evidence == "no operation of torch has written into what is read"
    assert "numpy" in cause.remedy
    assert "numpy" in diverge_causes.MEANINGS[comparison.MEMORY]
