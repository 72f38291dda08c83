"""Brings a study's metrics.json, curves.json and checked.json up to date with the runs that are there.

Where the study cannot be written, its measures are kept in this user's cache, and returned.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from engine.catalog.measures import digest_measures
from engine.errors import StudyError
from engine.metrics.cache import find_copy, make_copy
from engine.metrics.checked import Basis, read_basis, write_basis
from engine.metrics.curves import measure_curves
from engine.metrics.study import measure_study
from engine.study.curves_record import StudyCurves
from engine.study.measured import MeasuredStudy
from engine.study.measuring_record import Teller
from engine.study.metrics_record import StudyMeasures, read_metrics, write_metrics
from engine.study.opening import is_there
from engine.study.paths import StudyPaths
from engine.study.records import Damage, find_record, write_record
from engine.study.study_plan import read_plan


@dataclass(frozen=True)
class _Known:
    """Holds what an earlier measurement left in a folder."""

    metrics: StudyMeasures | None
    curves: StudyCurves | None
    basis: Basis


def measure(paths: StudyPaths, *, cache: Path | None = None) -> MeasuredStudy | None:
    """Measure what is there, and write the files whose content has changed.

    Args:
        paths: The study.
        cache: Where measures of studies are kept that cannot be written; see `engine.metrics.cache`.

    Returns:
        The measures, where the study's own files could not be brought up to date; None where they could.

    Raises:
        NondetError: If the study's plan cannot be read, or a later version of the program has measured it.
    """
    plan, own = read_plan(paths), _read_known(paths)
    writable = os.access(paths.folder, os.W_OK | os.X_OK)
    copy = None if writable else find_copy(paths, cache)
    known = own if copy is None or not is_there(copy.metrics) else _read_known(copy)
    basis = Basis(digest_measures(), dict(known.basis.seen))
    previous = known.metrics if known.basis.measures == basis.measures else None
    teller = Teller(paths, silent=not writable)
    try:
        metrics = measure_study(paths, plan, previous=previous, seen=basis.seen, tell=teller.tell)
    finally:
        teller.end()
    now = _Known(metrics, measure_curves(paths, plan, known.curves), basis)
    try:
        _write_changes(paths, own, now)
    except StudyError:
        copy = copy or find_copy(paths, cache)
        with contextlib.suppress(StudyError, OSError):  # it saves time, and there may be nowhere to keep them
            if copy is not None:
                make_copy(copy)
                _write_changes(copy, _read_known(copy), now)
        return MeasuredStudy(metrics, () if now.curves is None else now.curves.arms)
    return None


def _read_known(paths: StudyPaths) -> _Known:
    """Read what an earlier measurement left.

    Raises:
        StudyError: If a later version of the program wrote it.
    """
    found = read_metrics(paths.metrics)
    if isinstance(found, Damage) and found.later:
        raise StudyError(str(found))
    metrics = None if isinstance(found, Damage) else found
    return _Known(metrics, find_record(paths.curves, StudyCurves), read_basis(paths.checked))


def _write_changes(paths: StudyPaths, before: _Known, now: _Known) -> None:
    """Write the files whose content is another than before.

    Raises:
        StudyError: If the measures cannot be written.
    """
    if now.metrics is not None and now.metrics != before.metrics:
        write_metrics(paths.metrics, now.metrics)
    if now.basis != before.basis:
        with contextlib.suppress(StudyError):  # it saves time, and a study that can only be read has none
            write_basis(paths.checked, now.basis)
    if now.curves is not None and now.curves != before.curves:
        write_record(paths.curves, now.curves, compact=True)
