"""Tells once that a store cannot be written, and once that it can be again, however often it is tried."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from engine.errors import StudyError


@dataclass
class StoreTrouble:
    """Remembers what was told of a store that refuses to be written."""

    log: logging.Logger
    told: type[StudyError] | None = None
    """The kind of the trouble that was told last; None where there is none."""

    def note(self, error: StudyError, told: str | None = None) -> None:
        """Tell of trouble, unless the last write had trouble of the same kind.

        Args:
            error: Why something could not be written.
            told: What is told; the error's own words where it is left out.
        """
        if self.told is not type(error):
            self.told = type(error)
            self.log.warning("%s", told or error)

    def end(self) -> None:
        """Tell that writing works again, where it did not."""
        if self.told is not None:
            self.told = None
            self.log.warning("the store can be written again")
