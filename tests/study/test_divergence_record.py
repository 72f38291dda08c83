"""Which answers about two runs are found in a study."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from engine.study.divergence_record import Rate, list_divergences
from engine.study.files import make_folder
from engine.study.paths import StudyPaths
from engine.study.records import write_record
from tests.tui.text.test_divergence import FOUND


def test_answers_are_listed_up_to_a_number_and_other_files_do_not_count(tmp_path: Path) -> None:
    paths = StudyPaths(tmp_path)
    make_folder(paths.partings)
    for name in (".nfs0001", "A note.txt", "aa-bb.json.part"):
        (paths.partings / name).write_text("nothing")
    (paths.partings / "aa-bb.json").write_text("{")
    for other in "cde":
        write_record(paths.divergence("aa", other * 2), FOUND)
    assert list_divergences(paths, 3) == [FOUND, FOUND], "the damaged one is the first of three"
    assert len(list_divergences(paths, 9)) == 3


@pytest.mark.parametrize(("per_step", "steps"), [(math.log(2), 1.0), (math.log(2) / 8, 8.0), (0.0, None), (-1.0, None)])
def test_rate_says_in_how_many_steps_a_distance_doubles(per_step: float, steps: float | None) -> None:
    rate = Rate(quantity="weights", per_step=per_step, interval=(0.0, 1.0), steps=(0, 9), points=9, fit=1.0)
    assert rate.doubling_steps == (None if steps is None else pytest.approx(steps))
