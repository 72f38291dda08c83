"""Changes of a protocol that are taken back and made again: text, names and cursor."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.catalog.sources import SOURCES
from tui.app.document import Document
from tui.app.history import History, Place, find_arm

TWO = '[[arm]]\nname = "Control"\nvary = []\n[[arm]]\nname = "Mine"\nvary = ["bit"]\n'


def place(document: Document, arm: int | None = 0) -> Place:
    return Place(document.snapshot(), tuple(document.names), arm)


def reopen(found: Place | None) -> Document:
    assert found is not None
    return Document(found.content.text, file="a", naming=found.content.naming)


def test_a_change_is_made_again_after_it_was_taken_back() -> None:
    document, history = Document(TWO, file="a"), History()
    before = place(document, 1)
    document.remove_arm(0)
    history.record(before, place(document, 0))
    undone = history.undo(place(document, 0))
    assert undone is not None
    assert (undone.content.text, undone.arm) == (TWO, 1)
    redone = history.redo(undone)
    assert redone is not None
    assert (redone.names, redone.arm) == (("Mine",), 0)
    assert history.redo(redone) is None
    assert history.undo(redone) == undone
    history.record(undone, undone)
    assert history.redo(undone) is None, "what was taken back before another change is gone"


def test_the_cursor_stays_on_the_arm_that_it_was_moved_to() -> None:
    document, history = Document(TWO, file="a"), History()
    before = place(document, 0)
    document.add_arm("New")
    history.record(before, place(document, 2))
    assert [step.arm for step in filter(None, [history.undo(place(document, 1))])] == [1]
    assert find_arm(2, ["a", "b", "c"], ["a", "c"]) == 1
    assert find_arm(1, ["a", "b", "c"], ["a", "c"]) is None
    assert find_arm(None, ["a"], ["a"]) is None


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from(list(SOURCES))), min_size=1, max_size=8))
def test_names_follow_their_sources_also_after_a_change_was_taken_back(toggles: list[tuple[int, str]]) -> None:
    document, history = Document(TWO, file="a"), History()
    for number, source in toggles:
        before = place(document)
        document.toggle(number, source)
        history.record(before, place(document))
    for _ in toggles:
        document = reopen(history.undo(place(document)))
    assert document.text() == TWO
    expected = Document(TWO, file="a")
    for number, source in toggles:
        document.toggle(number, source)
    for number, source in toggles:
        expected.toggle(number, source)
    assert document.names == expected.names


def test_a_name_that_was_made_here_follows_after_undo_and_one_that_was_typed_stays() -> None:
    document, history = Document(TWO, file="a"), History()
    document.add_arm(document.free_name("Control"))
    document.remove_arm(0)
    before = place(document)
    document.toggle(1, "init")
    history.record(before, place(document))
    assert document.names == ["Mine", "Parameter Initialization"]
    document = reopen(history.undo(place(document)))
    assert document.names == ["Mine", "Control 2"]
    document.toggle(1, "shuffle")
    assert document.names == ["Mine", "Data shuffling"], "also where the name has a number"
    before = place(document)
    document.rename(1, "Data shuffling")
    history.record(before, place(document))
    document = reopen(history.redo(reopen_place(history, document)))
    document.toggle(1, "init")
    assert document.names == ["Mine", "Data shuffling"], "somebody typed it, if it is the one that was made too"


def reopen_place(history: History, document: Document) -> Place:
    undone = history.undo(place(document))
    assert undone is not None
    return undone


def test_an_arm_that_takes_the_place_of_a_typed_one_is_called_after_its_sources() -> None:
    document = Document(TWO, file="a")
    document.rename(0, "Control")
    document.remove_arm(0)
    document.add_arm(document.free_name("Control"))
    document.toggle(1, "init")
    assert document.names == ["Mine", "Parameter Initialization"]


def test_copies_follow_where_what_they_are_copies_of_does() -> None:
    document = Document(TWO, file="a")
    document.copy_arm(0, document.free_name("Control"))
    document.copy_arm(1, document.free_name("Mine"))
    document.toggle(2, "init")
    document.toggle(3, "init")
    assert document.names == ["Control", "Mine", "Parameter Initialization", "Mine 2"]


def test_crossed_arms_and_ensembles_are_called_after_what_they_are() -> None:
    document = Document(TWO, file="a")
    document.set_arm(0, "crossed", {"init": 3, "bit": 4})
    assert document.names[0] == "Parameter Initialization x Random Bit Change"
    assert "vary" not in document.arms[0], "which says otherwise what varies"
    document.set_arm(0, "crossed", None)
    assert document.names[0] == "Control"
    assert list(document.arms[0]["vary"]) == []
    document.set_arm(0, "ensemble", {"of": "Mine", "size": 2})
    assert document.names[0] == "Ensembles of 2: Mine"
    document.set_arm(1, "ensemble", {"of": "Control", "size": 2})
    assert document.names[1] == "Mine", "somebody chose it"
    document.set_arm(1, "ensemble", None)
    document.rename(1, "Ours")
    assert document.arms[0]["ensemble"]["of"] == "Ours", "an ensemble goes with the arm that it is of"


def test_own_settings_stand_in_one_line_and_leave_nothing_behind() -> None:
    document = Document(TWO, file="a")
    document.set_own(1, "train.lr", 0.2)
    document.set_own(1, "train.epochs", 3)
    assert "train = {lr = 0.2, epochs = 3}" in document.text()
    assert document.get_own(1, "train.lr") == 0.2
    document.set_own(1, "train.lr", None)
    document.set_own(1, "train.epochs", None)
    assert document.text() == TWO
    document.set_own(1, "model.preset", None)
    assert document.text() == TWO
