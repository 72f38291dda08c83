"""The parts of the builder: each is bound to what it shows of the screen's attributes, and draws that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.text import Text
from textual.reactive import var

from engine.plan.plan import Plan
from engine.protocol.faults import printable
from tui.app.document import Document
from tui.app.screens.builder_lines import EMPTY, arm_lines, fault_lines, plan_lines, setting_lines, title_text
from tui.app.screens.judgement import Judgement
from tui.app.widgets.lines import Line
from tui.app.widgets.panes import LinesPane, TextPane
from tui.app.widgets.titles import set_border_title


class Heading(TextPane):
    """Says what the protocol is called, whether it is saved, and what comes of it."""

    SHOWS = ("document", "text", "saved", "path", "judgement")
    document: var[Document] = var(lambda: Document("", file=""))
    text: var[str] = var("")
    saved: var[str] = var("")
    path: var[Path] = var(Path())
    judgement: var[Judgement] = var(Judgement())

    def make_text(self) -> Text:
        """Make the line from the protocol as it stands."""
        plan, faults = self.judgement.plan, self.judgement.faults
        return title_text(self.document, self.path.stem, saved=self.saved, plan=plan, faults=faults)


class ArmTable(LinesPane):
    """Lists the arms with a mark per source; Enter on one renames it."""

    BORDER_TITLE = "Arms: which sources vary"
    SHOWS = ("document", "text", "judgement", "column")
    document: var[Document] = var(lambda: Document("", file=""))
    text: var[str] = var("")
    judgement: var[Judgement] = var(Judgement())
    column: var[int] = var(0)

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the lines from the protocol as it stands."""
        plan, faults = self.judgement.plan, self.judgement.faults
        set_border_title(self, f"{self.BORDER_TITLE}{explain_marks(plan)}")
        name_width = max(12, min(32, width - 46))
        return arm_lines(self.document, plan, faults, column=self.column, width=name_width)


def explain_marks(plan: Plan | None) -> str:
    """Return what the mark of a source that changes nothing means, where there is one."""
    return f"   {EMPTY} changes nothing here: see Plan" if plan is not None and any(a.empty for a in plan.arms) else ""


class SettingTable(LinesPane):
    """Lists every setting with its value; Enter on one changes it."""

    BORDER_TITLE = "Settings"
    SHOWS = ("document", "text", "judgement")
    document: var[Document] = var(lambda: Document("", file=""))
    text: var[str] = var("")
    judgement: var[Judgement] = var(Judgement())

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the lines from the protocol as it stands."""
        return setting_lines(self.document, self.judgement.faults)


class PlanView(LinesPane):
    """Says what would be trained, or all that is wrong."""

    BORDER_TITLE = "Plan"
    SHOWS = ("judgement", "done", "timing")
    judgement: var[Judgement] = var(Judgement())
    done: var[int | None] = var(None)
    timing: var[tuple[str, ...]] = var(())

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make the lines from the last judgement."""
        if self.judgement.plan is None:
            return fault_lines(self.judgement.faults, width)
        return plan_lines(self.judgement.plan, done=self.done, timing=self.timing, width=width)


class SourceView(LinesPane):
    """Shows the text as it will be saved."""

    BORDER_TITLE = "As it will be saved"
    SHOWS = ("text",)
    text: var[str] = var("")

    def make_lines(self, width: int) -> Sequence[Line]:
        """Make a line per line of the text."""
        return [Line(Text(printable(row))) for row in self.text.splitlines()]
