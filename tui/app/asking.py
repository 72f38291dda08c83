"""Makes a request about a study, and tells the person how that went or is going: a study may be another user's."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from functools import partial

from textual.app import App
from textual.widget import Widget

from engine.errors import NondetError
from engine.protocol.faults import printable
from engine.study.control import Verb, request
from engine.study.paths import StudyPaths

WAITING_S = 3600.0
"""Seconds that a notice of something stands which takes an unknown time: it goes when that is over."""

PROBLEM_S = 20.0
"""Seconds that a notice of something stands which went wrong."""


@contextmanager
def waiting(app: App[None], said: str) -> Generator[None]:
    """Show what is going on until it has ended, from a thread; earlier notices go with this one.

    Args:
        app: The app that shows it.
        said: What is going on.
    """
    app.notify(said, markup=False, timeout=WAITING_S)
    try:
        yield
    finally:
        app.call_later(app.clear_notifications)  # in the order of messages: what is told next stays


def complain(asking: Widget | App[None], problem: str) -> None:
    """Notify the person of what went wrong, as harmless text with its line breaks.

    Args:
        asking: The screen or app that tells it.
        problem: What went wrong.
    """
    said = "\n".join(map(printable, problem.splitlines()))
    asking.notify(said, severity="error", markup=False, timeout=PROBLEM_S)


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
        complain(asking, str(error))
    else:
        asking.notify(said, markup=False)


def ask_to_stop(asking: Widget | App[None], paths: StudyPaths, said: str) -> None:
    """Ask a study to stop; end what waits in a scheduler's queue where no supervisor does that.

    Args:
        asking: The screen or app that asks.
        paths: The study.
        said: What the person is told.
    """
    ask(asking, paths, "cancel", said)
    asking.run_worker(partial(_end_queued, asking, paths), thread=True, group="stop")


def _end_queued(asking: Widget | App[None], paths: StudyPaths) -> None:
    """End it outside of the event loop: a scheduler may take its time."""
    from engine.dispatch.cancel import end_queued, may_be_queued
    from engine.study.view import StudyView

    try:
        view = StudyView(paths, measures=())
        executor, snapshot = view.plan.dispatch.executor, view.refresh()
    except NondetError:  # the study cannot be read, which its screen says
        return
    told = end_queued(paths, executor) if may_be_queued(executor, snapshot) else None
    if told is not None:
        asking.notify(printable(told), markup=False, timeout=20)
