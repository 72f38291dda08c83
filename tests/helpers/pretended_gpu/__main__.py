"""The checks of one group on a pretended GPU, in a process of their own; faults in JSON on standard output.

Of their own, because autograd makes its threads, one for each device, at the first backward pass of a process.
"""

from __future__ import annotations

import json
import sys
import traceback
import warnings
from collections.abc import Callable

import torch

from tests.helpers.pretended_gpu.cuda import install
from tests.helpers.pretended_gpu.groups import GROUPS


def find_fault(check: Callable[[], None]) -> str | None:
    """What is wrong, with the last lines of where; None where the check passes."""
    try:
        check()
    except Exception:
        return "\n".join(traceback.format_exc().splitlines()[-6:])
    return None


def main() -> int:
    """Do the checks of the group that the command line names."""
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    install()
    json.dump({name: find_fault(check) for name, check in GROUPS[sys.argv[1]].items()}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
