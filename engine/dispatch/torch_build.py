"""Tells which GPUs the installed torch was built for, from its own files and without importing it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

CUDA_NODES = ("/dev/nvidiactl", "/dev/dxg", "/dev/nvmap")
"""Files of a system that shows a process an NVIDIA GPU: Linux, Linux in Windows, Jetson."""

HIP_NODES = ("/dev/kfd",)


@dataclass(frozen=True)
class TorchBuild:
    """Describes an installed torch."""

    version: str
    cuda: str | None = None
    """The version of CUDA that it was built for; None where it was not."""
    hip: str | None = None
    """The same of HIP, which is AMD's."""

    @property
    def has_gpus(self) -> bool:
        """Tell whether it can compute on GPUs: torch calls AMD's cuda, too."""
        return self.cuda is not None or self.hip is not None

    @property
    def nodes(self) -> tuple[str, ...]:
        """Return the files of which a system with a GPU for this build has one."""
        return HIP_NODES if self.hip is not None else CUDA_NODES

    def finds_nodes(self) -> bool:
        """Tell whether the system shows this process a GPU at all, so that it is worth asking torch about it."""
        return any(Path(node).exists() for node in self.nodes)


def read_build() -> TorchBuild:
    """Return what the installed torch was built for."""
    version, torch = metadata.version("torch"), find_spec("torch")
    assert torch is not None, "its package is installed"
    assert torch.origin is not None, "it is no folder alone"
    # Not where its package is: a torch that is built from a checkout lies there.
    return parse_build(version, Path(torch.origin).with_name("version.py").read_text())


def parse_build(version: str, text: str) -> TorchBuild:
    """Return what a torch was built for.

    Args:
        version: Of the package.
        text: Its torch/version.py.
    """
    found = dict(re.findall(r"^(cuda|hip)\b[^=\n]*= *'([^']+)'", text, re.MULTILINE))
    return TorchBuild(version, found.get("cuda"), found.get("hip"))
