"""Asks a job of the executor a question, and reads its answer."""

from __future__ import annotations

from engine.dispatch.executors.base import Executor
from engine.dispatch.jobs import Job
from engine.dispatch.launch import data_root, search_path
from engine.errors import NondetError
from engine.protocol.definition import Protocol
from engine.tuning.messages import M, Message, Surroundings, decode_message, encode_message


def describe_surroundings(protocol: Protocol) -> Surroundings:
    """Return what every training process is told: where data and the user's modules are, and how it computes."""
    return Surroundings(
        root=str(data_root(protocol)),
        search_path=tuple(str(folder) for folder in search_path(protocol)),
        trusted=protocol.trusted,
        graphs=protocol.dispatch.graphs,
        side_by_side=protocol.dispatch.side_by_side,
    )


def ask_job(executor: Executor, job: Job, request: Message, answer_type: type[M]) -> M:
    """Run a job that reads a request and writes an answer.

    Args:
        executor: Where it runs.
        job: The process.
        request: What it reads.
        answer_type: What it is to write.

    Raises:
        NondetError: If it ends without such an answer, with the end of what it said.
    """
    output = executor.run_job(job, encode_message(request))
    try:
        return decode_message(output.text, answer_type)
    except (ValueError, RecursionError):
        ended = f"the training process ended without an answer (exit status {output.status})"
        tail = output.errors.strip().splitlines()[-5:]
        raise NondetError("\n".join([f"{ended}:", *tail] if tail else [ended])) from None
