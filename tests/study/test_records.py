"""Records: damage is a value that says what is wrong, and other versions are told apart from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import StudyError
from engine.plan.plan import Plan
from engine.study.control import Control
from engine.study.paths import RunPaths
from engine.study.records import Damage, create_record, decode_record, encode_record, find_record, read_record
from engine.study.run_records import ExitRecord
from engine.study.run_state import read_state
from tests.helpers.records import make_exit, make_plan_record, make_result


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"{", "is damaged: Input data was truncated"),
        (b"\xff\xfe", "is damaged"),
        (b"[1]", "is damaged: Expected `object`, got `array`"),
        (b'{"v": 7}', "has format 7, and this version of nondet-tui reads 1"),
        (b'{"v": "x"}', "is damaged"),
        (b'{"v": 1, "outcome": "won", "cause": "fault", "reason": ""}', "Invalid enum value 'won' - at `$.outcome`"),
        (b'{"v": 1, "outcome": "failed", "cause": "fault"}', "missing required field `reason`"),
        (b'{"x": ' + b"[" * 100_000, "is damaged"),
        (b'{"v": ' + b"9" * 5000 + b"}", "is damaged"),
    ],
)
def test_damage_says_what_is_wrong(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "exit.json"
    path.write_bytes(content)
    found = read_record(path, ExitRecord)
    assert isinstance(found, Damage)
    assert said in found.reason
    assert str(found).startswith(f"{path}: ")
    assert find_record(path, ExitRecord) is None


@given(st.binary(max_size=200))
def test_no_content_of_a_file_is_a_crash(content: bytes) -> None:
    assert isinstance(decode_record(content, ExitRecord), str | ExitRecord)


def test_absent_file_is_no_damage(tmp_path: Path) -> None:
    assert read_record(tmp_path / "exit.json", ExitRecord) is None
    assert read_record(tmp_path / "exit.json" / "below", ExitRecord) is None
    assert isinstance(read_record(tmp_path, ExitRecord), Damage)


def test_record_is_read_as_it_was_written_and_keys_of_later_versions_are_passed_over(tmp_path: Path) -> None:
    record, path = make_exit(reason="é \x1b"), tmp_path / "exit.json"
    assert create_record(path, record)
    assert not create_record(path, make_exit(reason="other")), "a file that is there is left alone"
    assert read_record(path, ExitRecord) == record
    path.write_text(path.read_text().replace('"reason"', '"later": [1], "reason"'))
    assert read_record(path, ExitRecord) == record


def test_numbers_that_are_not_finite_are_null() -> None:
    content = encode_record(make_result(test_cross_entropy=float("nan")), compact=True)
    assert b'"test_cross_entropy":null' in content
    assert content.count(b"\n") == 1


def test_name_that_no_file_can_hold_is_refused(plan: Plan) -> None:
    record = make_plan_record(plan, data_root="/data/\udcff")
    with pytest.raises(StudyError, match="is not UTF-8"):
        encode_record(record)


def test_file_of_a_later_version_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "exit.json"
    for number, later in ((0, False), (2, True)):
        path.write_text(f'{{"v": {number}}}')
        found = read_record(path, ExitRecord)
        assert isinstance(found, Damage)
        assert found.later is later
    path.write_text('{"v": 1}')
    found = read_record(path, ExitRecord)
    assert isinstance(found, Damage)
    assert not found.later


def test_result_of_a_later_version_is_not_trained_again(tmp_path: Path) -> None:
    run = RunPaths(tmp_path)
    run.result.write_text('{"v": 99, "later": 1}')
    state = read_state(run, control=Control(), session=None, run_id="r")
    assert (state.status, state.retriable) == ("failed", False)
    assert "has format 99" in str(state.reason)
