"""The monitor's keys in the order of the foot, and the groups that help lists them in."""

from __future__ import annotations

from textual.binding import Binding

from tui.app.widgets.titles import list_digits

PANES = ("spread", "arm", "arms", "runs", "rounds")
"""Ids of the boxes in the order of their digits; the last is there where a study compares two arms."""

KEYS = (
    Binding("escape,q", "back", "Back"),
    Binding("r", "results", "Results"),
    Binding("m", "measure", "Measure"),
    Binding("s", "other_picture", "Other picture"),
    Binding("z", "full", "Zoom in"),
    Binding("tab", "page", "Next pane", show=False),
    *list_digits(len(PANES)),
    Binding("left_square_bracket", "cursor(-1)", "Epoch", key_display="[ ]"),
    Binding("right_square_bracket", "cursor(1)", "Epoch on", show=False),
    Binding("plus,equals_sign", "zoom(2)", "Epochs", key_display="+ -"),
    Binding("minus", "zoom(0.5)", "More epochs", show=False),
    Binding("asterisk", "zoom_values(2)", "Values", key_display="* _"),
    Binding("underscore", "zoom_values(0.5)", "More values", show=False),
    Binding("less_than_sign", "pan(-5)", "Pan left", show=False),
    Binding("greater_than_sign", "pan(5)", "Pan right", show=False),
    Binding("0", "reset", "Whole plot", show=False),
    Binding("L", "log_scale", "Log axis"),
    Binding("a", "arms", "Hide arm"),
    Binding("space", "hold", "Hold view"),
    Binding("p", "pause", "Pause study"),
    Binding("x", "cancel", "Cancel study"),
    Binding("C", "go_on", "Continue study", show=False),
)

GROUPS = {
    "Pictures": (
        "measure",
        "other_picture",
        "full",
        "log_scale",
        "cursor",
        "zoom",
        "zoom_values",
        "pan",
        "reset",
        "arms",
    ),
    "The study": ("hold", "results", "pause", "cancel", "go_on"),
    "Panes": ("page", "pane_at", "back"),
}
"""Title → its actions, as help lists them; others follow."""
