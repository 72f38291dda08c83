"""Says in words what Slurm says in codes: why a job waits, how it ended, and why a request was refused."""

from __future__ import annotations

import re

WAITING = {
    "Resources": "the partition is full",
    "Priority": "other jobs come first",
    "BeginTime": "its node was lost or needed by others, and Slurm starts it again in about two minutes",
    "Dependency": "it depends on another job",
    "JobHeldUser": "it is held: `scontrol release` lets it go",
    "JobHeldAdmin": "it is held by an administrator",
    "Licenses": "no licence is free",
    "Reservation": "its reservation has not begun",
    "ReqNodeNotAvail": "nodes that it needs are down or reserved",
    "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions": (
        "nodes that it needs are down or reserved"
    ),
    "NodeDown": "its node is down",
    "PartitionDown": "the partition is closed",
    "PartitionInactive": "the partition is closed",
    "None": "Slurm has not looked at it yet",
}
"""Reason of squeue → why a job has not started."""

NEVER = {
    "PartitionTimeLimit": "slurm.time is over the partition's limit",
    "PartitionNodeLimit": "it asks for more than the partition has",
    "PartitionConfig": "the partition does not take such jobs: see slurm.time and slurm.partition",
    "BadConstraints": "no node has what slurm.extra asks for",
    "QOSMaxWallDurationPerJobLimit": "slurm.time is over the limit of slurm.qos",
    "AssocMaxWallDurationPerJobLimit": "slurm.time is over the account's limit",
    "QOSMaxCpuPerJobLimit": "slurm.cpus is over the limit of slurm.qos",
    "QOSMaxGRESPerJob": "slurm.gres is over the limit of slurm.qos",
    "QOSMaxMemoryPerJob": "slurm.mem is over the limit of slurm.qos",
    "AccountNotAllowed": "the partition is not for slurm.account",
    "QOSNotAllowed": "the partition is not for slurm.qos",
    "JobArrayTaskLimit": "too many tasks of an array",
    "InvalidAccount": "slurm.account is not valid",
    "InvalidQOS": "slurm.qos is not valid",
    "DependencyNeverSatisfied": "what it depends on has failed",
}
"""Reason of squeue → why a job will not start as it is."""

LIMITED = re.compile(r"^(QOS|Assoc|MaxJobs|MaxSubmit)")
"""Reasons that are about how much of the cluster a user or an account may use at once."""

REFUSED = (
    (r"invalid partition|partition name|partition specified", "slurm.partition", "`sinfo` lists the partitions"),
    (r"account", "slurm.account", "`sacctmgr show associations user=$USER` lists your accounts"),
    (r"qos", "slurm.qos", "`sacctmgr show qos` lists them"),
    (r"generic resource|gres", "slurm.gres", "`sinfo -o %G` lists what the nodes have"),
    (r"time (limit|specification)|--time", "slurm.time", "`sinfo -o '%P %l'` lists the partitions' limits"),
    (r"memory", "slurm.mem", "`sinfo -o '%n %m'` lists the nodes' memory"),
    (r"cpu count|cpus-per-task", "slurm.cpus", "`sinfo -o '%n %c'` lists the nodes' cores"),
    (r"feature|constraint|unrecognized option|invalid option|ambiguous", "slurm.extra", "repair or remove the option"),
    (
        r"node configuration",
        "slurm",
        "no node has what gres, cpus and mem ask for together: `sinfo -o '%P %c %m %G'` lists what there is",
    ),
)
"""What sbatch says, the key that it is about, and what to do."""

PASSING = re.compile(
    r"unable to contact|timed out|temporarily|try again|connection refused|zero bytes|communication|socket"
    r"|submit job limit|slurmctld|too many|protocol authentication|accounting/qos policy",
    re.IGNORECASE,
)
"""What is said by a controller that is down or busy, or of a limit that is over in a while."""


def explain_wait(reason: str) -> str:
    """Return why a job has not started, as the monitor shows it."""
    code = reason.strip("()").partition(",")[0]
    if code in NEVER:
        return f"will never start: {NEVER[code]}"
    if code in WAITING:
        return f"waiting: {WAITING[code]}"
    if LIMITED.match(code):
        return f"waiting: a limit of the user, the account or the QOS is reached ({code})"
    return f"waiting: {reason}"


def explain_refusal(said: str) -> str:
    """Return a fault with the key that a request was refused for, from what sbatch or srun said."""
    lines = [line for line in said.splitlines() if line.strip() and "--help" not in line]
    shown = "; ".join(re.sub(r"^(sbatch|srun): (error: )?", "", line) for line in lines[:2]) or "no reason was given"
    for pattern, key, remedy in REFUSED:
        if re.search(pattern, said, re.IGNORECASE):
            return f"{key}: Slurm refuses the job ({shown}): {remedy}"
    if is_passing(said):
        return f"slurm: Slurm takes no job now ({shown}): try again once `sinfo` answers"
    return f"slurm: Slurm refuses the job ({shown}): repair what it names; `man sbatch` explains it"


def is_refusal(said: str) -> bool:
    """Tell whether srun alone has spoken, and of no task: then nothing was started."""
    lines = [line for line in said.splitlines() if line.strip()]
    return bool(lines) and all(line.startswith("srun: ") and ": task " not in line for line in lines)


def is_passing(said: str) -> bool:
    """Tell whether a refusal may be over in a while: the controller is away or busy, or a limit is reached."""
    return bool(PASSING.search(said))
