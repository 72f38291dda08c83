"""Trainings that are wanted: what each would take, the question whether to begin, and its beginning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from textual.app import App

from engine.dispatch.start import preparing, start_supervisor
from engine.errors import NondetError
from engine.protocol.faults import printable
from engine.protocol.load import load_protocol
from engine.study.paths import StudyPaths
from engine.study.summary import summarise_study
from engine.tuning.choice import decide
from tui.app.asking import complain, waiting
from tui.app.messages import OpenMonitor
from tui.app.preview import preview_protocol
from tui.app.previewed import describe_work
from tui.app.screens.dialogs import Confirm
from tui.text.counts import be, plural


class Trainings:
    """Begins trainings, each after saying what it takes; files are read and processes started in threads."""

    def __init__(self, app: App[None], store: Path) -> None:
        """Take the app that asks, and the store of the studies."""
        self.app, self.store = app, store

    def offer(self, path: Path, seconds: float | None) -> None:
        """Find out what training a protocol takes, and ask whether to begin.

        Args:
            path: The protocol.
            seconds: How long it takes, where that was estimated before.
        """
        self._run(self._describe, path, seconds)

    def offer_rest(self, paths: StudyPaths) -> None:
        """Find out what a study lacks, and ask whether to train it."""
        self._run(self._describe_rest, paths)

    def _run(self, work: Callable[..., None], *arguments: object) -> None:
        self.app.run_worker(partial(work, *arguments), thread=True, group="run")

    def _describe(self, path: Path, seconds: float | None) -> None:
        found = preview_protocol(path, name=path.stem, description="", store=self.store)
        found = replace(found, seconds=seconds or found.seconds)
        begin = partial(self._run, self._train, path)
        if found.obstacles:
            complain(self.app, "\n".join((f"{path}: nothing was trained", *found.obstacles)))
        elif found.left == 0:  # only what is measured may be missing
            self.app.call_later(begin)
        else:
            runs, *others = describe_work(found)
            rows = [f"Train {printable(found.name)}?", f"{printable(found.workload)}: {runs}", *others]
            rows.append(f"into {printable(str(self.store / found.name))}")
            self.app.call_later(self._ask, "\n".join(rows), begin)

    def _describe_rest(self, paths: StudyPaths) -> None:
        found = summarise_study(paths)
        left = found.total - found.done
        begin = partial(self._run, self._train_rest, paths)
        if found.fault is not None:
            complain(self.app, found.fault)
        elif left == 0:
            self.app.call_later(begin)
        else:
            missing = f"{left} of {plural(found.total, 'run')} {be(left)} left"
            question = f"Train what {printable(paths.name)} lacks? {missing}."
            self.app.call_later(self._ask, question, begin)

    def _ask(self, question: str, begin: Callable[[], None]) -> None:
        def answer(yes: bool | None) -> None:
            if yes:
                begin()

        self.app.push_screen(Confirm(question), answer)

    def _train(self, path: Path) -> None:
        """Write the study and have it trained, as --batch does; then watch it."""
        try:
            protocol = load_protocol(path)
            with waiting(self.app, f"{protocol.name} begins: data and models are tried out …"):
                decided = decide(protocol, store=str(self.store), timed=False)
                with preparing(protocol, decided.plan, store=str(self.store), chosen=decided.chosen) as study:
                    study.start()
        except NondetError as error:
            complain(self.app, str(error))
            return
        for note in decided.notes:
            self.app.notify(printable(note), severity="warning", markup=False, timeout=30)
        self.app.post_message(OpenMonitor(study.paths))

    def _train_rest(self, paths: StudyPaths) -> None:
        """Train what a study lacks; then watch it."""
        try:
            with waiting(self.app, f"{printable(paths.name)} begins again …"):
                start_supervisor(paths)
        except NondetError as error:
            complain(self.app, str(error))
            return
        self.app.notify(f"{paths.name} goes on", markup=False)
        self.app.post_message(OpenMonitor(paths))
