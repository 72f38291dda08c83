"""Finds out how busy this machine is: processors, memory and GPUs as gauges with a short history each."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tui.app.gpus import read_gpus

PERIOD_S = 5.0
"""Seconds between two looks: over a slow line every change of a gauge costs bytes."""

HISTORY = 24
"""Looks that are remembered."""


@dataclass(frozen=True)
class Gauge:
    """One part of the machine."""

    name: str
    busy: float
    """Percent of what it could do."""
    text: str
    """What else there is to know."""
    history: tuple[float, ...]
    """`busy` at the latest looks, the oldest first."""


@dataclass
class Machine:
    """Looks at the machine now and then; see `look`."""

    proc: Path = Path("/proc")
    looked_at: float = -PERIOD_S
    gauges: tuple[Gauge, ...] = ()
    _times: tuple[float, float] | None = None
    _history: dict[str, deque[float]] = field(default_factory=dict[str, "deque[float]"])

    def look(self) -> tuple[Gauge, ...]:
        """Return the gauges, which are read anew every PERIOD_S; what cannot be read is left out."""
        now = time.monotonic()
        if now - self.looked_at >= PERIOD_S:
            self.looked_at = now
            found = [self._read_processors(), self._read_memory(), *read_gpus()]
            self.gauges = tuple(self._remember(*one) for one in found if one is not None)
        return self.gauges

    def _remember(self, name: str, busy: float, text: str) -> Gauge:
        history = self._history.setdefault(name, deque(maxlen=HISTORY))
        history.append(busy)
        return Gauge(name, busy, text, tuple(history))

    def _read_processors(self) -> tuple[str, float, str] | None:
        """Return how busy the processors have been since the last look, and how many there are."""
        try:
            fields = [float(one) for one in (self.proc / "stat").read_text().split("\n", 1)[0].split()[1:9]]
        except (OSError, ValueError):
            return None
        total, idle = sum(fields), sum(fields[3:5])  # idle, and waiting for disks
        before, self._times = self._times, (total, idle)
        if before is None or total <= before[0]:
            return None
        busy = 100.0 * (1.0 - (idle - before[1]) / (total - before[0]))
        cores = os.cpu_count() or 1
        return "cpu", min(100.0, max(0.0, busy)), f"{cores} core{'s' if cores > 1 else ''}"

    def _read_memory(self) -> tuple[str, float, str] | None:
        try:
            lines = (self.proc / "meminfo").read_text().splitlines()
            sizes = {line.partition(":")[0]: float(line.split()[1]) / 2**20 for line in lines if "kB" in line}
            return _describe_memory(sizes)
        except (OSError, ValueError, LookupError):
            return None


def _describe_memory(sizes: Mapping[str, float]) -> tuple[str, float, str]:
    """Describe the memory from the sizes in /proc/meminfo, in GiB."""
    total = sizes["MemTotal"]
    used = total - sizes["MemAvailable"]
    return "memory", 100.0 * used / total, f"{used:.1f}/{total:.0f} GB"
