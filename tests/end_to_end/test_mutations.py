"""Whatever a study's files hold: no traceback, no hang, no flood of memory, in the commands and the app's readers."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.mutations import CHANGES, Bench, list_places, replace

KEPT = Path(__file__).parents[1] / "study" / "kept"
SEED = 20_261_125
QUICK, LONG = 120, 1_900


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(KEPT, tmp_path_factory.mktemp("bench"))
    made.restore()
    made.look()  # what is imported late is no part of a look
    return made


def mutate(bench: Bench, numbers: range) -> None:
    """Every kind of file in every way, then again; the number of a mutation is all that it takes to repeat it."""
    cases = [(kind, change) for kind in bench.kinds for change in CHANGES]
    random.Random(SEED).shuffle(cases)
    for number in numbers:
        kind, change = cases[number % len(cases)]
        bench.change(kind, change, random.Random(SEED + number))
        try:
            bench.look()
        except BaseException as error:
            raise AssertionError(f"mutation {number}: {change} of {kind}: {type(error).__name__}: {error}") from error


def test_changed_files_end_no_viewer(bench: Bench) -> None:
    mutate(bench, range(QUICK))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_thousand_changed_files_end_no_viewer(bench: Bench) -> None:
    mutate(bench, range(QUICK, QUICK + LONG))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def write_any_value(bench: Bench, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([kind for kind in bench.kinds if kind.endswith(".json")]))
    content = json.loads((bench.whole / kind).read_text()) if "00000002" not in kind else {}
    place = data.draw(st.sampled_from(list(list_places(content))))
    bench.put(kind, replace(content, place, data.draw(values)))
    bench.look()


quietly = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@given(st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=quietly)
def test_any_value_at_any_path_ends_no_viewer(bench: Bench, data: st.DataObject) -> None:
    write_any_value(bench, data)


@pytest.mark.slow
@pytest.mark.timeout(900)
@given(st.data())
@settings(max_examples=400, deadline=None, suppress_health_check=quietly)
def test_any_of_many_values_at_any_path_ends_no_viewer(bench: Bench, data: st.DataObject) -> None:
    write_any_value(bench, data)
