"""The app as its screens know it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from textual.dom import DOMNode

    from tui.app.app import NondetApp


def host(node: DOMNode) -> NondetApp:
    """The app that a screen or widget belongs to."""
    return cast("NondetApp", node.app)
