"""The gauges of the machine, from files in place of the kernel's: since the last look, history, what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui.app import machine
from tui.app.machine import HISTORY, Machine

MEMINFO = "MemTotal:       33554432 kB\nMemFree:         1048576 kB\nMemAvailable:   25165824 kB\nHugePages_Total: 0\n"


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine, "read_gpus", lambda: [("gpu0", 97.0, "12.2/80 GB 412 W")])
    (tmp_path / "meminfo").write_text(MEMINFO)
    return tmp_path


def look_after(proc: Path, gauge: Machine, fields: str) -> dict[str, tuple[float, str]]:
    (proc / "stat").write_text(f"cpu  {fields}\ncpu0 1 2 3\n")
    gauge.looked_at -= machine.PERIOD_S
    return {one.name: (one.busy, one.text) for one in gauge.look()}


def test_processors_are_as_busy_as_they_were_since_the_last_look(proc: Path) -> None:
    one = Machine(proc)
    assert set(look_after(proc, one, "100 0 0 900 0 0 0 0 0 0")) == {"memory", "gpu0"}, "one look has no difference"
    found = look_after(proc, one, "160 10 5 915 10 0 0 0 0 0")
    assert found["cpu"][0] == pytest.approx(75.0)
    assert found["memory"] == (pytest.approx(25.0), "8.0/32 GB")
    assert found["gpu0"] == (97.0, "12.2/80 GB 412 W")
    assert look_after(proc, one, "160 10 5 1015 10 0 0 0 0 0")["cpu"][0] == 0.0


def test_looks_are_rare_and_the_latest_are_remembered(proc: Path) -> None:
    one = Machine(proc)
    for step in range(HISTORY + 5):
        look_after(proc, one, f"{10 * step} 0 0 {10 * step} 0 0 0 0")
    before = one.gauges
    assert one.look() is before, "nothing is read again so soon"
    (cpu,) = [gauge for gauge in before if gauge.name == "cpu"]
    assert cpu.history == (50.0,) * HISTORY


@pytest.mark.parametrize("content", [None, "", "cpu x y z", "intr 1 2"])
def test_what_cannot_be_read_is_left_out(proc: Path, content: str | None) -> None:
    for name in ("stat", "meminfo"):
        (proc / name).unlink(missing_ok=True)
        if content is not None:
            (proc / name).write_text(content)
    assert [gauge.name for gauge in Machine(proc).look()] == ["gpu0"]
