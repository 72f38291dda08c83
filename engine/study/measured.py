"""Hands a study's measures from the process that computes them to the one that shows them.

They are in the study's own files, or, where these cannot be written, in two lines on a pipe.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import StudyError
from engine.study.curves_record import ArmCurves, StudyCurves, find_curves
from engine.study.metrics_record import MetricsFile, StudyMeasures, gather_metrics, read_metrics, spread_metrics
from engine.study.paths import StudyPaths
from engine.study.records import decode_record, encode_record


@dataclass(frozen=True)
class MeasuredStudy:
    """Holds everything that was measured of a study, but its layers."""

    metrics: StudyMeasures
    curves: tuple[ArmCurves, ...]


def read_measured(paths: StudyPaths) -> MeasuredStudy:
    """Read the measures in a study's own files.

    Raises:
        StudyError: If metrics.json is missing or damaged.
    """
    content = read_metrics(paths.metrics)
    if not isinstance(content, StudyMeasures):
        raise StudyError(f"{paths.metrics}: is missing or damaged: `nondet-tui report {paths.folder}` writes it anew")
    return MeasuredStudy(content, find_curves(paths.curves))


def encode_measured(measured: MeasuredStudy) -> bytes:
    """Return measures as two lines: the contents of metrics.json and curves.json."""
    curves = StudyCurves(study=measured.metrics.study, arms=measured.curves)
    return encode_record(spread_metrics(measured.metrics), compact=True) + encode_record(curves, compact=True)


def decode_measured(content: bytes) -> MeasuredStudy:
    """Return the measures in two lines; inverse of `encode_measured`.

    Raises:
        StudyError: If they hold none.
    """
    first, _, second = content.partition(b"\n")
    metrics, curves = decode_record(first, MetricsFile), decode_record(second, StudyCurves)
    if isinstance(metrics, str) or isinstance(curves, str):
        raise StudyError("the process that measures a study has answered what is no measures: run it again")
    return MeasuredStudy(gather_metrics(metrics), curves.arms)
