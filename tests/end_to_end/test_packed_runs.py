"""Studies whose runs are trained in packs: the same bits in any company, after a kill, and never mixed with others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.real_study import HEAD, Study, finish, kill, protocol_text, stop_everything, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PACKED = HEAD.replace('preset = "resnet6"\nwidth = 0.25', 'preset = "hidden-fc"').replace(
    "checkpoint_s = 0", "checkpoint_s = 0\npack = 4"
)


def make(tmp_path: Path, name: str, *arms: str, head: str = PACKED) -> Study:
    folder = tmp_path / name
    folder.mkdir()
    file = folder / "small.toml"
    file.write_text(protocol_text(*arms, head=head))
    return Study(file, folder / "studies")


def logs(study: Study) -> list[str]:
    return [path.read_text() for path in study.folder.glob("runs/*/attempts/*/log.txt")]


def test_packs_have_the_same_bits_in_any_company(tmp_path: Path) -> None:
    whole, one_slot, grown = (make(tmp_path, name) for name in ("whole", "one-slot", "grown"))
    assert whole.run("--replicas", "6", "--slots", "2").returncode == 0
    arms = {arm["name"]: arm for arm in whole.metrics()}
    assert arms["Control"]["n"] == 6
    assert arms["Control"]["disagreement"] == arms["Control"]["cross_entropy_sd"] == 0
    assert arms["Init"]["cross_entropy_sd"] > 0
    assert any("4 runs in a pack of 4" in log for log in logs(whole))
    assert any("trained in a pack with run" in log for log in logs(whole))
    expected = whole.digests()
    assert one_slot.run("--replicas", "6").returncode == 0
    assert one_slot.digests() == expected
    assert grown.run("--replicas", "2").returncode == 0
    assert grown.run("--replicas", "6").returncode == 0
    assert grown.digests() == expected, "runs that came later were trained beside others"
    assert set(grown.attempts().values()) == {1}
    alone = grown.run("--replicas", "2", "--set", "dispatch.pack=1")
    assert alone.returncode == 0, alone.stderr
    assert len(set(grown.digests()) - set(expected)) == 7, "runs in packs are other runs than those trained alone"
    assert [arm["n"] for arm in grown.metrics()] == [2, 2, 2, 2]


def test_pack_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    long = PACKED.replace("epochs = 4", "epochs = 40")
    whole, broken = (make(tmp_path, name, "Bit", head=long) for name in ("whole", "broken"))
    assert whole.run().returncode == 0
    process = broken.start()
    try:
        epochs = wait_for(lambda: next(iter(broken.folder.glob("runs/*/attempts/01/epochs.jsonl")), None))
        wait_for(lambda: len(epochs.read_text().splitlines()) > 10)
        kill(broken.workers())
        assert finish(process)[0] == 0
    finally:
        stop_everything(broken)
    for run in (broken.folder / "runs").iterdir():
        lines = (run / "attempts" / "02" / "epochs.jsonl").read_text().splitlines()
        assert [json.loads(line)["epoch"] for line in lines] == list(range(1, 41))
    assert any("going on from the end of epoch" in log for log in logs(broken))
    assert broken.digests() == whole.digests()
