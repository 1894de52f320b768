"""Round numbers for axes."""

from __future__ import annotations

import math

MOST_TICKS = 8
_STEPS = (1, 2, 5)
_LEAST = 1e-200  # powers of ten below it are soon 0


def ticks(most: float, count: int = MOST_TICKS) -> tuple[float, ...]:
    """Round numbers from 0, fewer than `count` steps of them, the last one at least `most`, which is more than 0."""
    power = math.floor(math.log10(max(most, _LEAST))) - 2
    while True:
        for digit in _STEPS:
            step = digit * 10.0**power
            steps = -int(-most // step)
            if steps < count:
                return tuple(round(step * number, max(0, -power)) for number in range(steps + 1))
        power += 1


def decades(least: float, most: float) -> tuple[float, ...]:
    """Powers of ten, the first at most `least` and the last at least `most`, two at least; both are more than 0."""
    first, last = math.floor(math.log10(least)), math.ceil(math.log10(most))
    return tuple(10.0**power for power in range(first, max(last, first + 1) + 1))
