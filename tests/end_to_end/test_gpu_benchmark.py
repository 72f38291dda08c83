"""`make bench-gpu`: one command on a machine that has torch and little else, which ends and says what it left out."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from engine.catalog.work import Load, estimate_s, find_gpu

FOLDER = Path(__file__).parents[1] / "benchmarks"

OTHERS = (
    "hatchling", "jinja2", "matplotlib", "msgspec", "pyarrow", "pynvml", "rich", "scipy", "sklearn", "textual", "tomli",
    "tomlkit", "torchvision",
)  # fmt: skip
"""Packages that a machine with torch may lack."""


def load(name: str) -> ModuleType:
    """A module of the benchmarks, which are in no package."""
    folder = FOLDER / "stand_in" if name == "msgspec" else FOLDER
    spec = importlib.util.spec_from_file_location(f"bench_{name}", folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def gpu() -> ModuleType:
    return load("gpu")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_rehearsal_goes_through_every_part_without_other_packages(tmp_path: Path, gpu: ModuleType) -> None:
    for name in OTHERS:
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('No module named {name}')\n")
    out = tmp_path / "found.json"
    done = subprocess.run(
        [sys.executable, str(FOLDER / "gpu.py"), "--rehearse", "--out", str(out)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(out.read_text())
    assert found["left_out"] == {}
    records = found["records"]
    kinds = [record["kind"] for record in records]
    assert kinds.count("kernels") == 3
    assert {"card", "work", "determinism", "same bits", "resume"} <= set(kinds)
    designs = {(record["precision"], record["design"]) for record in records if record["kind"] == "design"}
    alone = ("eager", "recorded", "2 side by side", "4 side by side", "compiled", "compiled, 2 side by side")
    packs = {(precision, f"pack of 2{last}") for precision in ("fp32", "tf32") for last in ("", ", channels last")}
    assert designs == {(precision, one) for precision in ("fp32", "tf32", "bf16") for one in alone} | packs
    assert all(record["different"] == 1 for record in records if record["kind"] == "determinism")
    (resumed,) = (record for record in records if record["kind"] == "resume")
    assert (resumed["killed_after_epoch"], resumed["resumed_from_epoch"], resumed["same"]) == (3, 2, True)
    assert "REHEARSAL ON A CPU" in done.stdout
    assert "killed after epoch 3, resumed after epoch 2: the same bits" in done.stdout


def test_machine_without_torch_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('No module named torch', name='torch')\n")
    done = subprocess.run(
        [sys.executable, str(FOLDER / "gpu.py")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("make bench-gpu: needs torch")
    assert "Traceback" not in done.stderr


def say(*lines: str) -> list[str]:
    """A process that measures a part by these lines of Python."""
    return [sys.executable, "-c", "\n".join(["import os, sys, time", *lines])]


RECORD = 'print(\'{"kind": "x"}\', flush=True)'


def test_part_that_crashes_or_hangs_keeps_what_it_had_measured(gpu: ModuleType) -> None:
    run_part: Callable[[list[str], float], Any] = gpu.run_part
    assert run_part(say(RECORD), 60) == ([{"kind": "x"}], None)
    records, problem = run_part(say(RECORD, "sys.exit('no kernel image')"), 60)
    assert (records, problem) == ([{"kind": "x"}], "ended with status 1: no kernel image")
    records, problem = run_part(say(RECORD, "os.kill(os.getpid(), 9)"), 60)
    assert (records, problem) == ([{"kind": "x"}], "ended with status -9: ")
    assert run_part(say("time.sleep(60)"), 0.2) == ([], "was ended after its 0 s")


@pytest.mark.slow
def test_time_is_shared_and_what_is_left_out_is_said(gpu: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = say("time.sleep(60 * (sys.argv[1] == 'hangs'))", RECORD)
    monkeypatch.setattr(gpu, "LEAST_S", 1.0)
    found = gpu.run_all([gpu.Part("a", 60), gpu.Part("hangs", 1), gpu.Part("c", 59)], hanging, 120)
    assert [record["part"] for record in found["records"]] == ["a", "c"]
    assert list(found["left_out"]) == ["hangs"]
    found = gpu.run_all([gpu.Part("a", 1), gpu.Part("b", 50)], hanging, 20)
    assert found["left_out"] == {"a": "no time was left: 0 s"}
    assert [record["part"] for record in found["records"]] == ["b"]


def test_parts_have_names_and_shares_of_ten_minutes(gpu: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    parts = load("gpu_parts")
    assert [part.name for part in gpu.PARTS] == list(parts.MEASURES)
    assert sum(part.share for part in gpu.PARTS) <= 570


def test_table_has_hours_and_shares_of_what_the_card_can_do() -> None:
    epoch = {"epoch_flops": 8e12, "epoch_bytes": 5e11, "epoch_kernels": 2e4}
    card = {
        "kind": "card", "name": "NVIDIA H100 80GB HBM3", "memory_gib": 80.0, "torch": "2.11.0", "cuda": "13.0",
        "cudnn": 1, "python": "3.12", "copy_bytes_per_s": 3e12, "product_flops_per_s": {"fp32": 5e13},
    }  # fmt: skip
    design = {
        "kind": "design", "precision": "fp32", "design": "recorded", "epoch_s": 0.4, "images_per_s": 125000.0,
        "row_hours": 50_000 * 0.4 / 3600, "memory_gib": 1.5,
    }  # fmt: skip
    refused = {**design, "design": "4 side by side", "refused": True}
    full = {"kind": "design", "precision": "fp32", "design": "pack of 16", "problem": "does not fit into memory"}
    seen = [{"kind": "determinism", "design": f"design {n}", "repeats": 100, "different": n} for n in (1, 7)]
    kernels = [{"kind": "kernels", "digests": digests} for digests in (["a", "a"], ["a", "b"])]
    records = [card, {"kind": "work", "precision": "fp32", **epoch}, design, refused, full, *seen, *kernels]
    text = load("gpu_table").write_table(
        {"rehearsal": False, "seconds": 500, "records": records, "left_out": {"x": "y"}}
    )
    (row,) = (line for line in text.splitlines() if "  recorded " in line)
    assert row.split() == ["fp32", "recorded", "125,000", "5.56", "42%", "40%", "1.5"]  # 0.1667 and 0.16 of 0.4 s
    assert "4 side by side (recording failed)" in text
    assert "does not fit into memory" in text
    assert "left out: x: y" in text
    assert "design 1: an epoch repeated 100 times: the same end each time\n" in text
    assert "design 7: an epoch repeated 100 times: 7 different ends\n" in text
    assert "free kernels in 2 processes: 2 different gradients of one step\n" in text
    h100 = find_gpu(card["name"])
    assert h100 is not None
    row_s = estimate_s(Load(flops=8e12, moved=5e11, kernels=2e4), h100, "fp32").times(50_000 / 3600)
    assert f"estimated for an H100 before anything was timed: fp32 {row_s.least:.1f} to {row_s.most:.1f} h" in text


SCRIPT = """
class Base(msgspec.Struct, frozen=True, kw_only=True):
    a: int
    names: dict[str, int] = {}

class Child(Base, frozen=True, kw_only=True, tag="child"):
    b: float | None = None
    rest: tuple[int, ...] = msgspec.field(default=(1, 2))

one = Child(a=1)
two = msgspec.structs.replace(one, b=2.5)
said = [
    repr(one), one == Child(a=1), one == two,
    msgspec.structs.asdict(two), one.names is Child(a=1).names,
    msgspec.json.decode(b'{"x": {"a": 3}, "y": {"a": 4, "unknown": 1}}', type=dict[str, Plain]),
    msgspec.json.Decoder(Plain).decode(b'{"a": 5}').a, msgspec.convert({"a": 6}, Plain).a,
]
try:
    Child(b=1.0)
except TypeError:
    said.append("missing")
try:
    one.a = 3
except AttributeError:
    said.append("frozen")
"""


@pytest.mark.parametrize("kind", [tuple[int, ...], list[str], int | None])
def test_stand_in_says_what_it_cannot_read(kind: object) -> None:
    with pytest.raises(NotImplementedError, match=r"^reading .+ needs msgspec: install it, or put a copy of it on"):
        load("msgspec").json.decode(b"[1]", type=kind)


def test_stand_in_makes_records_as_msgspec_does() -> None:
    found: list[list[Any]] = []
    for module in (msgspec, load("msgspec")):
        plain = type("Plain", (module.Struct,), {"__annotations__": {"a": int}, "__module__": __name__})
        names: dict[str, Any] = {"msgspec": module, "Plain": plain, "__name__": __name__}
        exec(SCRIPT, names)
        found.append([str(value) for value in names["said"]])
    assert found[0] == found[1]
