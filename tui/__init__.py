"""Faces of nondet-tui: the command line, headless progress and tables (rich), the app (textual)."""
