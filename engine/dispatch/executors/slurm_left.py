"""Ends the jobs of a study that no supervisor looks after any more; see `engine/dispatch/cancel.py`."""

from __future__ import annotations

from engine.dispatch.executors.slurm import name_jobs
from engine.dispatch.executors.slurm_queue import JobQueue, ask
from engine.errors import NondetError
from engine.study.paths import StudyPaths


def end_left_jobs(paths: StudyPaths, *, begun: bool) -> str | None:
    """Let Slurm end the jobs of a study.

    Args:
        paths: The study.
        begun: Whether those are ended too that have started, and whose workers were asked to end by the study's files.

    Returns:
        What was ended, in words; None where there was nothing.

    Raises:
        NondetError: If Slurm cannot be asked, or refuses.
    """
    queue = JobQueue(name_jobs(paths))
    if not queue.ask_now():
        raise NondetError(f"{queue.obstacle}")
    ended = [job for job in queue.jobs.values() if job.waits or (begun and job.alive)]
    if not ended:
        return None
    answer = ask(["scancel", *(job.id for job in ended)])
    if answer.status != 0:
        raise NondetError(f"Slurm does not end the jobs of the study: {answer.errors.strip() or 'scancel failed'}")
    waited = sum(job.waits for job in ended)
    parts = [_count(waited, "that waited")] if waited else []
    if len(ended) > waited:
        parts.append(_count(len(ended) - waited, "that ran"))
    return f"{' and '.join(parts)} in Slurm's queue {'is' if len(ended) == 1 else 'are'} cancelled"


def _count(number: int, what: str) -> str:
    return f"{number} job{'' if number == 1 else 's'} {what}"
