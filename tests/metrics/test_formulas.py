"""What is declared and not computed, or computed and not declared, is an error at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.catalog.measures import MEASURES
from engine.metrics.diagnostics import DIAGNOSTIC_FORMULAS
from engine.metrics.estimates import Resampling, measure_all
from engine.metrics.formulas import Formulas
from engine.metrics.language import TEXT_FORMULAS
from engine.metrics.logits import Logits
from engine.metrics.measures import diversity
from engine.metrics.outputs import IMAGE_FORMULAS, ImageOutputs


@pytest.mark.parametrize("formulas", [IMAGE_FORMULAS, TEXT_FORMULAS, DIAGNOSTIC_FORMULAS], ids=lambda f: f.group)
def test_every_declared_measure_has_one_formula(formulas: Formulas[object, object]) -> None:
    assert set(formulas.by_key) == {measure.key for measure in MEASURES[formulas.group]}
    formulas.check()


def test_measure_without_a_formula_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    added = replace(MEASURES["images"][0], key="kl")
    monkeypatch.setitem(MEASURES, "images", (*MEASURES["images"], added))
    with pytest.raises(LookupError, match="kl of images: declared, but no formula"):
        IMAGE_FORMULAS.check()


@pytest.mark.parametrize(("key", "said"), [("kl", "is not declared"), ("pearson", "has two formulas")])
def test_formula_of_no_measure_or_of_another_ones_is_an_error(key: str, said: str) -> None:
    with pytest.raises(LookupError, match=said):
        IMAGE_FORMULAS.computes(key)(lambda outputs: outputs.accuracies)


def test_measure_that_is_added_is_measured_and_has_its_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other place has to know of it."""
    added = replace(next(m for m in MEASURES["images"] if m.key == "disagreement"), key="halves")
    monkeypatch.setitem(MEASURES, "images", (*MEASURES["images"], added))
    monkeypatch.setattr(IMAGE_FORMULAS, "by_key", dict(IMAGE_FORMULAS.by_key))
    IMAGE_FORMULAS.computes("halves")(lambda outputs: np.full((outputs.logits.shape[0],) * 2, 0.5))
    logits, labels = np.random.default_rng(0).normal(size=(3, 8, 4)), np.arange(8) % 4
    found = measure_all(IMAGE_FORMULAS, ImageOutputs(Logits.of_array(logits), labels), 3, Resampling(10, seed=1))
    assert found.estimates["halves"].value == 0.5
    assert found.estimates["halves"].interval == (0.5, 0.5)
    alone = measure_all(IMAGE_FORMULAS, ImageOutputs(Logits.of_array(logits[:1]), labels), 1, Resampling(10, seed=1))
    assert {"halves", "halves_ci"} <= set(alone.reasons)


def test_fields_of_diversity_are_those_of_the_declarations() -> None:
    found = vars(diversity(np.zeros((0, 3, 2)), np.zeros(3, dtype=int)))
    declared = {field for measure in MEASURES["images"] for field in measure.fields}
    assert set(found) == declared | {"n", "reasons"}
