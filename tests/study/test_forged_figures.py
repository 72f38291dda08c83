"""Figures that no program of ours writes are damage, or are drawn as what they are nearest to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.study.curves_record import StudyCurves
from engine.study.records import Damage, Record, read_record
from engine.study.similarity_record import StudySimilarity
from tests.helpers.measures import make_curves, make_spread
from tui.text.format import ASCII, UNICODE
from tui.text.text_figures import choose_step, list_instability

KEPT = Path(__file__).parent / "kept"
Change = Callable[[dict[str, Any]], object]

FORGED: dict[str, tuple[type[Record], str, Change]] = {
    "of different numbers of epochs": (StudyCurves, "curves.json", lambda arm: arm["test_accuracy"].update(sd=[])),
    "no square": (StudySimilarity, "cka.json", lambda arm: arm["layers"][0]["cka"][0].pop()),
    "no square over": (StudySimilarity, "cka.json", lambda arm: arm["layers"][0]["runs"].append("other")),
    "rise from 1 to 100000": (StudyCurves, "curves.json", lambda arm: arm["epochs"].append(2_000_000_000)),
    "epochs do not rise": (StudyCurves, "curves.json", lambda arm: arm["epochs"].reverse()),
    "of other epochs": (StudyCurves, "curves.json", lambda arm: arm["epochs"].pop()),
    "number of replicas": (StudyCurves, "curves.json", lambda arm: arm["test_accuracy"]["n"].__setitem__(0, 10**12)),
}


@pytest.mark.parametrize("said", FORGED)
def test_figures_that_do_not_fit_are_damage(tmp_path: Path, said: str) -> None:
    record, name, change = FORGED[said]
    content = json.loads((KEPT / name).read_text())
    change(content["arms"][0])
    (tmp_path / name).write_text(json.dumps(content))
    found = read_record(tmp_path / name, record)
    assert isinstance(found, Damage)
    assert said in found.reason
    assert isinstance(read_record(KEPT / name, record), record)


@pytest.mark.parametrize(("share", "step"), [(-1e308, "a"), (0.0, "a"), (0.5, "c"), (1.0, "d"), (1e308, "d")])
def test_any_number_has_a_step(share: float, step: str) -> None:
    assert choose_step(share, "abcd") == step


def test_series_of_any_numbers_is_drawn() -> None:
    values = [-1e308, None, 1e-320, 0.0, 1e308]
    arm = make_curves("Forged", accuracy=make_spread(values), test_cross_entropy=make_spread(values))
    for symbols in (UNICODE, ASCII):
        lines = list_instability([arm], symbols, name_width=8, width=60)
        assert lines[0].startswith("SD over replicas of test cross-entropy")
        assert max(map(len, lines)) <= 60
