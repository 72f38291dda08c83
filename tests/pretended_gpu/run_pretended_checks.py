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
from pretended_cases import Checks
from pretended_cuda import install
from pretended_faults import FAULTS
from pretended_images import ALONE, OWN, PACKS, VARIANTS
from pretended_rest import REST
from pretended_text import TEXT

GROUPS: dict[str, Checks] = {
    "images-alone": ALONE,
    "images-in-packs": PACKS,
    "packs-otherwise": {**VARIANTS, **OWN},
    "rest": {**TEXT, **REST},
    "planted-faults": FAULTS,
}


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
