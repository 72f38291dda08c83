"""Names the job of a scheduler that this process is part of."""

from __future__ import annotations

import os


def name_job() -> str | None:
    """Return the job of Slurm that this process is part of, and how often that was started again; None for none."""
    job = os.environ.get("SLURM_JOB_ID")
    return None if job is None else f"{job}.{os.environ.get('SLURM_RESTART_COUNT', '0')}"
