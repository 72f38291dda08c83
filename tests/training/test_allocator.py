"""Freed memory that a process keeps: the pages that the system has to clear for it are counted."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

COUNT = """
import ctypes
import resource
import sys
import torch
from engine.training.allocator import MMAP_THRESHOLD, give_freed_memory_back, keep_freed_memory

if sys.argv[1] == "kept":
    assert keep_freed_memory()
else:
    ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, 128 * 1024)  # where the library begins

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    return int(open("/proc/self/statm").read().split()[1])

def use():
    layers = [torch.zeros(500_000)]
    for _ in range(8):
        layers.append(layers[-1] + 1)
    while layers:
        layers.pop()

torch.set_num_threads(1)
for _ in range(10):
    use()
before = faults()
for _ in range(10):
    use()
print(faults() - before)
full = resident()
give_freed_memory_back()
print(full - resident())
"""
USED_PAGES = 9 * 2_000_000 // 4096


def count(setting: str) -> tuple[int, int]:
    """Return the page faults of ten times the same memory, and the pages that are given back in the end."""
    done = subprocess.run([sys.executable, "-c", COUNT, setting], capture_output=True, text=True, check=True)
    faults, given_back = map(int, done.stdout.split())
    return faults, given_back


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library decides for itself")
def test_freed_memory_is_kept_until_it_is_given_back() -> None:
    mapped, kept = count("mapped"), count("kept")
    assert mapped[0] >= 9 * USED_PAGES
    assert mapped[1] < USED_PAGES / 2
    assert kept[0] <= 4 * USED_PAGES, "pages of four uses of ten at most: which blocks fit differs a little"
    assert kept[1] >= USED_PAGES / 2
