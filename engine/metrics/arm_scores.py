"""Scores two arms: finds the measures that both have, and what each replica scores on each example."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from engine.errors import StudyError
from engine.metrics.comparison import Scores
from engine.metrics.finished import FinishedArm
from engine.metrics.outputs import ImageOutputs, find_losses
from engine.metrics.replicas import open_logits, stack_predictions
from engine.protocol.faults import printable

TEXT, IMAGES, CLASSES = ("perplexity", "cross-entropy"), ("accuracy", "cross-entropy"), ("accuracy",)
"""What predictions of words, logits and classes are compared in, the first where nobody said."""


class ArmScores:
    """Scores two arms, whose predictions are looked at once."""

    def __init__(self, arms: Sequence[FinishedArm]) -> None:
        """Take the arms, each with a replica, on the same test examples if on any that are known."""
        self.arms = arms

    @property
    def classes(self) -> int:
        """The number of classes that are told apart."""
        shapes = [part.shape for arm in self.arms for part in arm.predictions[:1] if len(part.shape) > 1]
        if shapes:
            return shapes[0][-1]
        return 1 + max(int(chosen.max()) for chosen in self._chosen)

    def list_known(self) -> tuple[str, ...]:
        """Return the measures that both arms have: those of their predictions, then numbers by name."""
        known = self._list_predicted()
        return (*known, *(name for name in self._list_numbers() if name not in known))

    def _list_predicted(self) -> tuple[str, ...]:
        kinds = {arm.plan.kind for arm in self.arms}
        if self.arms[0].plan.text:
            return TEXT
        return () if "scores" in kinds else CLASSES if "classes" in kinds else IMAGES

    def _list_numbers(self) -> list[str]:
        """Return the names of the numbers that every replica of both arms left, in the order of the first."""
        results = [one.result for arm in self.arms for one in arm.replicas]
        if None in results:
            return []
        first = results[0]
        names = [] if first is None else list(first.scores)
        return [name for name in names if all(one is not None and name in one.scores for one in results)]

    def choose(self, measure: str | None) -> str:
        """Return the measure that was asked for, or the first that there is.

        Raises:
            StudyError: If the arms have no such measure, or none at all.
        """
        known = self.list_known()
        if not known:
            raise StudyError(
                f"{self.arms[0].title} and {self.arms[-1].title}: have no measure in common: "
                "no predictions of both, and no number of one name in all replicas"
            )
        if measure is not None and measure not in known:
            said = f"these arms are compared in one of {', '.join(map(printable, known))}"
            raise StudyError(f"--measure {printable(measure)}: {said}")
        return measure or known[0]

    def score(self, measure: str) -> Scores:
        """Return what the replicas score in a measure that both arms have."""
        if measure not in self._list_predicted():
            figures = [
                np.array([one.result.scores[measure] for one in arm.replicas if one.result is not None])
                for arm in self.arms
            ]
            tables = [np.empty((len(one), 0)) for one in figures]
            return Scores(tables[0], tables[1], (figures[0], figures[1]), larger_is_better=None)
        if self.arms[0].plan.text:
            return self._score_text(measure)
        if measure == "accuracy":
            labels = self._labels
            tables = [np.where(chosen == labels, 100.0, 0.0) for chosen in self._chosen]
        else:
            tables = [
                _refuse_infinite(find_losses(outputs.logits, outputs.labels), arm)
                for outputs, arm in zip(self._outputs, self.arms, strict=True)
            ]
        figures = tables[0].mean(axis=1), tables[1].mean(axis=1)
        return Scores(tables[0], tables[1], figures, larger_is_better=measure == "accuracy")

    def _score_text(self, measure: str) -> Scores:
        tables = [-stack_predictions(arm.predictions)["log_probability"].astype(np.float64) for arm in self.arms]
        figures = tables[0].mean(axis=1), tables[1].mean(axis=1)
        if measure == "perplexity":
            # A word's score is what it adds to the perplexity to first order, so that scores average to the figures.
            figures = np.exp(figures[0]), np.exp(figures[1])
            tables = [
                figure[:, None] * (1.0 + table - table.mean(axis=1, keepdims=True))
                for figure, table in zip(figures, tables, strict=True)
            ]
        return Scores(tables[0], tables[1], figures, larger_is_better=False)

    def predict(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the classes that each replica predicts, (R, N) of both arms; None of words, and of numbers alone."""
        if self.arms[0].plan.text or any(arm.labels is None for arm in self.arms):
            return None
        return self._chosen[0], self._chosen[1]

    @cached_property
    def _labels(self) -> np.ndarray:
        labels = self.arms[0].labels
        return np.empty(0) if labels is None else labels.values.astype(np.int64)

    @cached_property
    def _outputs(self) -> list[ImageOutputs]:
        return [ImageOutputs(open_logits(arm.predictions), self._labels) for arm in self.arms]

    @cached_property
    def _chosen(self) -> list[np.ndarray]:
        """The class that each replica predicts on each example, int (R, N), by arm."""
        if any(arm.plan.kind == "classes" for arm in self.arms):
            return [
                stack_predictions(arm.predictions)
                if arm.plan.kind == "classes"
                else ImageOutputs(open_logits(arm.predictions), self._labels).predictions
                for arm in self.arms
            ]
        return [outputs.predictions for outputs in self._outputs]


def _refuse_infinite(losses: np.ndarray, arm: FinishedArm) -> np.ndarray:
    if not np.isfinite(losses).all():
        raise StudyError(
            f"{arm.title}: masks the true class of an example: its cross-entropy is infinite; compare the accuracy"
        )
    return losses
