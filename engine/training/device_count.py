"""Says which GPUs torch can use, for a process that does not import torch itself."""

from __future__ import annotations

import json
import warnings

import torch

from engine.errors import summarise_error
from engine.training.trials.answering import answer_on_stdout


def answer_request() -> int:
    """Write the `TorchCount` of this process to standard output."""
    with answer_on_stdout() as out:
        out.write(json.dumps(count_gpus()))
    return 0


def count_gpus() -> dict[str, object]:
    """Return the GPUs of torch, or why it has none, as `TorchCount` is written."""
    fault = find_fault()
    if fault is not None:
        return {"failure": fault}
    properties = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    return {"gpus": [{"name": one.name, "uuid": str(getattr(one, "uuid", ""))} for one in properties]}


def find_fault() -> str | None:
    """Say in torch's words why it can compute on no GPU; None where it can.

    What is missing shows at the first use: a driver that is too old, a GPU that another process has to itself.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the same is in the error
            torch.cuda.init()
            torch.zeros(1, device="cuda:0")
    except (RuntimeError, AssertionError) as error:  # AssertionError: a build without CUDA
        return summarise_error(error).partition(": ")[2] or summarise_error(error)
    return None
