"""`ls --json` and `status --json`: stable fields that docs/commands.md names, and the same facts as the text."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from engine.study.paths import StudyPaths
from engine.study.view import StudyView
from tui import cli
from tui.commands.described import ListedStore, ShownStudy
from tui.commands.progress import draw_arms
from tui.text.format import ASCII, UNICODE

ROOT = Path(__file__).parents[3]
KEPT = ROOT / "tests" / "study" / "kept"

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    shutil.copytree(KEPT, tmp_path / "kept")
    return tmp_path


def read(arguments: list[str], capsys: Capture, code: int = 0) -> Any:
    assert cli.main(arguments) == code
    return json.loads(capsys.readouterr().out)


def list_fields(value: Any) -> Iterator[str]:
    """Yield the names of all fields of JSON, but the states by which runs are counted."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield name
            yield from () if name == "counts" else list_fields(part)
    elif isinstance(value, list):
        for part in value:
            yield from list_fields(part)


def test_ls_has_a_store_and_its_studies(store: Path, capsys: Capture) -> None:
    (store / "broken").mkdir()
    (store / "broken" / "plan.json").write_text("{")
    found = read(["ls", "--json", "--store", str(store)], capsys)
    assert list(found) == list(ListedStore.__struct_fields__)
    assert found["v"] == 1
    broken, kept = found["studies"]
    assert (broken["state"], broken["done"], broken["headline"]) == ("damaged", 0, None)
    assert "plan.json" in broken["fault"]
    runs = len(json.loads((store / "kept" / "plan.json").read_text())["order"])
    assert (kept["name"], kept["done"], kept["total"], kept["fault"]) == ("kept", runs, runs, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", kept["changed"])


def test_ls_of_an_empty_store_is_json_too(tmp_path: Path, capsys: Capture) -> None:
    assert read(["ls", "--json", "--store", str(tmp_path)], capsys)["studies"] == []


def test_status_counts_what_the_files_hold(store: Path, capsys: Capture) -> None:
    found = read(["status", "kept", "--json", "--store", str(store)], capsys)
    assert list(found) == list(ShownStudy.__struct_fields__)
    plan = json.loads((store / "kept" / "plan.json").read_text())
    assert [arm["name"] for arm in found["arms"]] == [arm["name"] for arm in plan["arms"]]
    assert (found["state"], found["done"], found["seconds_left"]) == ("done", len(plan["order"]), 0)
    first, arm = plan["arms"][0], found["arms"][0]
    attempts = [sorted((store / "kept" / "runs" / run / "attempts").iterdir())[-1] for run in first["runs"]]
    last = [json.loads((attempt / "epochs.jsonl").read_text().splitlines()[-1]) for attempt in attempts]
    accuracies = [epoch["test_accuracy"] for epoch in last]
    assert (arm["spread"]["minimum"], arm["spread"]["maximum"]) == (min(accuracies), max(accuracies))
    assert (arm["replicas"], arm["done"], arm["diverged_replicas"]) == (len(first["runs"]), len(first["runs"]), [])


def test_status_names_a_failed_run_by_arm_and_replica(store: Path, capsys: Capture) -> None:
    plan = json.loads((store / "kept" / "plan.json").read_text())
    run = plan["arms"][0]["runs"][1]
    (store / "kept" / "runs" / run / "result.json").write_text("{")
    found = read(["status", "kept", "--json", "--store", str(store)], capsys, 1)
    [ended] = found["ended"]
    assert (ended["run"], ended["arm"], ended["replica"]) == (run, plan["arms"][0]["name"], 2)
    assert "result.json" in ended["reason"]


def test_every_field_is_explained(store: Path, capsys: Capture) -> None:
    listed = read(["ls", "--json", "--store", str(store)], capsys)
    shown = read(["status", "kept", "--json", "--store", str(store)], capsys)
    explained = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "commands.md").read_text()))
    assert {*list_fields(listed), *list_fields(shown)} <= explained


@pytest.mark.parametrize("width", [30, 64, 80, 120])
@pytest.mark.parametrize("symbols", [UNICODE, ASCII])
def test_status_breaks_no_number_at_any_width(store: Path, width: int, symbols: Any) -> None:
    snapshot = StudyView(StudyPaths(store / "kept")).refresh()
    console = Console(width=width, file=(file := io.StringIO()), color_system=None, highlight=False)
    console.print(draw_arms(snapshot, symbols, width=width))
    shown = file.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    assert symbols is UNICODE or shown.isascii()
    for arm in snapshot.arms:
        assert arm.spread is not None
        assert f"{arm.spread.mean:.2f}" in re.split(r"[\s,]+", shown)
    assert "least, mean, most and SD" in " ".join(shown.split()), "what the figures are"


@pytest.mark.slow
def test_note_and_tags_are_said_by_every_command(store: Path, capsys: Capture) -> None:
    note = {"v": 1, "text": "<b>first</b>\nsecond \x1b[31mline", "tags": ["paper", "x"]}
    (store / "kept" / "note.json").write_text(json.dumps(note))
    [listed] = read(["ls", "--json", "--store", str(store)], capsys)["studies"]
    shown = read(["status", "kept", "--json", "--store", str(store)], capsys)
    assert (listed["note"], listed["tags"]) == (shown["note"], shown["tags"]) == (note["text"], note["tags"])
    for command in (["ls"], ["status", "kept"], ["report", "kept"], ["report", "kept", "--format", "html"]):
        assert cli.main([*command, "--store", str(store)]) == 0
        said = capsys.readouterr().out
        assert "#paper #x" in said, command
        assert "\x1b[31m" not in said
        if command != ["ls"]:
            assert "second \\x1b[31mline" in said
    assert "&lt;b&gt;first&lt;/b&gt;" in said


def test_damaged_note_is_named_and_takes_nothing_with_it(store: Path, capsys: Capture) -> None:
    (store / "kept" / "note.json").write_text("{")
    [listed] = read(["ls", "--json", "--store", str(store)], capsys)["studies"]
    shown = read(["status", "kept", "--json", "--store", str(store)], capsys)
    assert (listed["note"], listed["tags"], listed["fault"], listed["state"]) == (None, [], None, "done")
    assert (shown["note"], shown["tags"]) == (None, [])
    assert any("note.json" in one for one in shown["notes"])
    assert cli.main(["ls", "--store", str(store)]) == 0
    assert "tags" not in capsys.readouterr().out, "where no study has any, there is no column"
