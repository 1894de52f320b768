"""How far off an estimate may be: variances of stratified samples, and their intervals (docs/sampling.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from swatsim.sampling.design import Draw, FloatArray

CONFIDENCE = 0.95
_NORMAL = 1.959963984540054  # two-sided quantile of the normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Error of a number that was estimated: variance of the estimate, and the degrees of freedom that it has itself."""

    variance: float = 0.0
    freedom: float = math.inf
    bias: float = 0.0  # at most, in either direction
    drawn: int = 0  # groups that were simulated
    groups: int = 0  # in all

    @property
    def half_width(self) -> float:
        """Half of the width of the interval."""
        return self.bias + (student_quantile(self.freedom) * math.sqrt(self.variance) if self.variance else 0.0)


EXACT = Estimate()


def combined(estimates: Sequence[Estimate]) -> Estimate:
    """The error of a sum of numbers that were estimated independently (F. E. Satterthwaite, Biometrics, 1946).

    Chance evens out in a sum, biases may not.
    """
    variance = math.fsum(each.variance for each in estimates)
    spread = math.fsum(each.variance**2 / each.freedom for each in estimates)
    return Estimate(
        variance=variance, freedom=variance**2 / spread if spread else math.inf,
        bias=math.fsum(each.bias for each in estimates), drawn=sum(each.drawn for each in estimates),
        groups=sum(each.groups for each in estimates),
    )  # fmt: skip


def student_quantile(freedom: float) -> float:
    """Two-sided quantile of Student's t, from the normal one (G. W. Hill, "Algorithm 396", CACM, 1970).

    Good to 0.1 % from 2 degrees of freedom on; of fewer, those of 1 and 2 are exact.
    """
    tail = 1 - CONFIDENCE
    if freedom < 2:
        one, two = 1 / math.tan(tail * math.pi / 2), _two_degrees(tail)
        return one + (two - one) * max(0.0, freedom - 1)
    if freedom == 2:
        return _two_degrees(tail)
    if math.isinf(freedom):
        return _NORMAL
    a = 1 / (freedom - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * freedom
    y = (d * tail) ** (2 / freedom)
    if y > 0.05 + a:
        x, y = -_NORMAL, _NORMAL**2
        if freedom < 5:
            c += 0.3 * (freedom - 4.5) * (x + 0.6)
        c += (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = math.expm1(a * y**2)
    else:
        y = ((1 / (((freedom + 6) / (freedom * y) - 0.089 * d - 0.822) * (freedom + 2) * 3)
              + 0.5 / (freedom + 4)) * y - 1) * (freedom + 1) / (freedom + 2) + 1 / y  # fmt: skip
    return math.sqrt(freedom * y)


def _two_degrees(tail: float) -> float:
    return math.sqrt(2 / (tail * (2 - tail)) - 2)


def slowest_set(known: FloatArray, by_group: FloatArray, draw: Draw) -> tuple[FloatArray, Estimate]:
    """Cycles [set] of barrier sets, and the error of the most of them.

    Parameters
    ----------
    known : cycles [set] that need no estimate.
    by_group : cycles [drawn, set] of which each stands for those of the groups of its stratum that are not drawn; a
        line was fitted to them, which takes a degree of freedom.

    The maximum of sums that were scaled up is too large: they have more chance in them than the sums of all. That of
    sums that differ by nothing but what is known is too small: the mean of a maximum is not below the maximum of the
    means (Jensen's inequality, both times). The estimate is halfway, and half of what is between its bias at most.
    """
    common = by_group.mean(axis=1)
    alike, apart = known + draw.weights @ common, known + draw.weights @ by_group
    least, most = float(alike.max()), float(apart.max())
    cycles = (alike + apart) / 2
    error = stratified_error(by_group[:, apart.argmax()], draw)
    return cycles + (least + most) / 2 - cycles.max(), replace(error, bias=abs(most - least) / 2)


def stratified_error(by_group: FloatArray, draw: Draw) -> Estimate:
    """The error of the sum over all groups, from `by_group` [drawn], to which a line was fitted (Cochran, 1977, §5.6).

    Added is what the draw of those groups adds that stand for one more than others.
    """
    variance, counts = 0.0, np.bincount(draw.stratum)
    for number, count in enumerate(counts):
        own, size = by_group[draw.stratum == number], int(draw.sizes[number])
        apart, more = float(own.var(ddof=1)), size % count
        variance += (size * (size - count) / count + more * (1 - more / count)) * apart
    freedom = draw.drawn.size - counts.size
    return Estimate(
        variance=variance * freedom / (freedom - 1), freedom=float(freedom - 1), drawn=draw.drawn.size,
        groups=draw.donor.size,
    )  # fmt: skip
