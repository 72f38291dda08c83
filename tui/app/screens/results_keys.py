"""The keys of the results in the order of the foot, the groups of help, and where each does something."""

from __future__ import annotations

from textual.binding import Binding

from tui.app.screens.results_panes import TABS

KEYS = (
    Binding("escape,q", "app.pop_screen", "Back"),
    *(Binding(str(n % 10), f"page('{tab.page}')", tab.title, show=False) for n, tab in enumerate(TABS, start=1)),
    Binding("e", "explain", "Explain"),
    Binding("y", "choose_copy", "Copy"),
    Binding("x", "export", "Export"),
    Binding("s", "sort", "Sort"),
    Binding("c", "page('compare')", "Compare"),
    Binding("d", "diagnose", "Diagnostics"),
    Binding("p", "published", "Published"),
    Binding("f", "figure", "Figure"),
    Binding("m", "monitor", "Monitor"),
    Binding("N", "note", "Note, tags"),
    Binding("L", "linear", "Log-y", show=False),
    Binding("Y", "copy('markdown')", "Copy the table", show=False),
    Binding("E", "explain_all", "Explain all measures", show=False),
    Binding("R", "refresh", "Measure again", show=False),
)

GROUPS = {
    "Tabs": ("page", "pop_screen", "monitor"),
    "What is shown": ("explain", "explain_all", "sort", "diagnose", "published", "figure", "linear", "refresh"),
    "Two replicas": ("diverge",),
    "Two arms": ("margin", "step", "measure", "swap", "filter"),
    "To keep": ("choose_copy", "copy", "export", "note"),
}
"""Title → its actions, as help lists them; others follow."""

WHERE = {
    "diagnose": ("table",),
    "figure": ("time",),
    "linear": ("time",),
    "published": ("answer", "table", "intervals"),
    "sort": ("table", "intervals", "layers", "examples"),
}
"""Action → the tabs where it does something; all of them for others."""

COPIES = {
    "cell": "the figure under the cursor",
    "row": "its row, in cells with tabs between them",
    "markdown": "the table as Markdown",
    "latex": "the table as LaTeX",
    "csv": "every number of every arm as CSV",
    "json": "metrics.json",
}
"""What can be copied."""

COMPARISON_COPIES = {
    "comparison": "how the two arms compare, as text",
    "command": "the command that prints it",
}
"""What can be copied of a comparison, where one is shown."""
