"""Every test has a store, leases and a home of its own, and sees nothing of the developer's."""

from __future__ import annotations

import gc
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says more about what else the machine does than about the example.
# The gate draws the same examples every time, so that it fails for a change and not for a draw;
# `pytest --hypothesis-profile search` draws new ones and more of them.
settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=20)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile("gate")

PROTOCOL = """
[protocol]
name = "tiny"
replicas = 2
[data]
preset = "digits"
train_size = 100
[model]
preset = "linear"
[train]
epochs = 2
batch_size = 50
lr = 0.1
warmup_epochs = 1
[[arm]]
name = "Control"
vary = []
[[arm]]
name = "Init"
vary = ["init"]
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take longest: one that began last would leave the other processes with nothing to do.

    Those that may take longest say so, then come those of whole studies, then the others that take seconds.
    """

    def rank(item: pytest.Item) -> tuple[float, bool, bool]:
        limit = item.get_closest_marker("timeout")
        allowed_s = 0.0 if limit is None else float(limit.args[0])
        return -allowed_s, "end_to_end" not in item.path.parts, item.get_closest_marker("slow") is None

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep thousands of tests from the collector of garbage, which would look through them again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True, scope="session")
def hermetic_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is made for many tests waits for no study of the developer's either, and processes hear of Ctrl-C.

    What a shell starts in the background ignores it, and so would its children.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("NONDET_LEASES", str(tmp_path_factory.mktemp("session") / "leases"))
        yield


@pytest.fixture(autouse=True)
def hermetic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The program's own end by Ctrl-C, tried in this process, leaves it deaf to another one: later tests are not."""
    interrupted = signal.getsignal(signal.SIGINT)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NONDET_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("NONDET_LEASES", str(tmp_path / "leases"))
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    yield
    signal.signal(signal.SIGINT, interrupted)


@pytest.fixture
def protocol_text() -> str:
    return PROTOCOL
