"""Pairs of normal variables that are cut at thresholds: from the covariance of the cut ones to their correlation."""

from __future__ import annotations

from functools import cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_NORMAL = NormalDist()
_STRONGEST = 0.9999
_RAREST = 1e-6  # a density below this, or as close to 1, has the threshold of this one
_NODES = 513


def thresholds(densities: Floats) -> Floats:
    """The values below which a standard normal variable is with these probabilities."""
    return np.array([_NORMAL.inv_cdf(min(max(density, _RAREST), 1 - _RAREST)) for density in densities])


def probabilities(values: Floats) -> Floats:
    """The probabilities that a standard normal variable is below these values: the inverse of `thresholds`."""
    return np.array([_NORMAL.cdf(value) for value in values])


@cache
def scores(count: int) -> tuple[float, ...]:
    """Thresholds at the middles of `count` equal shares: what ranks are replaced by."""
    return tuple(_NORMAL.inv_cdf((rank + 0.5) / count) for rank in range(count))


class CutPairs(NamedTuple):
    """Correlations, ascending, and the covariance that pairs of that correlation have once they are cut."""

    correlation: Floats
    covariance: Floats

    def correlation_of(self, covariance: Floats) -> Floats:
        """The correlation before the cut; the nearest where no correlation gives this covariance."""
        return np.interp(covariance, self.covariance, self.correlation)


def cut_pairs(first: Floats, second: Floats) -> CutPairs:
    """Covariances of pairs cut at thresholds (first[i], second[i]), averaged over i.

    By the derivative of the bivariate normal distribution with respect to its correlation, which is its density.
    """
    correlation = _STRONGEST * np.sin(np.linspace(-np.pi / 2, np.pi / 2, _NODES))
    rest = 1 - correlation[:, np.newaxis] ** 2
    distance = first**2 - 2 * correlation[:, np.newaxis] * first * second + second**2
    slope = (np.exp(-distance / (2 * rest)) / (2 * np.pi * np.sqrt(rest))).mean(axis=1)
    summed = np.concatenate([[0.0], np.cumsum((slope[1:] + slope[:-1]) / 2 * np.diff(correlation))])
    return CutPairs(correlation, summed - np.interp(0.0, correlation, summed))
