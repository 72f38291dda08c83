"""Users' code that leaves, crashes or leaves something behind: one clear line for its run, and all others go on."""

from __future__ import annotations

import json

import pytest

from tests.helpers.real_study import Study, all_pids, command_line, protocol_text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

NETS = """
import os, signal, subprocess, sys, threading, time
import torch
from torch import nn

class Mute(Exception):
    def __str__(self): raise RuntimeError("no text either")

def exits(): os._exit(3)
def crashes(): os.kill(os.getpid(), signal.SIGSEGV)
def leaves(): sys.exit(4)
def interrupts(): raise KeyboardInterrupt
def mute(): raise Mute
def closes(): os.closerange(0, 1000)
def moves(): os.chdir("/")
def masks(): signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
def threads(): threading.Thread(target=time.sleep, args=(1000,)).start()
def forks():
    if os.fork() == 0:
        os.setsid()
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(1000)", FOLDER])
FOLDER = os.path.dirname(__file__)

class Net(nn.Module):
    def __init__(self, classes, what):
        super().__init__()
        self.layers, self.what, self.calls = nn.Sequential(nn.Flatten(), nn.Linear(64, classes)), what, 0
    def forward(self, x):
        self.calls += 1
        if self.calls == 12: globals()[self.what]()
        return self.layers(x)

WHAT = {what}
def build(input_shape, classes): return Net(classes, WHAT[torch.initial_seed() % len(WHAT)])
"""

ENDS = {
    "exits": ("exited with status 3", 2),
    "crashes": ("ended by signal 11 (SIGSEGV)", 2),
    "leaves": ("raised SystemExit: 4", 2),
    "interrupts": ("raised KeyboardInterrupt", 2),
    "mute": ("Mute", 1),
}
"""What ends a run, the words for it, and how often it is tried."""

HARMLESS = ("closes", "moves", "masks", "threads", "forks")


def test_each_end_is_one_line_and_costs_its_own_run_alone(study: Study) -> None:
    """The network's seed says what its code does: that of a replica is its number."""
    folder, what = study.file.parent, (*HARMLESS, *ENDS)
    (folder / "nets.py").write_text(NETS.replace("{what}", repr(what)))
    text = protocol_text("Init").replace('preset = "resnet6"\nwidth = 0.25', 'target = "nets:build"')
    study.file.write_text(text)
    done = study.run("--replicas", str(len(what)))
    assert done.returncode == 1, done.stderr
    (arm,) = study.read("plan.json")["arms"]
    for replica, run in enumerate(arm["runs"], start=1):
        name = what[replica % len(what)]
        attempts = sorted((study.folder / "runs" / run / "attempts").iterdir())
        if name in HARMLESS:
            assert run in study.results(), name
            assert len(attempts) == 1, name
            continue
        reason, tries = ENDS[name]
        ended = json.loads((attempts[-1] / "exit.json").read_text())
        assert (ended["reason"], ended["cause"], len(attempts)) == (reason, "fault", tries), name
        told = f"Init, replica {replica}: failed: {reason} "
        assert sum(line.startswith(told) for line in done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert study.workers() == []
    assert not [pid for pid in all_pids() if command_line(pid).rstrip().endswith(f"sleep(1000) {folder}")]
