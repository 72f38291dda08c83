"""The builder's keys in the order of the foot, and the groups that help lists them in."""

from __future__ import annotations

from textual.binding import Binding

from engine.catalog.sources import SOURCES
from tui.app.widgets.titles import list_digits

PANES = ("arms", "settings", "explain", "text", "plan")
"""Ids of the boxes in the order of their digits, and of tab."""

OPTION_CHARACTERS = (
    "inverted_exclamation_mark",
    "trade_mark_sign",
    "pound_sign",
    "cent_sign",
    "infinity",
    "section_sign",
    "pilcrow_sign",
)
"""What alt with the digits from 1 is taken for where a terminal sends Escape before them, as most do: what a Mac's
keyboard types with it."""

TOGGLES = tuple(
    Binding(
        f"alt+{n},{OPTION_CHARACTERS[n - 1]}",
        f"toggle_source({n - 1})",
        f"Toggle {name}: {source.meaning}",
        key_display=f"alt+{n}",
        show=False,
    )
    for n, (name, source) in enumerate(SOURCES.items(), start=1)
)

KEYS = (
    Binding("space", "switch", "Toggle"),
    Binding("a", "add", "Add arm"),
    Binding("p", "program", "Your program"),
    Binding("ctrl+r", "run", "Run"),
    Binding("ctrl+s", "save", "Save"),
    Binding("u", "undo", "Undo"),
    Binding("slash", "filter", "Filter", key_display="/"),
    Binding("plus", "show_all", "All settings", key_display="+"),
    Binding("tab", "pane(1)", "Pane"),
    Binding("shift+tab", "pane(-1)", "Previous pane", show=False),
    Binding("escape,q", "leave", "Back"),
    Binding("ctrl+y,U", "redo", "Redo", key_display="U"),
    Binding("left_square_bracket,comma", "column(-1)", "Source", key_display="[ ]"),
    Binding("right_square_bracket,full_stop", "column(1)", "Next source", show=False),
    Binding("c", "copy", "Copy arm"),
    Binding("d", "delete", "Delete arm"),
    Binding("T", "override('train')", "Arm's own training"),
    Binding("M", "override('model')", "Arm's own model"),
    Binding("D", "override('data')", "Arm's own data settings", show=False),
    Binding("E", "override('evaluate')", "Arm's own evaluation", show=False),
    Binding("B", "override('bit')", "Arm's own bit", show=False),
    Binding("o", "onset", "Onset of arm", show=False),
    Binding("R", "replicas", "Replicas of arm", show=False),
    Binding("A", "ensemble", "Ensembles of another arm's runs", show=False),
    Binding("X", "crossed", "Crossed sources", show=False),
    *TOGGLES,
    *list_digits(len(PANES)),
    Binding("v", "view_text", "TOML"),
    Binding("t", "time", "Time it"),
    Binding("ctrl+o", "save_as", "Save as"),
    Binding("y", "copy_toml", "Copy TOML", show=False),
)

ARM_ACTIONS = frozenset(
    {
        "switch",
        "add",
        "column",
        "toggle_source",
        "copy",
        "delete",
        "override",
        "onset",
        "replicas",
        "ensemble",
        "crossed",
    }
)
"""What acts, and is shown, only while the arms have the focus."""

SETTING_ACTIONS = frozenset({"filter", "show_all"})
"""What acts, and is shown, only while the settings have the focus."""

GROUPS = {
    "Sources of the arm": ("switch", "column", "toggle_source"),
    "Arms": (
        "rename", "add", "copy", "delete", "replicas", "onset", "override", "crossed", "ensemble",
    ),
    "Settings": ("change", "filter", "show_all"),
    "The protocol": (
        "program", "undo", "redo", "time", "run", "save", "save_as", "view_text", "edit_text", "copy_toml", "leave",
    ),
    "Panes": ("pane", "pane_at"),
}  # fmt: skip
"""Title → its actions, as help lists them; others follow."""
