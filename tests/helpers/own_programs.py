"""Studies of a program of one's own, trained by a worker process as the supervisor starts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from engine.dispatch.launch import plan_protocol, prepare_study
from engine.protocol.load import load_protocol
from engine.study.paths import StudyPaths
from engine.study.processes import PROC, list_pids
from engine.study.records import find_record
from engine.study.run_records import ExitRecord
from engine.study.run_state import read_result
from engine.study.study_plan import read_plan

PROTOCOL = """
[protocol]
name = "own"
replicas = 3
[command]
run = ["{python}", "-S", "program.py", "{arm.mode}", "{seed.init}", "{out}"]
files = ["program.py"]
[dispatch]
devices = "cpu"
slots_per_device = 1
"""


def add_arm(mode: str, *, vary: str = '["init"]', replicas: int = 1) -> str:
    return f'[[arm]]\nname = "{mode}"\nvary = {vary}\nreplicas = {replicas}\narguments = {{ mode = "{mode}" }}\n'


def prepare(tmp_path: Path, program: str, arms: str, *, settings: str = "") -> StudyPaths:
    """Plan a study of a program, whose first argument is the arm's mode."""
    (tmp_path / "program.py").write_text(program)
    file = tmp_path / "own.toml"
    file.write_text(PROTOCOL.replace("[dispatch]", f"{settings}\n[dispatch]") + arms)
    protocol = load_protocol(file)
    return prepare_study(protocol, plan_protocol(protocol), store=str(tmp_path / "store"))


def start_worker(paths: StudyPaths) -> subprocess.Popen[bytes]:
    arguments = ["worker", str(paths.folder), "--slot", "cpu:0", "--session", "s"]
    return subprocess.Popen([sys.executable, "-P", "-m", "engine.training", *arguments], start_new_session=True)


def run_worker(paths: StudyPaths) -> None:
    assert start_worker(paths).wait(timeout=100) == 0


def find_arm(paths: StudyPaths, name: str) -> list[str]:
    return list(next(arm.runs for arm in read_plan(paths).arms if arm.name == name))


def read_reason(paths: StudyPaths, name: str) -> str:
    run = paths.run(find_arm(paths, name)[-1])
    ended = find_record(run.list_attempts()[-1].exit, ExitRecord)
    assert read_result(run) is None
    assert ended is not None
    return ended.reason


def list_processes_of(paths: StudyPaths) -> list[int]:
    """Return the processes that hold the study's folder in their words."""
    found: list[int] = []
    for pid in list_pids():
        try:
            words = (PROC / str(pid) / "cmdline").read_bytes()
        except OSError:
            continue
        if str(paths.runs).encode() in words:
            found.append(pid)
    return found
