"""The app as its screens and widgets see it: the framework leaves open what their app returns when it ends."""

from __future__ import annotations

from textual.app import App


def app_class() -> type[App[None]]:
    """Return the class that `getters.app` types a screen's or a widget's app by."""
    return App
