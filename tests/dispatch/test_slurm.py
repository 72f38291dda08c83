"""Executor slurm against commands that answer as Slurm's do: jobs, waits, refusals, and a controller that is away.

tests/end_to_end/test_slurm.py has a real cluster.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from engine.dispatch.executors import slurm_queue
from engine.dispatch.executors.base import WorkerRequest
from engine.dispatch.executors.registry import open_executor
from engine.dispatch.executors.slurm import GONE, SlurmExecutor, name_jobs
from engine.dispatch.executors.slurm_queue import MOST_CALLS, PERIOD_S, clean_environment, parse_jobs
from engine.dispatch.executors.slurm_script import parse_duration, write_run, write_script
from engine.dispatch.executors.slurm_words import explain_refusal, explain_wait, is_passing, is_refusal
from engine.errors import NondetError
from engine.protocol.faults import ProtocolError
from engine.protocol.load import parse_protocol
from engine.study.paths import StudyPaths
from engine.study.study_plan import SlurmSettings
from tests.helpers.records import make_attempt
from tests.helpers.slurm_answers import Controller, answer_for_slurm

ON_SLURM = ('dispatch.executor="slurm"', 'dispatch.devices="cuda"', "dispatch.workers=2")


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch) -> Controller:
    return answer_for_slurm(monkeypatch)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]

    def read() -> float:
        now[0] += 0.001
        return now[0]

    monkeypatch.setattr(time, "monotonic", read)
    return now


@pytest.fixture
def request_for(tmp_path: Path) -> WorkerRequest:
    return WorkerRequest(StudyPaths(tmp_path / "study"), "session")


def make_executor(**settings: Any) -> SlurmExecutor:
    return SlurmExecutor("cuda", SlurmSettings(**settings), 2)


def test_job_is_followed_from_the_queue_to_its_end(
    controller: Controller, clock: list[float], request_for: WorkerRequest
) -> None:
    worker = make_executor().start_worker("slurm:0", request_for)
    assert (worker.poll(), worker.describe().state) == (None, "starting"), "nobody has said anything yet"
    clock[0] += PERIOD_S
    assert worker.poll() is None
    assert (worker.describe().state, worker.describe().message) == ("waiting", "waiting: other jobs come first")
    controller.jobs["1"] = "RUNNING|None|node2|0|0"
    clock[0] += PERIOD_S
    assert worker.poll() is None
    shown = worker.describe()
    assert (shown.state, shown.host, shown.job, shown.message) == ("training", "node2", "1", None)
    controller.jobs["1"] = "FAILED|NonZeroExitCode|node2|0|18688"
    assert worker.poll() is None, "the queue is not asked again before its time"
    clock[0] += PERIOD_S
    assert worker.poll() == 73


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("COMPLETED|None|node1|0|0", 0),
        ("TIMEOUT|TimeLimit|node1|0|0", -signal.SIGTERM),
        ("NODE_FAIL|None|node1|0|0", -signal.SIGTERM),
        ("FAILED|JobLaunchFailure|node1|0|9", -signal.SIGKILL),
        (None, GONE),
    ],
)
def test_end_of_a_job_has_a_status(
    controller: Controller, clock: list[float], request_for: WorkerRequest, state: str | None, status: int
) -> None:
    worker = make_executor().start_worker("slurm:0", request_for)
    del controller.jobs["1"]
    if state is not None:
        controller.jobs["1"] = state
    clock[0] += PERIOD_S
    assert worker.poll() == status


def test_job_is_told_to_end_once_however_often_that_is_asked(
    controller: Controller, clock: list[float], request_for: WorkerRequest
) -> None:
    worker = make_executor().start_worker("slurm:0", request_for)
    for at_once in (False, True):
        for _ in range(100):
            worker.stop(at_once=at_once)
    told = [arguments for arguments in controller.asked if arguments[0] == "scancel"]
    assert told == [["scancel", "1"], ["scancel", "--signal=KILL", "1"]]
    clock[0] += slurm_queue.HURRY_S
    assert worker.poll() == -signal.SIGTERM, "answers are waited for less long"


@pytest.mark.usefixtures("clock")
def test_jobs_of_a_supervisor_that_died_are_taken_over_and_none_is_submitted_twice(
    controller: Controller, request_for: WorkerRequest
) -> None:
    controller.jobs = {"7": "RUNNING|None|node1|0|0", "8": "PENDING|Resources||1|0", "6": "COMPLETED|None|node1|0|0"}
    executor = make_executor()
    executor.workers = 3
    workers = [executor.start_worker(place, request_for) for place in executor.places]
    assert [worker.job for worker in workers] == ["7", "8", "4"]
    assert controller.count("sbatch") == 1
    question = next(arguments for arguments in controller.asked if arguments[0] == "squeue")
    assert f"--name={name_jobs(request_for.paths)}" in question


def test_controller_that_is_away_is_waited_for(
    controller: Controller, clock: list[float], request_for: WorkerRequest
) -> None:
    executor = make_executor()
    controller.away = "Unable to contact slurm controller (connect failure)"
    first = executor.start_worker("slurm:0", request_for)
    assert (first.poll(), first.describe().state) == (None, "waiting")
    assert "Unable to contact" in (first.describe().message or "")
    controller.away = None
    clock[0] += PERIOD_S + 1
    assert (first.poll(), first.job) == (None, "1")
    controller.jobs["1"] = "RUNNING|None|node1|0|0"
    clock[0] += PERIOD_S + 1
    assert first.poll() is None
    controller.away = "Unable to contact slurm controller (connect failure)"
    controller.jobs.clear()
    for _ in range(5):
        clock[0] += PERIOD_S + 1
        assert first.poll() is None, "no answer says nothing about a job"
    assert "Slurm does not answer" in (first.describe().message or "")


@pytest.mark.usefixtures("clock")
def test_refusal_for_good_is_a_fault_of_its_key(controller: Controller, request_for: WorkerRequest) -> None:
    controller.refusal = "sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job failed\n"
    with pytest.raises(NondetError, match=r"^slurm\.partition: .*nope.*`sinfo` lists"):
        make_executor(partition="nope").start_worker("slurm:0", request_for)


def test_squeue_is_asked_six_times_a_minute_for_any_number_of_places(
    controller: Controller, clock: list[float], request_for: WorkerRequest
) -> None:
    executor = make_executor()
    executor.workers = 64
    workers = [executor.start_worker(place, request_for) for place in executor.places]
    queue, before, began = workers[0].queue, controller.count("squeue"), clock[0]
    while clock[0] - began < 300.0:
        clock[0] += 0.2
        queue.expect()  # as if jobs were submitted all the time
        for worker in workers:
            assert worker.poll() is None
    assert 25 <= controller.count("squeue") - before <= 5 * MOST_CALLS + 1


@pytest.mark.usefixtures("clock")
def test_attempts_are_judged_by_their_jobs(controller: Controller, request_for: WorkerRequest) -> None:
    executor = make_executor()
    run = request_for.paths.run("r")
    attempts = {
        run.attempt(number): make_attempt(job=job)
        for number, job in enumerate(("1.0", "2.0", "3.0", "3.1", "4.0", "9.0", None), start=1)
    }
    assert executor.judge(attempts) == {}, "nobody has been asked"
    executor.start_worker("slurm:0", request_for)
    controller.jobs = {
        "1": "RUNNING|None|node1|0|0",
        "2": "TIMEOUT|TimeLimit|node1|0|0",
        "3": "RUNNING|None|node1|1|0",
        "4": "PENDING|BeginTime||1|0",
    }
    queue = next(iter(executor.queues.values()))
    assert queue.ask_now()
    said = {attempt.number: reason for attempt, reason in executor.judge(attempts).items()}
    assert said == {
        2: "job 2 has ended (TIMEOUT)",
        3: "job 3 was put back into Slurm's queue",
        5: "job 4 was put back into Slurm's queue",
        6: "job 9 is no longer in Slurm's queue",
    }
    controller.away = "Unable to contact slurm controller"
    assert not queue.ask_now()
    assert executor.judge(attempts) == {}


def test_line_of_squeue_in_another_form_is_left_out() -> None:
    text = "12|RUNNING|None|node1|2|0|\n\nslurm_load_jobs error\nx|y|z|\n13_4|RUNNING|None|n|0|0|\n"
    assert {job.id: job.restarts for job in parse_jobs(text).values()} == {"12": 2}


def test_variables_of_a_job_do_not_reach_slurms_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"SLURM_CONF": "/etc/slurm.conf", "PYTHONPATH": "/x"}
    for name, value in kept.items():
        monkeypatch.setenv(name, value)
    for name in ("SLURM_JOB_ID", "SBATCH_PARTITION", "SQUEUE_FORMAT", "SRUN_DEBUG"):
        monkeypatch.setenv(name, "1")
    found = clean_environment()
    assert kept.items() <= found.items()
    assert not {"SLURM_JOB_ID", "SBATCH_PARTITION", "SQUEUE_FORMAT", "SRUN_DEBUG"} & found.keys()


SCRIPT = r"""#!/bin/bash
#SBATCH --job-name=nondet-1
#SBATCH --output="/a \"b\"/%j.log"
#SBATCH --open-mode=append
#SBATCH --chdir=/
#SBATCH --requeue
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --partition=gpu
#SBATCH --time=08:00:00
#SBATCH --gres=gpu:1
#SBATCH --mem=16G
#SBATCH --constraint=h100
module load cuda
left=$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%L 2>/dev/null)
exec srun --ntasks=1 --cpus-per-task=4 python -m worker '/a b' --time-left "${left:-UNLIMITED}"
"""


def test_script_is_what_is_asked_for() -> None:
    wanted = SlurmSettings(
        partition="gpu",
        time="08:00:00",
        gres="gpu:1",
        cpus=4,
        mem="16G",
        setup=("module load cuda",),
        extra=("--constraint=h100",),
    )
    command = ["python", "-m", "worker", "/a b"]
    assert write_script(wanted, name="nondet-1", log=Path('/a "b"/%j.log'), command=command) == SCRIPT
    trial = write_run(wanted, name="trial", command=command)
    assert trial[:2] == ["srun", "--job-name=trial"]
    assert "--time=60" in trial, "a short request is placed sooner"
    assert trial[-1] == "module load cuda\nexec python -m worker '/a b'"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("10:30", 630),
        ("08:00:00", 28_800),
        ("1-12", 129_600),
        ("2-01:02:03", 176_523),
        ("UNLIMITED", None),
        ("INVALID", None),
        ("", None),
    ],
)
def test_times_are_read_as_slurm_writes_them(text: str, seconds: int | None) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("sbatch: error: invalid partition specified: x", "slurm.partition"),
        ("sbatch: error: Invalid generic resource (gres) specification", "slurm.gres"),
        ("sbatch: error: Invalid account or account/partition combination specified", "slurm.account"),
        ("sbatch: error: Invalid qos specification", "slurm.qos"),
        ("sbatch: error: Invalid --time specification", "slurm.time"),
        ("sbatch: error: Memory specification can not be satisfied", "slurm.mem"),
        ("sbatch: error: CPU count per node can not be satisfied", "slurm.cpus"),
        ("sbatch: unrecognized option '--foo'\nTry \"sbatch --help\" for more information", "slurm.extra"),
        ("allocation failure: Invalid feature specification", "slurm.extra"),
        ("sbatch: error: Requested node configuration is not available", "slurm"),
        ("sbatch: error: something new", "slurm"),
    ],
)
def test_refusals_name_their_key(said: str, key: str) -> None:
    assert explain_refusal(said).startswith(f"{key}: Slurm refuses the job (")
    assert not is_passing(said)


def test_controller_that_is_away_refuses_nothing() -> None:
    said = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"
    found = explain_refusal(said)
    assert found.startswith("slurm: Slurm takes no job now (Batch job submission failed: Unable to contact slurm")
    assert "sinfo" in found


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ("srun: error: Invalid generic resource (gres) specification\n", True),
        ("srun: error: invalid partition specified: x\nsrun: error: Unable to allocate resources: Invalid\n", True),
        ("srun: error: node1: task 0: Killed\nsrun: Terminating StepId=4.0\n", False),
        ("srun: job 4 queued and waiting for resources\nModuleNotFoundError: torch\n", False),
        ("", False),
    ],
)
def test_only_what_srun_says_before_any_task_is_a_refusal(said: str, *, refused: bool) -> None:
    assert is_refusal(said) is refused


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("Resources", "waiting: the partition is full"),
        ("PartitionTimeLimit", "will never start: slurm.time is over the partition's limit"),
        ("BeginTime", "waiting: its node was lost or needed by others, and Slurm starts it again in about two minutes"),
        ("QOSMaxJobs", "waiting: a limit of the user, the account or the QOS is reached (QOSMaxJobs)"),
        ("ReqNodeNotAvail, UnavailableNodes:node1", "waiting: nodes that it needs are down or reserved"),
        ("SomethingNew", "waiting: SomethingNew"),
    ],
)
def test_waits_are_told_in_words(reason: str, said: str) -> None:
    assert explain_wait(reason) == said


def test_protocol_asks_for_a_cluster(protocol_text: str) -> None:
    overrides = (*ON_SLURM, 'slurm.gres="gpu:1"', 'slurm.setup=["module load cuda"]')
    protocol = parse_protocol(protocol_text, file="tiny.toml", overrides=overrides)
    executor = open_executor(protocol.dispatch)
    assert (executor.device, list(executor.places)) == ("cuda", ["slurm:0", "slurm:1"]), "whatever this machine has"
    script = executor.describe_submission(StudyPaths(Path("/store/tiny"))) or ""
    assert "#SBATCH --gres=gpu:1\nmodule load cuda\n" in script
    plain = parse_protocol(protocol_text, file="tiny.toml", overrides=('slurm.gres="gpu:1"', 'dispatch.devices="cpu"'))
    assert plain.dispatch.executor == "local", "one word makes the difference"
    assert open_executor(plain.dispatch).describe_submission(StudyPaths(Path("/store/tiny"))) is None


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("dispatch.devices=auto", "dispatch.devices"),
        ('dispatch.devices=["cuda:0"]', "dispatch.devices"),
        ("dispatch.slots_per_device=2", "dispatch.slots_per_device"),
        ("dispatch.workers=0", "dispatch.workers"),
        ('slurm.partition="a b"', "slurm.partition"),
        ('slurm.time="tomorrow"', "slurm.time"),
        ('slurm.mem="much"', "slurm.mem"),
        ('slurm.setup=["a\\nb"]', "slurm.setup"),
        ('slurm.extra=["constraint=h100"]', "slurm.extra"),
        ('slurm.extra=["--array=1-5"]', "slurm.extra"),
        ('slurm.extra=["-J", "mine"]', "slurm.extra"),
    ],
)
def test_faulty_requests_are_named(protocol_text: str, override: str, key: str) -> None:
    with pytest.raises(ProtocolError, match=rf"(?s){key.replace('.', '[.]')}"):
        parse_protocol(protocol_text, file="tiny.toml", overrides=(*ON_SLURM, override))


def test_machine_without_slurm_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request_for: WorkerRequest
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NondetError, match="there is no squeue on this machine"):
        make_executor().start_worker("slurm:0", request_for)
