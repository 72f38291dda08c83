"""torchvision's data set loaders and classification models; the one module that imports torchvision.

Beside a CPU build of torch, a torchvision without its compiled operators fails on import because it registers
shape rules for operators that nobody declared. Declaring their schemas is all it needs: none of them is used here.
"""

from __future__ import annotations

import difflib

import torch
from torch import nn

from engine.errors import ModelError

MISSING_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}

_library = torch.library.Library("torchvision", "FRAGMENT")
for _name, _schema in MISSING_SCHEMAS.items():
    if not hasattr(torch.ops.torchvision, _name):
        _library.define(_schema)

from torchvision import datasets, models  # noqa: E402 - the schemas have to be there first

__all__ = ["build_torchvision", "datasets"]

WITH_SIDE_OUTPUTS = ("googlenet", "inception_v3")
"""Models that return more than logits while they train unless they are told not to."""


def build_torchvision(name: str, classes: int) -> nn.Module:
    """Build a classification model of torchvision with fresh weights.

    Raises:
        ModelError: If torchvision has no classification model of this name; names the nearest ones.
    """
    known = models.list_models(module=models)
    if name not in known:
        near = ", ".join(difflib.get_close_matches(name, known, n=3) or known[:3])
        raise ModelError(f"torchvision:{name}: no such classification model; near: {near}; there are {len(known)}")
    options = {"aux_logits": False, "init_weights": True} if name in WITH_SIDE_OUTPUTS else {}
    return models.get_model(name, weights=None, num_classes=classes, **options)
