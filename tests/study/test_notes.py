"""Notes and tags: kept whole, bounded, and a value where they are damaged."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import StudyError
from engine.study.notes import (
    MAX_TAG,
    MAX_TAGS,
    MAX_TEXT,
    NOTHING,
    NoteRecord,
    describe_damage,
    find_note,
    find_tags_fault,
    read_note,
    split_tags,
    write_note,
)
from engine.study.paths import StudyPaths
from engine.study.records import Damage, decode_record, encode_record
from engine.study.summary import StudySummaries
from tests.helpers.studies import write_study


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    return write_study(tmp_path / "alpha", done=3, running=0)


def test_note_is_read_as_it_was_written_and_its_file_is_what_the_docs_say(paths: StudyPaths) -> None:
    assert read_note(paths) == NOTHING
    note = NoteRecord(text="Rerun with é.\n\nSee [1].", tags=("paper", "été"))
    write_note(paths, note)
    assert read_note(paths) == find_note(paths) == note
    content = json.loads((paths.folder / "note.json").read_text())
    assert content == {"v": 1, "text": note.text, "tags": ["paper", "été"]}
    assert sorted(file.name for file in paths.folder.glob("*note*")) == ["note.json"], "nothing is left beside it"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"{", "is damaged"),
        (json.dumps({"v": 1, "text": "x" * (MAX_TEXT + 1)}).encode(), "length <= 4000"),
        (json.dumps({"v": 1, "tags": ["a b"]}).encode(), "matching regex"),
        (json.dumps({"v": 1, "tags": ["x" * (MAX_TAG + 1)]}).encode(), "length <= 32"),
        (json.dumps({"v": 1, "tags": ["x"] * (MAX_TAGS + 1)}).encode(), "length <= 16"),
        (b'{"v": 1, "text": 3}', "Expected `str`"),
        (b" " * 70_000, "at most 64,000"),
    ],
)
def test_damaged_note_is_a_value_and_a_new_one_replaces_it(paths: StudyPaths, content: bytes, said: str) -> None:
    paths.note.write_bytes(content)
    found = read_note(paths)
    assert isinstance(found, Damage)
    assert said in str(found)
    assert "a new note replaces it" in describe_damage(found)
    assert find_note(paths) == NOTHING
    summary = StudySummaries().summarise(paths)
    assert (summary.note, summary.tags, summary.fault, summary.state) == (found, (), None, "done")
    write_note(paths, NoteRecord(tags=("x",)))
    assert find_note(paths).tags == ("x",)


def test_note_that_leads_out_of_the_study_is_refused(paths: StudyPaths, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"v": 1, "text": "secret"}')
    paths.note.symlink_to(tmp_path / "secret")
    found = read_note(paths)
    assert isinstance(found, Damage)
    assert "leads out of" in found.reason


def test_note_of_a_later_version_is_left_alone(paths: StudyPaths) -> None:
    paths.note.write_text('{"v": 2, "pages": []}')
    found = read_note(paths)
    assert isinstance(found, Damage)
    assert "replaces" not in describe_damage(found)
    with pytest.raises(StudyError, match="is not written: has format 2"):
        write_note(paths, NoteRecord(text="mine"))
    assert "pages" in paths.note.read_text()


@pytest.mark.parametrize(
    ("note", "said"),
    [
        (NoteRecord(text="x" * (MAX_TEXT + 1)), "4,001 characters, and may have 4,000"),
        (NoteRecord(tags=("ok", "a b")), '"a b" is no tag'),
        (NoteRecord(tags=("",)), '"" is no tag'),
        (NoteRecord(tags=("-x",)), '"-x" is no tag'),
        (NoteRecord(tags=("x" * (MAX_TAG + 1),)), "is no tag"),
        (NoteRecord(tags=tuple(f"t{n}" for n in range(MAX_TAGS + 1))), "there are 17 tags, and may be 16"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(paths: StudyPaths, note: NoteRecord, said: str) -> None:
    with pytest.raises(StudyError, match="is not written") as error:
        write_note(paths, note)
    assert said in str(error.value)
    assert not paths.note.exists()


def test_note_is_not_written_where_the_folder_is_another_users(
    paths: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(StudyError):
        write_note(paths, NoteRecord(text="x"))


@given(st.text(max_size=60))
def test_tags_that_nothing_is_said_against_can_be_read_again(text: str) -> None:
    tags = split_tags(text)
    if find_tags_fault(tags) is None:
        assert decode_record(encode_record(NoteRecord(tags=tags)), NoteRecord) == NoteRecord(tags=tags)


def test_tags_are_split_at_spaces_and_commas() -> None:
    assert split_tags(" #a, b,a  #c ") == ("a", "b", "c")


def test_summary_follows_a_note_and_keeps_the_time_of_the_last_change(paths: StudyPaths) -> None:
    summaries = StudySummaries()
    before = summaries.summarise(paths)
    write_note(paths, NoteRecord(tags=("new",)))
    after = summaries.summarise(paths)
    assert (before.tags, after.tags) == ((), ("new",))
    assert before.changed == after.changed
