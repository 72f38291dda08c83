"""GPUs that one process at a time may use, MPS, and GPUs that torch counts where NVML cannot."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pynvml
import pytest
import torch

from engine.dispatch import devices, neighbours, torch_count
from engine.dispatch.devices import choose_devices, explain_devices, make_slots
from engine.dispatch.executors.local import LocalExecutor, open_local
from engine.dispatch.torch_count import TorchCount, TorchGpu
from engine.errors import NondetError
from engine.protocol.load import parse_protocol
from tests.dispatch.test_visible import Library, install_torch

EXCLUSIVE, PROHIBITED = pynvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS, pynvml.NVML_COMPUTEMODE_PROHIBITED

PROTOCOL = """
[protocol]
name = "shared"
[data]
preset = "digits"
[model]
preset = "linear"
[[arm]]
name = "init"
vary = ["init"]
"""


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Library:
    """Four GPUs, a torch for CUDA, and no MPS."""
    install_torch(monkeypatch)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    return Library(monkeypatch)


def open_slots(slots: int | str, gpus: Any = "auto") -> LocalExecutor:
    dispatch = parse_protocol(PROTOCOL, file="x.toml").dispatch
    return open_local(replace(dispatch, devices=gpus, slots_per_device=slots))


def test_gpu_for_one_process_has_one_slot_and_says_so_before(library: Library) -> None:
    library.modes = {"GPU-1": EXCLUSIVE}
    executor = open_slots(2)
    assert [place for place in executor.places if place.startswith("cuda:1/")] == ["cuda:1/0"]
    assert len(executor.places) == 7
    assert executor.device_notes[0].startswith(
        "cuda:1: in exclusive-process mode, in which one process at a time has the GPU: one slot, instead of 2"
    )
    assert "MPS is not running: the 2 processes of a GPU take turns" in executor.device_notes[1]
    assert executor.most_slots == 1, "more are not worth a trial"
    assert "one slot (MPS" in open_slots("auto").device_notes[0]


def test_mps_lets_several_processes_compute_in_either_mode(library: Library, tmp_path: Path) -> None:
    library.modes = {"GPU-1": EXCLUSIVE}
    (tmp_path / "control").touch()
    executor = open_slots(2)
    assert len(executor.places) == 8
    assert executor.device_notes == ("MPS is running: the 2 processes of a GPU compute at the same time",)
    assert executor.most_slots > 1
    assert open_slots(1).device_notes == ()


def test_gpu_that_no_process_may_use_is_left_out(library: Library) -> None:
    library.modes = {"GPU-0": PROHIBITED}
    assert choose_devices("auto") == ("cuda:1", "cuda:2", "cuda:3")
    assert explain_devices("auto")[0].startswith("cuda:0 is left out: its compute mode is prohibited")
    with pytest.raises(NondetError, match=r"cuda:0 not found.*prohibited.*-i 0 -c DEFAULT"):
        choose_devices(("cuda:0",))


def test_users_are_seen_through_mps_and_its_server_is_nobody(
    library: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for pid, comm in ((11, "python"), (12, "nvidia-cuda-mps")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "comm").write_text(f"{comm}\n")
    monkeypatch.setattr(neighbours, "PROC", tmp_path)
    monkeypatch.setattr(neighbours.os, "getuid", lambda: -1)
    library.processes, library.clients = {"GPU-0": [12], "GPU-1": [12]}, {"GPU-1": [11]}
    assert choose_devices("auto") == ("cuda:0", "cuda:2", "cuda:3")


def test_other_users_on_a_gpu_for_one_process_are_in_the_way(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "find_user", lambda pid: "alice")
    library.modes, library.processes = {"GPU-1": EXCLUSIVE}, {"GPU-1": [11]}
    assert "cuda:1" not in choose_devices("auto")
    (note,) = explain_devices(("cuda:1",))
    assert note == (
        "cuda:1: alice computes on it too: it is in exclusive-process mode, and no training can start until that "
        "process has ended"
    )


FOUND = TorchCount((TorchGpu("H100", "1111"), TorchGpu("H100", "2222")))


def answer(monkeypatch: pytest.MonkeyPatch, count: TorchCount) -> None:
    monkeypatch.setattr(devices, "ask_torch", lambda: count)


def workers_see(variable: str = "CUDA_VISIBLE_DEVICES") -> list[str]:
    return [slot.environment[variable] for slot in make_slots(choose_devices("auto"), 1)]


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that has GPUs, without libnvidia-ml."""

    def fail() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    install_torch(monkeypatch, nodes=True)
    monkeypatch.setattr(pynvml, "nvmlInit", fail)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("no_library")
def test_torch_counts_where_nvml_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, FOUND)
    assert workers_see() == ["0", "1"]
    assert [slot.key for slot in make_slots(("cuda:0", "cuda:1"), 1)] == ["1111-0", "2222-0"]
    assert explain_devices("auto") == (
        "NVML cannot list the GPUs (NVML Shared Library Not Found); torch 2.13.0 itself counts 2, and whether others "
        "use them is not known",
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-aa, GPU-bb")
    assert workers_see() == ["MIG-aa", "GPU-bb"], "what its owner named, not what torch calls it"
    answer(monkeypatch, TorchCount((TorchGpu("H100 MIG", ""),)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-GPU-aa/1/0")
    (slot,) = make_slots(choose_devices("auto"), 1)
    assert slot.environment == {"CUDA_VISIBLE_DEVICES": "MIG-GPU-aa/1/0"}
    assert "/" not in slot.key, "a lease is the name of a file"
    answer(monkeypatch, TorchCount(failure="the driver is gone"))
    assert choose_devices("auto") == ("cpu",)
    (note,) = explain_devices("auto")
    assert note == (
        "the CPU is used: NVML cannot list the GPUs (NVML Shared Library Not Found); torch 2.13.0 itself finds none "
        "(the driver is gone): check the driver, or use --devices cpu to say so"
    )


def test_old_driver_is_said_unless_torch_can_use_it(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    install_torch(monkeypatch, nodes=True)
    library.cuda = 12020
    answer(monkeypatch, TorchCount(failure="too old"))
    assert choose_devices("auto") == ("cpu",)
    said = "the driver supports CUDA 12.2 at most, and torch is built for CUDA 13.0 (a newer driver, or a torch for"
    assert said in explain_devices("auto")[0]
    with pytest.raises(NondetError, match="driver supports CUDA 12"):
        choose_devices(("cuda:0",))
    answer(monkeypatch, FOUND)
    assert choose_devices("auto") == ("cuda:0", "cuda:1", "cuda:2", "cuda:3"), "with libraries for compatibility"
    library.cuda = 13000
    monkeypatch.setattr(devices, "ask_torch", pytest.fail)
    assert explain_devices("auto") == ()


def test_rocm_is_named_and_counts_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    install_torch(monkeypatch, nodes=True, hip="7.0.2")
    answer(monkeypatch, TorchCount((TorchGpu("MI300X", ""),)))
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "3")
    assert workers_see("HIP_VISIBLE_DEVICES") == ["3"]
    (note,) = explain_devices("auto")
    assert "torch 2.13.0 is a build for AMD's GPUs (ROCm 7.0.2), on which nothing of this has been tried" in note
    install_torch(monkeypatch, nodes=False, hip="7.0.2")
    assert choose_devices("auto") == ("cpu",)
    assert "this machine shows none: there is no /dev/none" in explain_devices("auto")[0]


@pytest.mark.parametrize(
    ("status", "out", "errors", "expected"),
    [
        (0, json.dumps({"gpus": [{"name": "H100", "uuid": "1"}]}), "", TorchCount((TorchGpu("H100", "1"),))),
        (0, json.dumps({"failure": "old"}), "", TorchCount(failure="old")),
        (-9, "", "line\nKilled", TorchCount(failure="its process ended with status -9: Killed")),
    ],
)
def test_torch_is_asked_in_a_process_that_answers_or_whose_end_is_said(
    monkeypatch: pytest.MonkeyPatch, status: int, out: str, errors: str, expected: TorchCount
) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert command[-2:] == ["engine.training", "devices"]
        return subprocess.CompletedProcess(command, status, out, errors)

    monkeypatch.setattr(torch_count.subprocess, "run", run)
    torch_count.asked.cache_clear()
    assert torch_count.ask_torch() == torch_count.ask_torch() == expected
    torch_count.asked.cache_clear()


@pytest.mark.slow
@pytest.mark.skipif(torch.version.cuda is not None or torch.version.hip is not None, reason="asks a build without GPUs")
def test_torch_without_gpus_says_why() -> None:
    torch_count.asked.cache_clear()
    found = torch_count.ask_torch()
    assert found == TorchCount(failure="Torch not compiled with CUDA enabled"), found
