"""Faces of nondet-tui: the command line, headless progress and tables (rich), the app (textual)."""

import engine as engine  # before any other module: it decides whether compiled modules may be kept
