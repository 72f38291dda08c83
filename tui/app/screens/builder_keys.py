"""The builder's keys that change arms: they act, and are shown, only while the arms have the focus."""

from __future__ import annotations

from textual.binding import Binding

from engine.catalog.sources import SOURCES

ARM_BINDINGS = (
    Binding("space", "switch", "Toggle"),
    Binding("left_square_bracket,comma", "column(-1)", "Source", key_display="[ ]"),
    Binding("right_square_bracket,full_stop", "column(1)", "Next source", show=False),
    *(
        Binding(str(n), f"toggle_source({n - 1})", f"Toggle {name}: {source.meaning}", show=False)
        for n, (name, source) in enumerate(SOURCES.items(), start=1)
    ),
    Binding("a", "add", "Add arm"),
    Binding("c", "copy", "Copy arm"),
    Binding("d", "delete", "Delete arm"),
    Binding("o", "onset", "Onset", show=False),
    Binding("e", "ensemble", "Ensemble", show=False),
    Binding("R", "replicas", "Replicas of arm", show=False),
    Binding("T", "override('train')", "Arm's own training", show=False),
    Binding("M", "override('model')", "Arm's own model", show=False),
    Binding("D", "override('data')", "Arm's own data settings", show=False),
    Binding("E", "override('evaluate')", "Arm's own evaluation", show=False),
    Binding("X", "override('crossed')", "Crossed sources", show=False),
)
ARM_ACTIONS = frozenset(binding.action.partition("(")[0] for binding in ARM_BINDINGS)
