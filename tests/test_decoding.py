"""Records are read in several threads at once, from the first moment of a process on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.decoding import convert, decode_json
from engine.study.processes import Owner

KEPT = Path(__file__).parent / "study" / "kept"

RACE = """
import sys, threading, time
from pathlib import Path
from engine.study.study_plan import StudyPlan
from engine.study.records import Damage, decode_record

content = Path(sys.argv[1]).read_bytes()
sys.setswitchinterval(1e-6)
barrier = threading.Barrier(8)

def read(number):
    barrier.wait()
    time.sleep(number * 0.0002)
    assert isinstance(decode_record(content, StudyPlan), StudyPlan)

threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""

ROUNDS = 12
"""Without the lock, about one process in five ended here with a segmentation fault."""


@pytest.mark.slow
def test_first_reads_of_a_type_may_happen_at_once() -> None:
    command = [sys.executable, "-P", "-c", RACE, str(KEPT / "plan.json")]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(ROUNDS)]
    for process in started:
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, b"")


def test_values_become_what_is_asked_for() -> None:
    owner = {"host": "a", "boot_id": "b", "pid_namespace": "c", "pid": 1, "start_ticks": 2}
    assert convert(owner, Owner) == Owner("a", "b", "c", 1, 2)
    assert decode_json(b"[1, 2]", list[int]) == [1, 2]
    with pytest.raises(ValueError, match="pid"):
        convert({**owner, "pid": "x"}, Owner)
