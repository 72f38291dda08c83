"""The keys of the first screen in the order of the foot, the groups of help, and what acts on a study alone."""

from __future__ import annotations

from textual.binding import Binding

from tui.app.screens.start_lines import BEGINNINGS
from tui.app.widgets.titles import list_digits

PANES = ("list", "preview")
"""Ids of the boxes in the order of their digits."""

KEYS = (
    Binding("n", "new", "New"),
    Binding("r", "run", "Run"),
    Binding("t", "results", "Results"),
    Binding("c", "compare", "Is B better?"),
    Binding("space", "mark", "Mark for c", show=False),
    Binding("C", "run", "Continue", show=False),
    Binding("slash", "filter", "Filter", key_display="/"),
    Binding("x", "cancel", "Cancel"),
    Binding("d", "delete", "Delete"),
    Binding("escape", "clear", "Clear filter", show=False),
    Binding("v", "preview", "Preview"),
    *(Binding(str(n), f"begin('{key}')", what, show=False) for n, (key, (what, _)) in enumerate(BEGINNINGS.items(), 1)),
    *list_digits(len(PANES)),
    Binding("q", "app.quit", "Quit"),
    Binding("N", "note", "Note, tags"),
    Binding("y", "copy_path", "Copy path"),
)

STUDY_ACTIONS = frozenset({"results", "compare", "mark", "cancel", "delete", "note"})
"""What a key does to the study under the cursor, and to nothing else."""

GROUPS = {
    "What is under the cursor": ("run", "results", "compare", "mark", "cancel", "delete", "note", "copy_path"),
    "List and panes": ("new", "begin", "filter", "clear", "preview", "pane_at", "quit"),
}
"""Title → its actions, as help lists them; others follow."""
