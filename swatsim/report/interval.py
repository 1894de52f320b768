"""Between which numbers of cycles the truth lies, where a sample was simulated (docs/sampling.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from swatsim.sampling import Estimate, combined, student_quantile


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The interval of a row's cycles; where nothing of it is estimated, both ends are the cycles themselves."""

    low: int
    high: int
    below: Estimate  # the error that gives the lower end
    above: Estimate
    drawn: int  # groups that were simulated
    groups: int  # in all; 0 where nothing is sampled

    @staticmethod
    def of(cycles: tuple[int, int, int], error: Estimate) -> Interval:
        """That of one pass: its cycles are the middle ones, the others those at the ends of its compute cycles."""
        low, high = min(cycles), max(cycles)
        quantile, bias = student_quantile(error.freedom), error.bias / error.half_width if error.half_width else 0.0
        below, above = (
            Estimate(variance=(width * (1 - bias) / quantile) ** 2, freedom=error.freedom, bias=width * bias)
            for width in (cycles[1] - low, high - cycles[1])
        )
        return Interval(low=low, high=high, below=below, above=above, drawn=error.drawn, groups=error.groups)


def added(intervals: Sequence[Interval], cycles: int) -> Interval:
    """That of the sum of rows, which is `cycles`: their errors are independent."""
    below, above = (combined(each) for each in ([row.below for row in intervals], [row.above for row in intervals]))
    return Interval(
        low=cycles - math.ceil(below.half_width), high=cycles + math.ceil(above.half_width), below=below, above=above,
        drawn=sum(row.drawn for row in intervals), groups=sum(row.groups for row in intervals),
    )  # fmt: skip
