"""What a step costs by the number of tokens in it, as measured. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from statistics import median_low

_SAMPLES = 5
_TRUSTED_FOR = 16
"""Steps for which the first measurement of a width is believed, doubled with each further one…"""
_TRUSTED_LONGEST = 512
"""…up to this: contexts grow, and other work comes and goes."""
_GROWTH = 0.05
"""What another token is thought to add to a step before it was tried: little, so that it is."""


@dataclass(slots=True)
class _Measured:
    samples: deque[float] = field(default_factory=lambda: deque(maxlen=_SAMPLES))
    count: int = 0
    step: int = 0
    seconds: float = 0.0

    def trusted(self, now: int) -> bool:
        return now - self.step <= min(_TRUSTED_LONGEST, _TRUSTED_FOR << min(self.count, 8))


class StepCosts:
    """Seconds of a step for each width (tokens that are computed and drawn from), the median of the latest few.

    What was not measured, or not lately, is estimated from its neighbours, in favour of trying it.
    """

    def __init__(self) -> None:
        self._widths: dict[int, _Measured] = {}
        self._now = 0

    def note(self, width: int, seconds: float) -> None:
        """Notes a step."""
        self._now += 1
        known = self._widths.get(width)
        if known is None or not known.trusted(self._now):
            known = _Measured()
            # The estimate counts as a measurement: one step that something else held up is not believed alone.
            known.samples.append(self.seconds(width) if self._widths else seconds)
            self._widths[width] = known
        known.samples.append(max(seconds, 1e-9))
        known.count += 1
        known.step = self._now
        known.seconds = median_low(known.samples)

    def seconds(self, width: int) -> float:
        """What a step of that width is thought to take; 1 as long as nothing was measured."""
        known = {each: found.seconds for each, found in self._widths.items() if found.trusted(self._now)}
        if width in known:
            return known[width]
        if not known:
            return 1.0 + _GROWTH * (width - 1)
        widths = sorted(known)
        place = bisect_left(widths, width)
        if place == len(widths):
            return known[widths[-1]] * (1 + _GROWTH * (width - widths[-1]))
        if not place:
            return known[widths[0]] * width / widths[0]
        low, high = widths[place - 1], widths[place]
        return known[low] + (known[high] - known[low]) * (width - low) / (high - low)
