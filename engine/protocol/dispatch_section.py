"""The sections [dispatch] and [slurm] of a protocol file, each key declared once; see `sections`.

Nothing in them but packs, and how these compute, is part of a run's identity.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.catalog.executors import EXECUTORS
from engine.protocol import checks
from engine.protocol.checks import choice, flag, number, whole
from engine.protocol.keys import key


@dataclass(frozen=True, kw_only=True)
class Dispatch:
    """[dispatch]: where and how runs are trained; only packs, and how they compute, change a result."""

    devices: tuple[str, ...] | str = key(
        checks.devices,
        "auto",
        'e.g. devices = ["cuda:0"]; executor slurm needs "cuda" or "cpu"',
        "Chooses the devices that runs are trained on.",
    )
    slots_per_device: int | str = key(
        checks.slots,
        "auto",
        "runs side by side on one device; auto tries what is fastest",
        "Sets how many workers train side by side on one device.",
    )
    pack: int | str = key(
        checks.pack,
        1,
        "replicas that one slot trains at once; auto tries what is fastest",
        "Sets how many replicas one worker trains at once, with their parameters stacked.",
    )
    memory_format: str = key(
        choice(("auto", "contiguous", "channels-last")),
        "auto",
        "of convolutions; auto tries where pack does",
        "Chooses how convolutions in packs lie in memory.",
    )
    compile: bool = key(
        flag,
        False,
        "true has torch.compile make the kernels, of images in single runs as well as of packs; their bits are others",
        "Lets torch.compile make the kernels of packs, and of image networks that are trained alone.",
    )
    graphs: bool = key(
        flag,
        True,
        "false launches the kernels of a step one by one on CUDA",
        "Records steps on CUDA once and replays them, of texts where runs are single; changes no result.",
    )
    side_by_side: int | str = key(
        checks.side_by_side,
        "auto",
        "single runs in one worker on CUDA, each on a stream of its own; auto is up to 4 that fit into memory",
        "Sets how many single runs one worker trains at once on a GPU, each with its own kernels; changes no result.",
    )
    executor: str = key(
        choice(EXECUTORS),
        "local",
        "; ".join(f"{name}: {meaning}" for name, meaning in EXECUTORS.items()),
        "Chooses what starts the workers, and where.",
    )
    workers: int = key(
        whole(1, 4096),
        1,
        "jobs of executor slurm that train at once; on this machine it is slots_per_device",
        "Sets how many jobs executor slurm keeps in its queue, each with one worker.",
    )
    require_same_device: bool = key(
        flag,
        False,
        "true where a cluster has several models, which round differently",
        "Trains all runs of an arm, and of arms that share runs with it, on one model of GPU, or of processor: that of "
        "the first worker.",
    )
    keep_weights: bool = key(
        flag,
        True,
        "false keeps the digest of the final weights but not the file",
        "Keeps the final weights of every run.",
    )
    checkpoint_s: float = key(
        number(0, 1e9),
        60.0,
        "seconds between checkpoints; 0 is every epoch",
        "Sets the seconds between two checkpoints of a run.",
    )
    stall_s: float | str = key(
        checks.automatic(number(0, 1e9)),
        "auto",
        "seconds without a step; auto: 20 of its slowest steps, at least 600; an hour in the first epoch; 0: never",
        "Ends a training that stands still for so long, and tries it again.",
    )

    @property
    def allowed_stall_s(self) -> float | None:
        """Return `stall_s` as a number; None where the training's own pace is to say."""
        return None if isinstance(self.stall_s, str) else self.stall_s


@dataclass(frozen=True, kw_only=True)
class Slurm:
    """[slurm]: what each job of executor slurm asks for; other executors leave it alone."""

    partition: str = key(
        checks.word, "", "one that `sinfo` lists; empty is the cluster's default", "Chooses the partition of the jobs."
    )
    account: str = key(checks.word, "", "empty is your default account", "Names the account that jobs are charged to.")
    qos: str = key(checks.word, "", "empty is the account's default", "Chooses the quality of service of the jobs.")
    time: str = key(
        checks.duration,
        "",
        'e.g. "08:00:00", or "2-00:00:00" for two days; empty is the partition\'s default',
        "Limits the time of a job; runs that are cut go on in the next one.",
    )
    gres: str = key(
        checks.word, "", 'e.g. "gpu:1" or "gpu:a100:1"; one worker uses one GPU', "Asks for generic resources: the GPU."
    )
    cpus: int = key(whole(1, 1024), 1, "a run computes in one thread", "Sets how many cores a job gets.")
    mem: str = key(checks.memory, "", 'e.g. "16G"; empty is the cluster\'s default', "Sets the memory of a job.")
    setup: list[str] = key(  # noqa: RUF009 - a field, as dataclasses.field gives one
        checks.lines,
        [],
        'e.g. setup = ["module load cuda"]',
        "Lists lines of shell that every job runs before its worker.",
    )
    extra: list[str] = key(  # noqa: RUF009 - a field, as dataclasses.field gives one
        checks.options,
        [],
        'e.g. extra = ["--constraint=h100"]; the name, the output and the number of tasks are the program\'s own',
        "Lists further options for sbatch.",
    )


@dataclass(frozen=True, kw_only=True)
class Dispatching(Dispatch):
    """Holds all that a checked protocol says about where and how its runs are trained."""

    slurm: Slurm
