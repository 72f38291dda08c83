"""Fixtures of the app's tests: a store, and the app on top of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from engine.study.comparison_record import ArmsCompared, Comparison, Disputes, Narrowed
from engine.study.pairs_record import ArmPairs
from engine.study.paths import StudyPaths
from tests.helpers.studies import PROTOCOL
from tui.app.app import NondetApp
from tui.app.settings import Locations, Settings
from tui.app.terminal import Terminal
from tui.text.arms_compared import Pair

TERMINAL = Terminal(glyphs="braille", remote=False, tmux=False, few_colours=False)


PAIRS = ArmPairs(
    replicas=(1, 2, 3), runs=("a", "b", "c"), order=(0, 1, 2), left_out=0,
    disagreement=((0.0, 2.0, 3.0), (2.0, 0.0, 6.0), (3.0, 6.0, 0.0)),
)  # fmt: skip
"""What a process would answer of any arm."""


ACCURACY = Comparison(
    measure="accuracy", n=(5, 5), examples=400, means=(97.6, 97.0), paired=True, margin=None, difference=0.6,
    ci_test_set=(0.2, 1.0), ci_new_examples=(-0.1, 1.3), ci_looking=(-1.2, 2.4), p_value=0.01, p_better=0.84,
    p_better_ci=(0.4, 0.98), correlation=0.7, examples_share=0.6, verdict="real and worth having",
    narrowed=Narrowed(test_set=0.25, replicas=0.5, examples=0.45), best=(98.1, 97.5),
    figures=((97.1, 97.4, 97.6, 97.8, 98.1), (96.5, 96.8, 97.1, 97.1, 97.5)),
)  # fmt: skip

LOSS = Comparison(
    measure="cross-entropy", n=(5, 5), examples=400, means=(0.09, 0.1), paired=True, margin=None, difference=-0.01,
    ci_test_set=(-0.03, 0.01), p_value=0.3, figures=((0.09,) * 5, (0.1,) * 5),
)  # fmt: skip

DISPUTES = Disputes(between=3.8, within=(3.3, 4.1), excess=0.1, excess_ci=(-0.1, 0.3))


def make_pair(
    first: tuple[StudyPaths, str],
    second: tuple[StudyPaths, str],
    measure: str | None,
    margin: float | None,
    *,
    every: bool = False,
) -> Pair:
    """Return what a process would answer of any two arms; equal arms do not differ."""
    found, other = (LOSS, ACCURACY) if measure == "cross-entropy" else (ACCURACY, LOSS)
    verdict = found.verdict if margin is None or margin < 0.6 else "real, smaller than the margin"
    needed = None if margin is None else 7
    found = structs.replace(found, margin=margin, verdict=verdict, replicas_needed=needed)
    names = [f"{paths.name}: {arm}" for paths, arm in (first, second)]
    return Pair(
        (names[0], names[1]),
        ArmsCompared(comparison=found, others=(other,) if every else (), disputes=DISPUTES),
        settings=("train.lr 0.1 and 0.2",),
    )


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store, and a working folder with one protocol; nothing of the user's is looked at."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "protocols").mkdir()
    (tmp_path / "protocols" / "mine.toml").write_text(PROTOCOL)
    monkeypatch.setattr("tui.app.screens.results.refresh_metrics", lambda paths: None)
    monkeypatch.setattr("tui.app.screens.results_pairs.find_pairs", lambda paths, arm: PAIRS)
    monkeypatch.setattr("tui.app.screens.compare_data.compare_pair", make_pair)
    monkeypatch.setattr("tui.app.listed_files.shipped_folder", lambda: None)
    monkeypatch.setattr("tui.app.screens.draft.TIMING_DELAY_S", 3600.0)  # timing trains, which takes seconds
    return tmp_path / "studies"


@pytest.fixture
def make_app(store: Path, tmp_path: Path) -> Callable[..., NondetApp]:
    def make(**arguments: Any) -> NondetApp:
        locations = Locations(tmp_path / "c" / "config.toml", tmp_path / "s" / "recent", tmp_path / "s" / "copies")
        options: dict[str, Any] = {"settings": Settings(refresh_s=0.2), "terminal": TERMINAL}
        return NondetApp(**({"store": str(store), "locations": locations} | options | arguments))

    return make
