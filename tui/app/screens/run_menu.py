"""Offers what can be done with one run: read its log and its files, pause it, resume it, cancel it."""

from __future__ import annotations

from textual.app import App

from engine.study.control import Verb
from engine.study.paths import StudyPaths
from engine.study.run_state import Status
from engine.study.view import RunView
from tui.app.asking import ask
from tui.app.screens.choosing import Choose
from tui.app.screens.dialogs import Reader

VERBS: dict[Verb, str] = {"pause": "pause it", "resume": "let it go on", "cancel": "cancel it"}

ENDED: tuple[Status, ...] = ("done", "failed")
"""What a run is that no request changes any more."""


def offer_run(app: App[None], paths: StudyPaths, run: RunView, *, readonly: bool) -> None:
    """Ask what to do with a run, and do it.

    Args:
        app: The app that asks.
        paths: The run's study.
        run: The run as it was last read.
        readonly: Offer nothing that changes it.
    """
    files = paths.run(run.id)
    readable = {
        f"log:{number}": (f"log of attempt {number}", files.attempt(number).log)
        for number in range(run.state.attempts, 0, -1)
    }
    readable |= {"spec": ("its recipe (spec.json)", files.spec), "result": ("its result (result.json)", files.result)}
    choices = [(key, said) for key, (said, _) in readable.items()]
    choices += [] if readonly or run.state.status in ENDED else list(VERBS.items())

    def chosen(key: str | None) -> None:
        if key in readable:
            _, path = readable[key]
            title = f"{run.id}, {path.name}"
            follow = key.startswith("log:")
            app.push_screen(Reader(title, path=path, follow=follow))
        elif key in VERBS:
            ask(app, paths, key, f"asked run {run.id} to {key}", runs=[run.id])

    app.push_screen(Choose(f"Run {run.id}", choices), chosen)
