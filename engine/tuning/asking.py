"""Asks a job of the executor a question in JSON, and reads its answer."""

from __future__ import annotations

import json
from typing import Any

from engine.dispatch.executors.base import Executor
from engine.dispatch.jobs import Job
from engine.dispatch.launch import data_root, search_path
from engine.errors import NondetError
from engine.protocol.definition import Protocol


def describe_place(protocol: Protocol) -> dict[str, Any]:
    """Return what every training process is told: where data and the user's modules are, and how it computes."""
    return {
        "root": str(data_root(protocol)),
        "search_path": [str(folder) for folder in search_path(protocol)],
        "graphs": protocol.dispatch.graphs,
    }


def ask_job(executor: Executor, job: Job, request: dict[str, Any], key: str) -> Any:
    """Run a job that reads a request and writes an answer.

    Args:
        executor: Where it runs.
        job: The process.
        request: What it reads, as JSON.
        key: The part of its answer that is wanted.

    Raises:
        NondetError: If it ends without an answer, with the end of what it said.
    """
    output = executor.run_job(job, json.dumps(request))
    try:
        return json.loads(output.text)[key]
    except (ValueError, KeyError, TypeError):
        tail = "\n".join(output.errors.splitlines()[-5:])
        raise NondetError(f"the training process could not start (exit status {output.status}):\n{tail}") from None
