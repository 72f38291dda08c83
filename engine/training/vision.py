"""torchvision's data set loaders; the one module that imports torchvision.

Beside a CPU build of torch, a torchvision without its compiled operators fails on import because it registers
shape rules for operators that nobody declared. Declaring their schemas is all it needs: none of them is used here.
"""

from __future__ import annotations

import torch

MISSING_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}

_library = torch.library.Library("torchvision", "FRAGMENT")
for _name, _schema in MISSING_SCHEMAS.items():
    if not hasattr(torch.ops.torchvision, _name):
        _library.define(_schema)

from torchvision import datasets  # noqa: E402 - the schemas have to be there first

__all__ = ["datasets"]
