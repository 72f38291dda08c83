"""`check` has a user's data function called in two processes, and refuses one that returns other examples there."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.dispatch.launch import plan_protocol
from engine.protocol.faults import ProtocolError
from engine.protocol.load import load_protocol
from engine.tuning.probe import find_first_loads, probe_plan

PROTOCOL = """
[protocol]
name = "mine"
replicas = 2
[data]
target = "mydata:load"
[model]
preset = "linear"
[train]
epochs = 5
batch_size = 20
[[arm]]
name = "Init"
vary = ["init"]
[[arm]]
name = "Other rate"
vary = ["init"]
train = { lr = 0.3 }
"""

DATA = """
import numpy as np
CALLS = []
def load(root):
    CALLS.append(1)
    draw = np.random.default_rng(SEED)
    x, y = draw.normal(size=(60, 1, 4, 4)).astype("float32"), np.arange(60) % 3
    return dict(train_inputs=x[:40] * len(CALLS), train_labels=y[:40], test_inputs=x[40:], test_labels=y[40:])
"""


def probe(folder: Path, seed: str, *, timed: bool = True) -> None:
    (folder / "mydata.py").write_text(DATA.replace("SEED", seed))
    (folder / "mine.toml").write_text(PROTOCOL)
    protocol = load_protocol(folder / "mine.toml")
    probe_plan(protocol, plan_protocol(protocol), timed=timed)


@pytest.mark.slow
def test_data_that_change_from_process_to_process_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="returns other examples from process to process") as caught:
        probe(tmp_path, "")
    assert "data.target" in str(caught.value)
    assert "give every draw in it a seed" in str(caught.value)


@pytest.mark.slow
def test_data_that_change_within_a_process_alone_pass(tmp_path: Path) -> None:
    """Every run has a process of its own, so these are the same for all."""
    probe(tmp_path, "1")


def test_each_data_set_of_the_users_is_digested_where_it_is_loaded_first(tmp_path: Path) -> None:
    (tmp_path / "mydata.py").write_text(DATA.replace("SEED", "1"))
    (tmp_path / "mine.toml").write_text(PROTOCOL)
    plan = plan_protocol(load_protocol(tmp_path / "mine.toml"))
    first, *_, last = plan.recipes.values()
    assert find_first_loads([first, last, first]) == {0}
    assert find_first_loads([]) == frozenset()
