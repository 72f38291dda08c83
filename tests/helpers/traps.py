"""Programs of one's own that go wrong in the usual ways, and what `nondet-tui check` says of each."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nondet_report

PROGRAM = """
import os, random, signal, subprocess, sys, time
seed, out = int(sys.argv[1]), sys.argv[2]
sys.path.insert(0, HELPER)
import nondet_report as report
labels = [i % 3 for i in range(12)]
BEFORE
rng = random.Random(seed)
logits = [[rng.gauss(2.0 * (c == i % 3), 1.0) for c in range(3)] for i in range(12)]
AFTER
report.done(logits, labels)
LAST
"""

PROTOCOL = """
[protocol]
name = "trap"
replicas = 2
[command]
run = ["{python}", "-S", "train.py", "{seed.init}", "{out}"]
files = ["train.py"]
SETTINGS
[dispatch]
devices = "cpu"
[[arm]]
name = "Weights"
vary = ["init"]
"""

NAMES = ["ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen", "ibis", "jay", "kite", "lynx"]


@dataclass(frozen=True)
class Trap:
    """One program that goes wrong."""

    before: str = ""
    """What it does before it trains."""
    after: str = ""
    """What it does between training and handing over."""
    last: str = ""
    """What it does at its end."""
    settings: str = ""
    """Keys of its [command]."""


CLASSES = f"labels = [list(set({NAMES})).index(name) % 3 for name in {NAMES}]"

TRAPS = {
    "ignores its seed": Trap(before="seed = 0"),
    "takes the time as its seed": Trap(before="seed = time.time_ns()"),
    "shuffles its test set by the seed": Trap(after="random.Random(seed).shuffle(labels)"),
    "numbers its classes from a `set` of names": Trap(before=CLASSES),
    'the same with `PYTHONHASHSEED = "random"`': Trap(
        before=CLASSES, settings='environment = { PYTHONHASHSEED = "random" }'
    ),
    "hangs, with `timeout_s = 2`": Trap(before="time.sleep(600)", settings="timeout_s = 2"),
    "leaves a process behind": Trap(
        last='subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", out], start_new_session=True)'
    ),
    "is killed": Trap(before='print("epoch 1", flush=True)\nos.kill(os.getpid(), signal.SIGKILL)'),
    "fills the disk": Trap(after='open("/dev/full", "w", buffering=1).write("weights\\n")'),
    "prints 100 MB": Trap(after='for _ in range(100): sys.stdout.write("x" * 1_000_000)'),
    "writes half an array": Trap(last='os.truncate(out + "/predictions.npy", 200)'),
    "ends well without a file": Trap(before="sys.exit()"),
    "has a bug": Trap(before="labels.shape"),
}
"""What a program does → how."""


def write_trap(trap: Trap, folder: Path) -> Path:
    """Write a program and its protocol; return the protocol's file."""
    code = PROGRAM.replace("HELPER", repr(str(Path(nondet_report.__file__).parent)))
    for place, text in (("BEFORE", trap.before), ("AFTER", trap.after), ("LAST", trap.last)):
        code = code.replace(f"\n{place}\n", f"\n{text}\n")
    (folder / "train.py").write_text(code)
    file = folder / "trap.toml"
    file.write_text(PROTOCOL.replace("SETTINGS", trap.settings))
    return file


def meet(trap: Trap, folder: Path) -> str:
    """Return what `check` says of a program, as a user reads it; digests and paths are shortened."""
    file = write_trap(trap, folder)
    words = ["check", str(file), "--store", str(folder / "store")]
    run = "import sys; from tui.cli import main; sys.exit(main(sys.argv[1:]))"
    variables = dict(os.environ) | {"COLUMNS": "10000", "NONDET_LEASES": str(folder / "leases")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", run, *words], capture_output=True, text=True, check=False, env=variables
    )
    return find_sentence(done.stdout, done.stderr)


def find_sentence(out: str, errors: str) -> str:
    """Return the sentence of a check that says what is wrong; that nothing is where that is so."""
    wrong = [line for line in errors.splitlines() if re.search(r"self-test (failed|refuses)", line)]
    found = [line for line in out.splitlines() if line.startswith("self-test: ")]
    line = wrong[0] if wrong else found[0] if found else (errors or out)
    line = re.sub(r"^.*?(the self-test (?:failed|refuses))", r"\1", line).removeprefix("self-test: ")
    line = re.sub(r"\b[0-9a-f]{12}…", "…", line)
    line = re.sub(r"(differ by|disagree on) [0-9.]+", r"\1 …", line)
    line = re.sub(r"/\S*/out/", "{out}/", line)
    return re.sub(r" \(/.*?/log\.txt\)", "", line).strip()


def format_table(sentences: dict[str, str]) -> str:
    """Return the table of docs/your-training.md: what a program does, and what is read of it."""
    rows = "\n".join(f"| {name} | {escape(sentence)} |" for name, sentence in sentences.items())
    return f"| a program that | `nondet-tui check` says |\n|---|---|\n{rows}\n"


def escape(sentence: str) -> str:
    """Return a sentence as text of a cell."""
    return sentence.replace("|", "\\|").replace("<", "&lt;")
