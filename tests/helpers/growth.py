"""Makes the growth of moved bits as metrics.json would hold it."""

from __future__ import annotations

from typing import Any

from engine.study.estimate import Estimate
from engine.study.growth_record import Growth, ReplicaGrowth, Response
from engine.study.metrics_record import ArmMeasures
from tests.helpers.measures import make_measures


def make_growth(**changes: Any) -> Growth:
    """Return the growth of three replicas whose distance grows from 1e-8 to 1e-2 in 100 steps."""
    replicas = tuple(ReplicaGrowth(run=f"r{seed}", seed=seed, size=1e-8, distance=1e-2) for seed in (1, 2, 3))
    fields: dict[str, Any] = {
        "twin": "plain",
        "runs": ("r1", "r2", "r3"),
        "steps_per_epoch": 10,
        "replicas": replicas,
        "steps": (0, 50, 100),
        "mean": (1e-8, 1e-5, 1e-2),
        "low": (1e-8, 1e-6, 1e-3),
        "high": (1e-8, 1e-4, 1e-1),
        "size": Estimate(1e-8),
        "distance": Estimate(1e-2, interval=(1e-3, 1e-1)),
        "doubling_steps": Estimate(5.0, interval=(4.0, 6.0)),
        "saturation_step": Estimate(95.0),
        "disagreement": Estimate(3.25, interval=(3.0, 3.5)),
        "grown": 3,
    }
    return Growth(**fields | changes)


def make_response(low: float, high: float, **changes: Any) -> Response:
    """Return what three sizes say, with the ends of the exponent's interval."""
    fields: dict[str, Any] = {
        "arms": ("net: 1 ulp", "net: 2 ulp", "net: 4 ulp"),
        "exponent": Estimate((low + high) / 2, interval=(low, high)),
        "disagreement_exponent": Estimate(),
        "steps_per_doubling": Estimate(),
        "above_floor": False,
    }
    return Response(**fields | changes)


def make_arms(**changes: Any) -> list[ArmMeasures]:
    """Return a control, and arms that move a bit by three sizes."""
    response = make_response(-0.1, 0.1)
    names = ["net: Control", *response.arms]
    return [make_measures(name=names[0])] + [
        make_measures(name=name, growth=make_growth(**changes), response=response) for name in names[1:]
    ]
