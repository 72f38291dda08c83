"""Says what equal or different replicas mean: of a control, and of an arm in which something varies."""

from __future__ import annotations

from collections.abc import Set

from engine.study.metrics_record import ArmMeasures
from tui.text.parting import say_since


def judge_repeats(arm: ArmMeasures, empty: Set[str] = frozenset()) -> list[str]:
    """Judge a control, or say of an arm that what varies in it changes nothing; empty where there is nothing to say.

    Args:
        arm: Its measures; no ensemble's.
        empty: The sources of which it is said already that they change nothing in it.
    """
    if not arm.vary:
        return _judge_control(arm)
    alike = "weights" if arm.identical_weights else "predictions" if arm.identical_predictions else None
    if alike is None or set(arm.vary) <= empty:
        return []
    return [f"{arm.n} replicas with IDENTICAL {alike}: what varies changes nothing here, as if it were held"]


def _judge_control(arm: ArmMeasures) -> list[str]:
    if arm.identical_weights is not None:
        return [_judge_weights(arm)]
    return [] if arm.identical_predictions is None else [_judge_repetition(arm)]


def _judge_weights(arm: ArmMeasures) -> str:
    if arm.identical_weights:
        return f"{arm.n} replicas with identical weights: what does not vary is held"
    since = "" if arm.parting is None else f", {say_since(arm.parting)}"
    return (
        f"{arm.n} replicas with DIFFERENT weights{since}: something varies that should not, so do not trust this study"
    )


def _judge_repetition(arm: ArmMeasures) -> str:
    if arm.identical_predictions:
        return f"{arm.n} replicas with identical predictions: the program repeats itself to the bit"
    return f"{arm.n} replicas with DIFFERENT predictions: the program does not repeat itself, and this is in every row"
