"""A real Slurm cluster of three simulated nodes with two pretended GPUs each, on this machine, without systemd.

It needs Debian's slurmctld, slurmd, slurm-client and munge, and root. Each node's daemon has a host name of its own,
so that the processes of its jobs are another machine's for claims. Ports are free ones, and all files are in a folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

NEEDED = ("slurmctld", "slurmd", "sbatch", "munged", "unshare")
NODES, CPUS, GPUS = 3, 4, 2
PATIENCE_S = 30.0

CONF = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
ReturnToService=2
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1,sched_min_interval=100000
SlurmctldTimeout=10
SlurmdTimeout=10
KillWait=3
InactiveLimit=0
MinJobAge=300
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PrologFlags=Alloc
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=60 State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=5
PartitionName=urgent Nodes=ALL MaxTime=60 State=UP PriorityTier=10 PreemptMode=OFF
"""


def find_obstacle() -> str | None:
    """Say why there can be no cluster here; None where there can."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [name for name in NEEDED if shutil.which(name, path=path) is None]
    if missing:
        return f"{', '.join(missing)} not installed: apt-get install slurmctld slurmd slurm-client munge"
    return None if os.geteuid() == 0 else "a cluster is started by root alone"


def find_free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


def has_words(pid: int) -> bool:
    """Tell whether a process still is at work: one that has ended, and that nobody has asked how, has no words."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up; its commands need `environment`."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}

    def run(self, *command: str, text: str = "") -> str:
        """Run one of Slurm's commands; return what it prints."""
        environment = dict(os.environ) | self.environment
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, env=environment, timeout=PATIENCE_S, check=True
        )
        return done.stdout

    def list_jobs(self, *states: str) -> list[list[str]]:
        """Number, state, name and restarts of the jobs in some states, of all that have not ended without any."""
        wanted = f"--states={','.join(states)}" if states else "--states=PD,R,CG,CF,S"
        lines = self.run("squeue", "-h", wanted, "-O", "JobID:|,State:|,Name:|,RestartCnt:|").splitlines()
        return [line.split("|")[:4] for line in lines]

    def write(self) -> None:
        for name in ("state", "spool", "log", "dev"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "cgroup.conf").write_text("ConstrainDevices=no\n")
        nodes = [
            f"NodeName=node{number} NodeHostname=localhost NodeAddr=127.0.0.1 Port={find_free_port()} CPUs={CPUS} "
            f"RealMemory=2000 Gres=gpu:{GPUS} State=UNKNOWN"
            for number in range(1, NODES + 1)
        ]
        for gpu in range(GPUS):  # of a plain file, no CUDA_VISIBLE_DEVICES would be made
            os.mknod(self.folder / "dev" / f"gpu{gpu}", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        devices = f"{self.folder}/dev/gpu[0-{GPUS - 1}]"
        (self.folder / "gres.conf").write_text(f"NodeName=node[1-{NODES}] Name=gpu File={devices}\n")
        text = CONF.format(port=find_free_port(), folder=self.folder, nodes="\n".join(nodes))
        (self.folder / "slurm.conf").write_text(text)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)

    def start(self) -> None:
        parts = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munged.pid", "seed-file": "munge.seed"}
        named = [f"--{option}={self.folder / name}" for option, name in parts.items()]
        self.run("munged", "--force", *named, f"--log-file={self.folder}/log/munged.log")
        self.start_controller()
        for number in range(1, NODES + 1):
            self.start_node(f"node{number}")
        deadline = time.monotonic() + PATIENCE_S
        while self.run("sinfo", "-h", "-p", "main", "-t", "idle", "-o", "%D").strip() != str(NODES):
            assert time.monotonic() < deadline, f"the cluster does not come up: see {self.folder}/log"
            time.sleep(0.05)

    def start_controller(self) -> None:
        self.run("slurmctld", "-f", self.environment["SLURM_CONF"])

    def start_node(self, name: str) -> None:
        (self.folder / "spool" / name).mkdir(exist_ok=True)
        body = 'hostname "$1"; exec slurmd -N "$1" -f "$2"'
        self.run("unshare", "--uts", "sh", "-c", body, "sh", name, self.environment["SLURM_CONF"])

    def kill(self, daemon: str) -> None:
        """Kill a daemon: slurmctld, munged, or slurmd-NODE; return when it is gone."""
        try:
            pid = int((self.folder / f"{daemon}.pid").read_text())
            os.kill(pid, signal.SIGKILL)
        except (OSError, ValueError):
            return
        deadline = time.monotonic() + PATIENCE_S
        while has_words(pid) and time.monotonic() < deadline:
            time.sleep(0.02)

    def stop(self) -> None:
        with contextlib.suppress(subprocess.SubprocessError):
            self.run("scancel", "--user=root")
            self.run("scancel", "--user=root", "--signal=KILL")
        deadline = time.monotonic() + PATIENCE_S
        with contextlib.suppress(subprocess.SubprocessError):
            while self.list_jobs() and time.monotonic() < deadline:
                time.sleep(0.1)
        # No job is left, and nobody reads what they would write at a gentle end, which takes twelve seconds.
        for daemon in (*(f"slurmd-node{number}" for number in range(1, NODES + 1)), "slurmctld", "munged"):
            self.kill(daemon)


@contextlib.contextmanager
def running_cluster(folder: Path) -> Generator[Cluster]:
    """Start a cluster in a folder that is empty or not there; end it with the context."""
    cluster = Cluster(folder)
    cluster.write()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
