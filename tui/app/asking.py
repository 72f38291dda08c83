"""Makes a request about a study, and tells the person how that went: a study may be another user's."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import App
from textual.widget import Widget

from engine.errors import NondetError
from engine.protocol.faults import printable
from engine.study.control import Verb, request
from engine.study.paths import StudyPaths


def ask(
    asking: Widget | App[None], paths: StudyPaths, verb: Verb, said: str, *, runs: Iterable[str] | None = None
) -> None:
    """Make a request, and notify the person that it is made, or why it cannot be.

    Args:
        asking: The screen or app that asks.
        paths: The study.
        verb: What is asked for.
        said: What the person is told.
        runs: The run ids that it is about; None for the whole study.
    """
    try:
        request(paths, verb, runs=runs)
    except NondetError as error:
        asking.notify(printable(str(error)), severity="error", markup=False, timeout=20)
    else:
        asking.notify(said, markup=False)
