"""Fixtures of the app's tests; `app_studies` makes what they show."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from app_studies import make_app, store

__all__ = ["make_app", "store"]
