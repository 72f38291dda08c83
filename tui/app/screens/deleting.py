"""Deletes a study for good, once its name was typed."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from textual.app import App

from engine.protocol.faults import printable
from engine.study.opening import is_there
from engine.study.paths import StudyPaths
from engine.study.study_state import ACTIVE
from engine.study.summary import StudySummary
from tui.app.screens.dialogs import Prompt


def ask_to_delete(app: App[None], study: StudySummary, deleted: Callable[[], object]) -> None:
    """Ask for the name of a study that does not run, and delete it with all its files.

    Args:
        app: The app that asks.
        study: The study.
        deleted: Called after its files are gone.
    """
    paths = study.paths
    if study.state in ACTIVE:
        app.notify("it is running: cancel it first (x)", severity="warning")
        return

    def take(name: str | None) -> None:
        if name == paths.name:
            app.run_worker(delete, thread=True, group="delete")

    def delete() -> None:  # in a thread: it may have thousands of files
        if delete_study(app, paths):
            app.call_from_thread(deleted)

    def check(text: str) -> str | None:
        return None if text == paths.name else f"type {paths.name} to delete it, Esc keeps it"

    title = f"Delete {printable(paths.name)} with its {study.done} finished runs? Type its name"
    app.push_screen(Prompt(title, check=check, hint="this cannot be undone"), take)


def delete_study(app: App[None], paths: StudyPaths) -> bool:
    """Delete a study's folder unless it is a link, say what came of it, and tell whether that was tried."""
    if paths.folder.is_symlink():
        app.notify(f"{paths.name}: is a link to a study elsewhere: delete that one, or the link", markup=False)
        return False
    shutil.rmtree(paths.folder, ignore_errors=True)
    left = "not all of it could be deleted" if is_there(paths.folder) else "deleted"
    app.notify(f"{paths.name}: {left}", markup=False)
    return True
