"""How far off an estimate may be: variances of stratified samples, and their intervals (docs/sampling.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from swatsim.sampling.design import DRAWN_IN_STRATUM, Draw, FloatArray

CONFIDENCE = 0.95
MOST_REPLICATES = 32
_NORMAL = 1.959963984540054  # two-sided quantile of the normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Error of a number that was estimated: variance of the estimate, and the degrees of freedom that it has itself."""

    variance: float = 0.0
    freedom: float = math.inf
    bias: float = 0.0  # that it may have in either direction
    drawn: int = 0  # groups that were simulated
    groups: int = 0  # in all

    @property
    def half_width(self) -> float:
        """Half of the width of the interval."""
        return self.bias + (student_quantile(self.freedom) * math.sqrt(self.variance) if self.variance else 0.0)


EXACT = Estimate()


def combined(estimates: Sequence[Estimate]) -> Estimate:
    """The error of a sum of numbers that were estimated independently (F. E. Satterthwaite, Biometrics, 1946).

    Chance evens out in a sum, biases do not: all maxima are biased in one direction.
    """
    variance = math.fsum(each.variance for each in estimates)
    spread = math.fsum(each.variance**2 / each.freedom for each in estimates)
    return Estimate(
        variance=variance, freedom=variance**2 / spread if spread else math.inf,
        bias=math.fsum(each.bias for each in estimates),
        drawn=sum(each.drawn for each in estimates), groups=sum(each.groups for each in estimates),
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


def replicate_weights(draw: Draw) -> FloatArray:
    """Weights [replicate, drawn] of balanced repeated replication: one of each pair weighs more, the other less.

    How much follows from the part of the stratum that is drawn, so that a whole one has no error (J. N. K. Rao and
    J. Shao, "Modified Balanced Repeated Replication for Complex Survey Data", Biometrika, 1999).
    """
    signs = np.ones((1, 1))
    while signs.shape[0] <= min(draw.sizes.size, MOST_REPLICATES - 1):
        signs = np.block([[signs, signs], [signs, -signs]])
    # The first column of a Hadamard matrix of this kind is constant; strata beyond the last share one.
    of_stratum = signs[:, 1 + np.arange(draw.sizes.size) % (signs.shape[0] - 1)]
    by = np.sqrt(1 - DRAWN_IN_STRATUM / draw.sizes)
    first = np.zeros(draw.drawn.size)
    for number in range(draw.sizes.size):
        one, other = np.flatnonzero(draw.stratum == number)
        first[one], first[other] = 1, -1
    return np.asarray(draw.weights * (1 + (of_stratum * by)[:, draw.stratum] * first))


def replicated_error(estimate: float, replicates: FloatArray, by_group: FloatArray, draw: Draw) -> Estimate:
    """The error of an estimate, of which `replicates` were made with `replicate_weights`.

    Parameters
    ----------
    by_group : cycles [drawn] that a line fitted through the sample does not explain: it takes a degree of freedom.

    The variance is that of the replicates. They have the noise of the sample a second time, so that what they are off
    on average is what the first time may have added, to a maximum say. Added is what the draw of those groups adds that
    stand for one more than the other of their stratum.
    """
    freedom = min(draw.sizes.size, replicates.size - 1)
    variance = float(np.square(replicates - replicates.mean()).mean())
    for number, size in enumerate(draw.sizes):
        one, other = by_group[draw.stratum == number]
        variance += size % 2 * float((one - other) ** 2) / 4
    return Estimate(
        variance=variance * freedom / (freedom - 1), freedom=float(freedom - 1),
        bias=abs(float(replicates.mean()) - estimate), drawn=draw.drawn.size, groups=draw.donor.size,
    )  # fmt: skip


def slowest(known: FloatArray, residual: FloatArray, spread: float) -> FloatArray:
    """Cycles [...] of the slowest barrier set, where residuals [..., set] differ `spread` times as much as they do."""
    mean = residual.mean(axis=-1, keepdims=True)
    return np.asarray((known + mean + spread * (residual - mean)).max(axis=-1))


def spread_factor(chance: float, means: float, drawn: int, groups: float) -> float:
    """What the deviations of places that wait for each other are to be multiplied by, once they are scaled up.

    Parameters
    ----------
    chance : variance of the deviations of one group, summed over the places.
    means : squares of the mean deviations of the groups drawn, summed over the places.

    The sums of a sample, scaled up, differ more than the sums of the whole: chance evens out with the square root of
    the groups, only what differs in each of them stays. The factor gives the imputed sums the spread that those of the
    whole have (T. A. Louis, "Estimating a Population of Parameter Values Using Bayes and Empirical Bayes Methods",
    JASA, 1984), so that their maximum is not too large.
    """
    lasting = max(0.0, means - chance / drawn)
    seen = lasting + chance / drawn
    return math.sqrt((lasting + chance / groups) / seen) if seen else 1.0


def spread_of_sets(by_group: FloatArray, groups: int) -> float:
    """`spread_factor` of barrier sets, from the cycles [drawn, set] of the groups drawn."""
    apart = by_group - by_group.mean(axis=1, keepdims=True)
    chance, means = float(apart.var(axis=0, ddof=1).sum()), float(np.square(apart.mean(axis=0)).sum())
    return spread_factor(chance, means, by_group.shape[0], groups)
