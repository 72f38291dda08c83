"""Where a study comes from, as it is listed: what is the same is said once, what differs is counted."""

from __future__ import annotations

from engine.study.run_records import Versions
from tests.helpers.measures import make_measures
from tests.helpers.records import make_arm, make_attempt, make_result, make_study
from tests.helpers.studies import HOSTILE
from tui.text.provenance import Origin, describe_origin


def test_versions_and_devices_are_counted_where_they_differ() -> None:
    plan = make_study([make_arm("a", ["r1", "r2", "r3"])], study=HOSTILE)
    attempts = {
        "r1": make_attempt(), "r2": make_attempt(device="GPU"),
        "r3": make_attempt(versions=Versions(python="3", torch="2.9", numpy="2", cuda="12.6")),
    }  # fmt: skip
    results = {run: make_result(run=run, seconds=60.0, labels_sha256="ab" * 32) for run in attempts}
    results["r2"] = make_result(run="r2", attempt=2, seconds=60.0, labels_sha256="ab" * 32)
    control = make_measures(name="Control", vary=[], n=3, identical_weights=False)
    found = describe_origin(Origin("/store/copied", plan, attempts, results), [control])
    training = dict(found["Training"])
    assert training["runs"] == "3 runs, 3 min 00 s of training"
    assert training["devices"] == "CPU (2); GPU (1)"
    assert "torch 2.9" in training["versions"]
    assert "CUDA 12.6 (1)" in training["versions"]
    assert training["retries"] == "1 run took more than one attempt"
    assert dict(found["Control"]) == {"Control": "3 replicas with DIFFERENT weights"}
    assert dict(found["Data and networks"])["test labels"] == "ab" * 8
    study = dict(found["Study"])
    assert study["folder"] == "/store/copied"
    assert "\x1b" not in study["planned as"]


def test_study_without_runs_and_control_says_so() -> None:
    found = describe_origin(Origin("/s", make_study([make_arm("a", ["r1"])])), [make_measures(name="a", n=0)])
    assert found["Training"] == [("runs", "none has finished")]
    assert found["Control"] == [("control", "there is none")]


def test_heading_without_facts_is_left_out() -> None:
    results = {"r1": make_result(run="r1", labels_sha256="")}  # numbers by name alone: no labels, data or network
    origin = Origin("/s", make_study([make_arm("a", ["r1"])]), {"r1": make_attempt()}, results)
    assert list(describe_origin(origin, [make_measures(name="a", n=1)])) == ["Study", "Training", "Control", "Measures"]
