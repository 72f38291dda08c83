"""Which GPUs may be used: CUDA_VISIBLE_DEVICES as CUDA reads it, and cards that NVML cannot open."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from engine.dispatch import devices, neighbours, torch_build
from engine.dispatch.cards import Card, Inventory
from engine.dispatch.devices import choose_devices, explain_devices, make_slots
from engine.dispatch.launch import prepare_study
from engine.dispatch.nvml import take_inventory
from engine.dispatch.supervisor import supervise
from engine.dispatch.torch_build import TorchBuild
from engine.dispatch.visible import DeviceList, list_visible
from engine.errors import NondetError, StudyError
from engine.plan.plan import make_plan
from engine.protocol.load import load_protocol
from tui.commands import batch
from tui.commands.check import check_protocol

PARTS = (Card("MIG-11aa", "H100 MIG 3g"), Card("MIG-22bb", "H100 MIG 3g"))
FOUR = tuple(Card(f"GPU-{letter * 4}", "H100", index) for index, letter in enumerate("abcd"))
MIXED = (Card("GPU-aaaa", "H100", 0), Card("GPU-bbbb", "A100", 1))
DIVIDED = (Card("GPU-aaaa", "H100", 0, parts=PARTS), Card("GPU-abbb", "H100", 1))


def show(variable: str | None, cards: tuple[Card, ...] = FOUR, **others: str) -> DeviceList:
    environment = others if variable is None else others | {"CUDA_VISIBLE_DEVICES": variable}
    return list_visible(Inventory(cards), environment)


@pytest.mark.parametrize(
    ("variable", "uuids"),
    [
        (None, "aaaa bbbb cccc dddd"),
        ("2", "cccc"),
        (" 3 , 1", "dddd bbbb"),
        ("GPU-cccc", "cccc"),
        ("GPU-c,GPU-a", "cccc aaaa"),
        ("", ""),
        ("-1", ""),
        ("NoDevFiles", ""),
        ("1,-1,2", "bbbb"),
        ("1,,2", "bbbb"),
        ("1,9,2", "bbbb"),
        ("0,nonsense,2", "aaaa"),
        ("GPU-", ""),
        ("1,2,1", ""),
        ("1,GPU-bbbb", ""),
    ],
)
def test_variable_is_read_as_cuda_reads_it(variable: str | None, uuids: str) -> None:
    found = show(variable)
    assert [gpu.uuid for gpu in found.gpus] == [f"GPU-{letters}" for letters in uuids.split()]
    assert found.names == tuple(f"cuda:{i}" for i in range(len(found.gpus))), "counted as torch counts"
    assert found.variable == variable


def test_beginning_that_two_uuids_have_names_none() -> None:
    assert show("GPU-a", DIVIDED).gpus == ()


def test_parts_that_mig_makes_are_devices_of_their_own() -> None:
    assert [gpu.uuid for gpu in show("MIG-22bb,MIG-1", DIVIDED).gpus] == ["MIG-22bb", "MIG-11aa"]
    found = show(None, DIVIDED)
    assert [gpu.uuid for gpu in found.gpus] == ["MIG-11aa", "GPU-abbb"], "all that CUDA shows of a divided GPU"
    assert "cuda:0 is the first of the 2 parts that MIG makes of H100" in found.notes[0]


def test_numbers_of_unlike_cards_are_left_to_cuda_unless_their_order_is_known() -> None:
    assert [gpu.entry for gpu in show("1,0", MIXED).gpus] == ["1", "0"]
    assert [gpu.entry for gpu in show("GPU-b", MIXED).gpus] == [None]
    assert [gpu.entry for gpu in show("1", MIXED, CUDA_DEVICE_ORDER="PCI_BUS_ID").gpus] == [None]
    assert [gpu.entry for gpu in show("1", FOUR).gpus] == [None]


def test_entries_that_name_nothing_are_said_unless_they_are_meant_so() -> None:
    assert "9 names no GPU of this machine, and CUDA ends the list there" in show("1,9,2").notes[0]
    assert "names one GPU twice" in show("1,1").notes[0]
    assert show("1,-1").notes == ()
    assert show("").notes == ('CUDA_VISIBLE_DEVICES="" hides every GPU of this machine (4)',)
    assert show("", ()).notes == ()


def test_lost_gpu_leaves_the_others_their_names() -> None:
    cards = (FOUR[0], replace(FOUR[1], uuid="", name="", fault="GPU is lost"), *FOUR[2:])
    found = show(None, cards)
    assert found.names == ("cuda:0", "cuda:2", "cuda:3")
    assert found.notes == ("cuda:1 (GPU 1 of the driver) is left out: NVML cannot open it (GPU is lost)",)
    assert show("2", cards).notes == (), "of no concern to whoever may not use it"
    assert show("1,2", cards).names == ("cuda:1",)


class Library:
    """Stands for NVML on a machine with four GPUs, of which some are lost; the second may be divided."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, lost: tuple[int, ...] = (), parts: int = 0) -> None:
        self.lost, self.parts, self.open = lost, parts, 0
        self.processes: dict[str, list[int]] = {}
        self.clients: dict[str, list[int]] = {}
        """Of MPS."""
        self.modes: dict[str, int] = {}
        self.cuda = 13000
        for name in ("Init", "Shutdown", "DeviceGetCount", "DeviceGetHandleByIndex", "DeviceGetUUID", "DeviceGetName"):
            monkeypatch.setattr(pynvml, f"nvml{name}", getattr(self, name))
        for name in (
            "DeviceGetMaxMigDeviceCount",
            "DeviceGetMigDeviceHandleByIndex",
            "DeviceGetComputeRunningProcesses",
            "DeviceGetMPSComputeRunningProcesses",
            "DeviceGetComputeMode",
            "SystemGetCudaDriverVersion_v2",
        ):
            monkeypatch.setattr(pynvml, f"nvml{name}", getattr(self, name))

    def Init(self) -> None:
        self.open += 1

    def Shutdown(self) -> None:
        self.open -= 1

    def DeviceGetCount(self) -> int:
        return 4

    def DeviceGetHandleByIndex(self, index: int) -> str:
        if index in self.lost:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return f"GPU-{index}"

    def DeviceGetUUID(self, handle: str) -> str:
        return handle

    def DeviceGetName(self, handle: str) -> str:
        return "H100"

    def DeviceGetMaxMigDeviceCount(self, handle: str) -> int:
        if handle != "GPU-1":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return 7

    def DeviceGetComputeRunningProcesses(self, handle: str) -> list[SimpleNamespace]:
        if handle == "GPU-3":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return [SimpleNamespace(pid=pid) for pid in self.processes.get(handle, [])]

    def DeviceGetMPSComputeRunningProcesses(self, handle: str) -> list[SimpleNamespace]:
        return [SimpleNamespace(pid=pid) for pid in self.clients.get(handle, [])]

    def DeviceGetComputeMode(self, handle: str) -> int:
        if handle == "GPU-3":
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return self.modes.get(handle, pynvml.NVML_COMPUTEMODE_DEFAULT)

    def SystemGetCudaDriverVersion_v2(self) -> int:
        return self.cuda

    def DeviceGetMigDeviceHandleByIndex(self, handle: str, number: int) -> str:
        if number >= self.parts:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return f"MIG-{number}"


def install_torch(monkeypatch: pytest.MonkeyPatch, *, nodes: bool = False, **build: str) -> None:
    """A build of torch, for CUDA unless another is named, where the system shows a GPU or does not."""
    for name in ("CUDA_NODES", "HIP_NODES"):
        monkeypatch.setattr(torch_build, name, (os.devnull if nodes else "/dev/none",))
    monkeypatch.setattr(devices, "read_build", lambda: TorchBuild("2.13.0", **(build or {"cuda": "13.0"})))


@pytest.fixture
def cuda_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    install_torch(monkeypatch)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CUDA build of torch where NVML is missing."""
    install_torch(monkeypatch)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def fail() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", fail)


def workers_see(wanted: Any = "auto") -> list[str]:
    return [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in make_slots(choose_devices(wanted), 1)]


@pytest.mark.usefixtures("cuda_torch")
def test_workers_stay_on_the_gpus_that_the_variable_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(monkeypatch)
    assert workers_see() == ["GPU-0", "GPU-1", "GPU-2", "GPU-3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert workers_see() == ["GPU-2", "GPU-3"]
    assert workers_see(("cuda:1",)) == ["GPU-3"]
    with pytest.raises(NondetError, match='CUDA_VISIBLE_DEVICES="2,3"'):
        workers_see(("cuda:2",))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert choose_devices("auto") == ("cpu",)
    assert "hides every GPU" in explain_devices("auto")[0]
    assert library.open == 0


@pytest.mark.usefixtures("cuda_torch")
def test_one_lost_gpu_of_four_leaves_three(monkeypatch: pytest.MonkeyPatch) -> None:
    Library(monkeypatch, lost=(3,))
    assert workers_see() == ["GPU-0", "GPU-1", "GPU-2"]
    assert "GPU is lost" in explain_devices("auto")[0]


@pytest.mark.usefixtures("cuda_torch")
def test_part_of_a_gpu_is_what_its_worker_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    Library(monkeypatch, parts=2)
    assert [part.uuid for part in take_inventory().cards[1].parts] == ["MIG-0", "MIG-1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1")
    assert workers_see() == ["MIG-1"]


@pytest.mark.usefixtures("cuda_torch")
@pytest.mark.parametrize("function", ["nvmlInit", "nvmlDeviceGetCount"])
def test_library_that_fails_is_said_in_its_own_words(monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    Library(monkeypatch)

    def fail() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)

    monkeypatch.setattr(pynvml, function, fail)
    assert choose_devices("auto") == ("cpu",)
    assert "the CPU is used: NVML cannot list the GPUs (Driver Not Loaded)" in explain_devices("auto")[0]


@pytest.fixture
def open_protocol(tmp_path: Path, protocol_text: str) -> Path:
    """One that leaves the device open."""
    file = tmp_path / "tiny.toml"
    file.write_text(protocol_text)
    return file


@pytest.mark.slow
@pytest.mark.usefixtures("no_driver")
def test_check_and_batch_say_why_the_cpu_is_used(
    open_protocol: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check_protocol(open_protocol, store=None, overrides=())
    note = "note: the CPU is used: NVML cannot list the GPUs (NVML Shared Library Not Found): check the driver"
    assert note in capsys.readouterr().out
    monkeypatch.setattr(batch, "preparing", stop)
    with pytest.raises(StudyError, match="far enough"):
        batch.run_batch(open_protocol, store=None, overrides=(), as_json=False)
    assert note in capsys.readouterr().err
    with pytest.raises(StudyError, match="far enough"):
        batch.run_batch(open_protocol, store=None, overrides=("dispatch.devices=cpu",), as_json=False)
    assert "note: the CPU" not in capsys.readouterr().err, "it was asked for"


def stop(*args: Any, **kwargs: Any) -> None:
    raise StudyError("far enough")


@pytest.mark.usefixtures("no_driver")
def test_runs_that_were_planned_for_a_gpu_are_not_sent_to_the_cpu(open_protocol: Path) -> None:
    protocol = load_protocol(open_protocol, overrides=())
    paths = prepare_study(protocol, make_plan(protocol, device="cuda"), store=None)
    with pytest.raises(StudyError, match=r"planned for cuda.*the CPU is used: NVML cannot list"):
        supervise(paths)


@pytest.mark.usefixtures("cuda_torch")
def test_gpus_on_which_other_users_compute_are_left_alone_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(monkeypatch)
    monkeypatch.setattr(neighbours, "find_user", {11: "alice", 12: "bob"}.get)
    library.processes = {"GPU-0": [os.getpid()], "GPU-1": [11, 11], "GPU-2": [12, 11]}
    assert workers_see() == ["GPU-0", "GPU-3"]
    assert explain_devices("auto") == (
        "cuda:1 is left out: alice computes on it: name it with --devices to use it",
        "cuda:2 is left out: alice, bob computes on it: name it with --devices to use it",
    )
    assert workers_see(("cuda:1",)) == ["GPU-1"]
    (note,) = explain_devices(("cuda:1",))
    assert note == "cuda:1: alice computes on it too: trainings take longer, and may lack memory"


@pytest.mark.usefixtures("cuda_torch")
def test_gpus_are_shared_where_all_are_used_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(monkeypatch, lost=(3,))
    monkeypatch.setattr(neighbours, "find_user", lambda pid: "alice")
    library.processes = {f"GPU-{number}": [11] for number in range(3)}
    assert workers_see() == ["GPU-0", "GPU-1", "GPU-2"]
    assert sum("computes on it too" in note for note in explain_devices("auto")) == 3
