"""One measured value with its uncertainty."""

from __future__ import annotations

import msgspec

Interval = tuple[float, float]


class Estimate(msgspec.Struct, frozen=True):
    """The value of one measure with its uncertainty; what does not exist is None, and an arm's reasons say why."""

    value: float | None = None
    error: float | None = None
    """SD of the value over bootstrap resamples of the replicas."""
    interval: Interval | None = None
    """95 %."""

    @property
    def reach(self) -> Interval | None:
        """The distances of the value from the lower and the upper end of its interval; None where there is none."""
        if self.value is None or self.interval is None:
            return None
        return max(0.0, self.value - self.interval[0]), max(0.0, self.interval[1] - self.value)


NOTHING = Estimate()
