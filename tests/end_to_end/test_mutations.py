"""Whatever a study's files hold: no traceback, no hang, no flood of memory, in the commands and the app's readers."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.mutations import CHANGES, Bench, list_places, mutate, replace
from tests.helpers.real_study import COMMAND

KEPT = Path(__file__).parents[1] / "study" / "kept"
SEED = 20_261_125
PARTS = 3
"""Tests that share the changes, which processes of the tests go through side by side."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(KEPT, tmp_path_factory.mktemp("bench"))
    made.restore()
    made.look()  # what is imported late is no part of a look
    return made


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(PARTS))
def test_each_change_of_each_file_ends_no_viewer(bench: Bench, part: int) -> None:
    mutate(bench, range(part, len(bench.kinds) * len(CHANGES), PARTS), SEED)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "change"),
    [("plan.json", "fifo"), ("metrics.json", "device"), ("curves.json", "hollow"), ("supervisor.json", "nest")],
)
def test_commands_in_processes_of_their_own_say_what_is_wrong(bench: Bench, kind: str, change: str) -> None:
    bench.change(kind, change, random.Random(SEED))
    folder, store = str(bench.paths.folder), str(bench.paths.folder.parent)
    for arguments in (["ls", "--store", store], ["status", folder], ["report", folder]):
        done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode in (0, 1, 2), (arguments, done.stderr)
        assert "Traceback" not in done.stderr
        said = done.stdout + done.stderr
        assert "study" in said or "kept" in said, "by the name of its folder or of its plan"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


quietly = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.mark.slow
@pytest.mark.timeout(300)
@given(st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=quietly)
def test_any_value_at_any_path_ends_no_viewer(bench: Bench, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([kind for kind in bench.kinds if kind.endswith(".json")]))
    content = json.loads((bench.whole / kind).read_text()) if "00000002" not in kind else {}
    place = data.draw(st.sampled_from(list(list_places(content))))
    bench.put(kind, replace(content, place, data.draw(values)))
    bench.look()
