"""A real cluster of three nodes: the same bits as one machine, and nothing lost, doubled or mixed when things end."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.real_study import HEAD, Study, finish, kill, protocol_text, stop_everything, wait_for
from tests.helpers.slurm_cluster import Cluster, find_obstacle, running_cluster

OBSTACLE = find_obstacle()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.slurm,
    pytest.mark.timeout(180),
    pytest.mark.skipif(OBSTACLE is not None, reason=f"no Slurm: {OBSTACLE}"),
]

ON_SLURM = """\
executor = "slurm"
workers = 3
[slurm]
cpus = 4
time = "30"
"""
"""A job fills a node: three jobs are on three machines."""


ONE_MACHINE = "slots_per_device = 1\n"
LONG_HEAD = HEAD.replace(ONE_MACHINE, "").replace("epochs = 4", "epochs = 30")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture
def study(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SQUEUE_FORMAT", "%i")
    monkeypatch.setenv("SBATCH_PARTITION", "nowhere")
    file = tmp_path / "small.toml"
    file.write_text(protocol_text(head=HEAD.replace(ONE_MACHINE, "") + ON_SLURM))
    made = Study(file, tmp_path / 'my "studies" %j')
    yield made
    stop_everything(made)
    for name in ("SQUEUE_FORMAT", "SBATCH_PARTITION"):
        monkeypatch.delenv(name)
    cluster.run("scancel", "--user=root")
    wait_for(lambda: not cluster.list_jobs())


@contextmanager
def following(study: Study, *options: str) -> Generator[subprocess.Popen[str]]:
    """The command in the background; it is gone afterwards, however the test ended."""
    started = study.start(*options)
    try:
        yield started
    finally:
        kill([started.pid])
        started.communicate()


def read_attempts(study: Study) -> dict[Path, dict[str, Any]]:
    files = study.folder.glob("runs/*/attempts/[0-9]*/attempt.json")
    return {file.parent: json.loads(file.read_text()) for file in files}


def test_three_nodes_train_the_bits_of_one_machine(study: Study, cluster: Cluster, reference: Study) -> None:
    trained = study.run()
    assert trained.returncode == 0, trained.stderr
    assert study.digests() == reference.digests()
    assert study.metrics() == reference.metrics()
    attempts = read_attempts(study)
    assert set(study.attempts().values()) == {1}
    assert {made["owner"]["host"] for made in attempts.values()} == {"node1", "node2", "node3"}
    assert all(made["job"].endswith(".0") for made in attempts.values())
    assert cluster.list_jobs() == [], "what was still waiting was taken back"


def test_killed_worker_and_killed_supervisor_cost_nothing(study: Study, cluster: Cluster) -> None:
    """The run of the one is tried again, and the jobs of the other are taken over by their name."""
    study.file.write_text(protocol_text("Control", "Init", head=LONG_HEAD + ON_SLURM))
    with following(study) as started:
        claimed = wait_for(lambda: len(found := read_attempts(study)) >= 3 and found, 120.0)
        killed = min(claimed)
        submitted = {job[0] for job in cluster.list_jobs()}
        kill([study.supervisor(), claimed[killed]["owner"]["pid"]])
        status, _, errors = finish(started, 120.0)
    assert status == 0, errors
    assert "starting it again" in errors
    attempts = study.attempts()
    assert {run: tries for run, tries in attempts.items() if tries > 1} == {killed.parents[1].name: 2}
    assert len(study.digests()) == len(attempts)
    jobs = {made["job"].partition(".")[0] for made in read_attempts(study).values()}
    assert len(jobs & submitted) == 3, "those that lived went on"
    assert len(jobs) <= 4, "and only the one that had ended was replaced"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('slurm.partition="nope"', "slurm.partition: Slurm refuses the job (invalid partition specified: nope"),
        ('slurm.gres="gpu:9"', "slurm: Slurm refuses the job"),
        ('slurm.gres="fpga:1"', "slurm.gres: Slurm refuses the job"),
        ('slurm.extra=["--constraint=h100"]', "slurm.extra: Slurm refuses the job"),
    ],
)
def test_refused_request_is_a_fault_of_its_key(study: Study, setting: str, said: str) -> None:
    done = study.run("--set", setting)
    assert (done.returncode, study.folder.exists()) == (2, False)
    assert said in " ".join(done.stderr.split())


def test_jobs_that_will_never_start_say_so_and_are_cancelled_without_a_supervisor(
    study: Study, cluster: Cluster
) -> None:
    with following(study, "--set", 'slurm.time="5:00:00"'):
        said = "will never start: slurm.time is over the partition's limit"
        wait_for(lambda: said in study.run_command("status", str(study.folder)).stdout)
    assert {job[1] for job in cluster.list_jobs()} == {"PENDING"}
    kill([study.supervisor()])
    done = study.run_command("cancel", str(study.folder))
    assert (done.returncode, "3 jobs that waited in Slurm's queue are cancelled" in done.stderr) == (0, True)
    assert cluster.list_jobs() == []
