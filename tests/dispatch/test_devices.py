"""Devices and slots, with and without GPUs, without touching any."""

from __future__ import annotations

import os

import pytest

from engine.dispatch import devices
from engine.dispatch.devices import Gpu, choose_devices, device_type, make_slots
from engine.errors import NondetError

GPUS = (Gpu(0, "GPU-aaa", "H100"), Gpu(1, "GPU-bbb", "H100"))


@pytest.fixture
def cuda_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "is_cuda_torch", lambda: True)


@pytest.fixture
def cpu_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "is_cuda_torch", lambda: False)


@pytest.mark.usefixtures("cuda_torch")
def test_auto_takes_all_gpus_and_the_cpu_where_there_are_none() -> None:
    assert choose_devices("auto", gpus=GPUS) == ("cuda:0", "cuda:1")
    assert choose_devices("auto", gpus=()) == ("cpu",)
    assert choose_devices("cpu", gpus=GPUS) == ("cpu",)
    assert choose_devices(("cuda:1",), gpus=GPUS) == ("cuda:1",)


@pytest.mark.usefixtures("cpu_torch")
def test_cpu_build_of_torch_leaves_gpus_alone() -> None:
    assert choose_devices("auto", gpus=GPUS) == ("cpu",)
    with pytest.raises(NondetError, match="install a CUDA build"):
        choose_devices(("cuda:1",), gpus=GPUS)


@pytest.mark.usefixtures("cuda_torch")
def test_missing_gpu_is_named_with_those_there_are() -> None:
    with pytest.raises(NondetError, match=r"cuda:2 not found.*cuda:0, cuda:1.*--devices cpu"):
        choose_devices(("cuda:0", "cuda:2"), gpus=GPUS)
    with pytest.raises(NondetError, match="here: none"):
        choose_devices(("cuda:0",), gpus=())


def test_cpu_slots_have_one_thread_each_and_no_gpu() -> None:
    slots = make_slots(("cpu",), "auto")
    assert len(slots) == len(os.sched_getaffinity(0))
    assert [slot.name for slot in make_slots(("cpu",), 3)] == ["cpu:0", "cpu:1", "cpu:2"]
    assert slots[0].environment["OMP_NUM_THREADS"] == "1"
    assert slots[0].environment["CUDA_VISIBLE_DEVICES"] == ""


def test_gpu_slots_fill_all_gpus_before_a_second_round_and_see_one_gpu_each() -> None:
    slots = make_slots(("cuda:0", "cuda:1"), 2, gpus=GPUS)
    assert [slot.name for slot in slots] == ["cuda:0/0", "cuda:1/0", "cuda:0/1", "cuda:1/1"]
    assert [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in slots] == ["GPU-aaa", "GPU-bbb", "GPU-aaa", "GPU-bbb"]
    assert len({slot.key for slot in slots}) == 4
    assert {slot.environment["CUBLAS_WORKSPACE_CONFIG"] for slot in slots} == {":4096:8"}
    assert len(make_slots(("cuda:0",), "auto", gpus=GPUS)) == 1


def test_a_study_has_one_kind_of_device() -> None:
    assert device_type(("cpu",)) == "cpu"
    assert device_type(("cuda:0", "cuda:1")) == "cuda"
