"""Names the executors that a protocol may ask for: where a study's workers are started.

What each one does is in `engine/dispatch/executors`, in a module of its own.
"""

from __future__ import annotations

EXECUTORS: dict[str, str] = {
    "local": "worker processes on this machine, one in each slot of its devices",
    "slurm": "jobs of a Slurm cluster, one worker in each",
}
"""Name in dispatch.executor → where the workers run."""
