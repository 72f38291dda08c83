"""Devices and slots, with and without GPUs, without touching any."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.dispatch import devices
from engine.dispatch.devices import choose_devices, device_type, explain_devices, make_slots
from engine.dispatch.torch_build import TorchBuild, parse_build
from engine.dispatch.visible import DeviceList, Gpu
from engine.errors import NondetError

TWO = DeviceList((Gpu(0, "GPU-aaa", "H100"), Gpu(1, "GPU-bbb", "H100")))
NONE = DeviceList()


BUILDS = {
    "cuda": TorchBuild("2.13.0+cu130", cuda="13.0"),
    "cpu": TorchBuild("2.13.0+cpu"),
    "rocm": TorchBuild("2.13.0+rocm7.0", hip="7.0.2"),
}


def install_torch(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(devices, "read_build", lambda: BUILDS[kind])


@pytest.fixture
def cuda_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    install_torch(monkeypatch, "cuda")


@pytest.fixture
def cpu_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    install_torch(monkeypatch, "cpu")


@pytest.mark.usefixtures("cuda_torch")
def test_auto_takes_all_gpus_and_the_cpu_where_there_are_none() -> None:
    assert choose_devices("auto", found=TWO) == ("cuda:0", "cuda:1")
    assert choose_devices("auto", found=NONE) == ("cpu",)
    assert choose_devices("cpu", found=TWO) == ("cpu",)
    assert choose_devices(("cuda:1",), found=TWO) == ("cuda:1",)


@pytest.mark.usefixtures("cpu_torch")
def test_cpu_build_of_torch_leaves_gpus_alone() -> None:
    assert choose_devices("auto", found=TWO) == ("cpu",)
    with pytest.raises(NondetError, match="install a CUDA build"):
        choose_devices(("cuda:1",), found=TWO)


@pytest.mark.usefixtures("cuda_torch")
def test_missing_gpu_is_named_with_those_there_are() -> None:
    with pytest.raises(NondetError, match=r"cuda:2 not found.*cuda:0, cuda:1.*--devices cpu"):
        choose_devices(("cuda:0", "cuda:2"), found=TWO)
    with pytest.raises(NondetError, match="here: none"):
        choose_devices(("cuda:0",), found=NONE)


def test_cpu_slots_see_no_gpu() -> None:
    slots = make_slots(("cpu",), "auto")
    assert len(slots) == len(os.sched_getaffinity(0))
    assert [slot.name for slot in make_slots(("cpu",), 3)] == ["cpu:0", "cpu:1", "cpu:2"]
    assert slots[0].environment == {"CUDA_VISIBLE_DEVICES": ""}


def test_gpu_slots_fill_all_gpus_before_a_second_round_and_see_one_gpu_each() -> None:
    slots = make_slots(("cuda:0", "cuda:1"), 2, found=TWO)
    assert [slot.name for slot in slots] == ["cuda:0/0", "cuda:1/0", "cuda:0/1", "cuda:1/1"]
    assert [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in slots] == ["GPU-aaa", "GPU-bbb", "GPU-aaa", "GPU-bbb"]
    assert len({slot.key for slot in slots}) == 4
    assert len(make_slots(("cuda:0",), "auto", found=TWO)) == 1


def test_a_study_has_one_kind_of_device() -> None:
    assert device_type(("cpu",)) == "cpu"
    assert device_type(("cuda:0", "cuda:1")) == "cuda"


@pytest.mark.parametrize(
    ("lines", "cuda", "hip"),
    [
        ("cuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n", "13.0", None),
        ("cuda = '12.8'\nhip = None\n", "12.8", None),
        (
            "cuda: Optional[str] = None\nhip: Optional[str] = '7.0.51831'\nrocm: Optional[str] = '7.0'\n",
            None,
            "7.0.51831",
        ),
        ("cuda: Optional[str] = None\nhip: Optional[str] = None\n", None, None),
        ("debug = False\ncuda_note = '1'\n", None, None),
    ],
)
def test_builds_of_torch_are_told_apart(lines: str, cuda: str | None, hip: str | None) -> None:
    found = parse_build("2.13.0", f"__version__ = '2.13.0'\n{lines}")
    assert (found.cuda, found.hip, found.has_gpus) == (cuda, hip, cuda is not None or hip is not None)


@pytest.mark.slow
def test_installed_torch_is_known_without_importing_it() -> None:
    script = (
        "import sys\nfrom engine.dispatch.torch_build import read_build\nbuild = read_build()\n"
        "assert 'torch' not in sys.modules\nimport torch\n"
        "assert (build.version, build.cuda, build.hip) == (torch.__version__, torch.version.cuda, torch.version.hip)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_torch_that_is_built_where_its_source_lies_is_known_by_that(tmp_path: Path) -> None:
    """Its package names a folder in which there is no torch."""
    source, packages = tmp_path / "source" / "torch", tmp_path / "packages" / "torch-2.13.0a0.dist-info"
    for folder in (source, packages):
        folder.mkdir(parents=True)
    (source / "__init__.py").write_text("raise ImportError('is not to be imported')")
    (source / "version.py").write_text("cuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n")
    (packages / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0a0\n")
    script = (
        f"import sys\nsys.path[:0] = {[str(packages.parent), str(source.parent)]}\n"
        "from engine.dispatch.torch_build import read_build, TorchBuild\n"
        "assert read_build() == TorchBuild('2.13.0a0', '13.0')\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


FAILED = DeviceList(notes=("NVML cannot list the GPUs (Driver Not Loaded)",), failed=True)
HIDDEN = DeviceList(notes=('CUDA_VISIBLE_DEVICES="" hides every GPU of this machine (4)',), variable="")
FAILED_AND_SET = DeviceList(notes=FAILED.notes, variable="0", failed=True)
LOST = DeviceList((Gpu(0, "GPU-aaa", "H100"),), ("cuda:1 is left out: lost",))


@pytest.mark.parametrize(
    ("kind", "found", "said"),
    [
        ("cuda", FAILED, "the CPU is used: NVML cannot list the GPUs (Driver Not Loaded): check the driver"),
        ("cuda", FAILED_AND_SET, "Driver Not Loaded): check the driver"),
        ("cuda", NONE, "the CPU is used: this machine has no NVIDIA GPU: check the driver"),
        ("cuda", HIDDEN, 'CUDA_VISIBLE_DEVICES="" hides every GPU of this machine (4): change CUDA_VISIBLE_DEVICES'),
        ("cpu", TWO, "torch 2.13.0+cpu has no CUDA, although there is H100: install a CUDA build"),
    ],
)
def test_cpu_in_place_of_a_gpu_is_said(
    monkeypatch: pytest.MonkeyPatch, kind: str, found: DeviceList, said: str
) -> None:
    install_torch(monkeypatch, kind)
    (note,) = explain_devices("auto", found=found)
    assert choose_devices("auto", found=found) == ("cpu",)
    assert note.startswith("the CPU is used: ")
    assert said in note
    assert note.endswith("or use --devices cpu to say so")
    assert explain_devices("cpu", found=found) == ()


def test_what_was_asked_for_or_is_all_there_is_needs_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    install_torch(monkeypatch, "cpu")
    assert explain_devices("auto", found=NONE) == explain_devices("auto", found=FAILED) == ()
    install_torch(monkeypatch, "cuda")
    assert explain_devices("auto", found=TWO) == ()


@pytest.mark.usefixtures("cuda_torch")
def test_gpu_that_is_left_out_is_said() -> None:
    assert choose_devices("auto", found=LOST) == ("cuda:0",)
    assert explain_devices("auto", found=LOST) == explain_devices(("cuda:0",), found=LOST) == LOST.notes
    with pytest.raises(NondetError, match=r"cuda:1 not found.*here: cuda:0; cuda:1 is left out: lost"):
        choose_devices(("cuda:1",), found=LOST)


@pytest.mark.usefixtures("cuda_torch")
def test_device_that_the_variable_hides_names_it_and_its_value() -> None:
    shown = DeviceList(TWO.gpus, variable="4,5")
    with pytest.raises(NondetError, match=r'cuda:2 not found.*CUDA_VISIBLE_DEVICES="4,5".*change CUDA_VISIBLE_DEVICES'):
        choose_devices(("cuda:2",), found=shown)


def test_worker_gets_the_entry_of_its_device_where_a_uuid_is_not_it() -> None:
    found = DeviceList((Gpu(0, "GPU-aaa", "H100", entry="3"),))
    (slot,) = make_slots(("cuda:0",), 1, found=found)
    assert slot.environment["CUDA_VISIBLE_DEVICES"] == "3"
    assert slot.key == "GPU-aaa-0"
    assert "CUDA_DEVICE_ORDER" not in slot.environment, "a number is counted in the order that its owner had in mind"
