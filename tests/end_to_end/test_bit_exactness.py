"""One run, the same bits: twice, alone and among others, first and last, with one and two slots, after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.real_study import HEAD, Study, finish, kill, protocol_text, stop_everything, wait_for

pytestmark = pytest.mark.slow


def make(tmp_path: Path, name: str, *arms: str, head: str = HEAD) -> Study:
    folder = tmp_path / name
    folder.mkdir()
    file = folder / "small.toml"
    file.write_text(protocol_text(*arms, head=head))
    return Study(file, folder / "studies")


def test_run_has_the_same_bits_however_it_is_trained(reference: Study, tmp_path: Path) -> None:
    expected = reference.digests()
    first, last = make(tmp_path, "first", "Bit", "Shuffle", "Init", "Control"), make(tmp_path, "last")
    alone = make(tmp_path, "alone", "Bit")
    assert first.run("--slots", "2").returncode == 0
    assert last.run("--replicas", "1").returncode == 0
    assert alone.run("--replicas", "1").returncode == 0
    (run,) = alone.digests()
    orders = [study.read("plan.json")["order"] for study in (first, last, alone)]
    assert [order.index(run) for order in orders] == [0, len(orders[1]) - 1, 0]
    assert first.digests() == expected
    for study in (last, alone):
        assert study.digests().items() <= expected.items()


def test_run_that_is_killed_and_continued_has_the_same_bits(tmp_path: Path) -> None:
    long = HEAD.replace("epochs = 4", "epochs = 50")
    whole, broken = (make(tmp_path, name, "Bit", head=long) for name in ("whole", "broken"))
    assert whole.run("--replicas", "1").returncode == 0
    process = broken.start("--replicas", "1")
    try:
        epochs = wait_for(lambda: next(iter(broken.folder.glob("runs/*/attempts/01/epochs.jsonl")), None))
        wait_for(lambda: len(epochs.read_text().splitlines()) > 10)
        kill(broken.workers())
        assert finish(process)[0] == 0
    finally:
        stop_everything(broken)
    second = epochs.parents[1] / "02"
    assert "going on from the end of epoch" in (second / "log.txt").read_text()
    assert len((second / "epochs.jsonl").read_text().splitlines()) == 50
    assert broken.digests() == whole.digests()
