"""How the density varies along one axis (filters, channels, images): summarised, and drawn again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swatsim.synthesis.normal import Floats, probabilities, scores, thresholds

Ints = NDArray[np.int64]

# The shares of slices at which quantiles are kept: closer at the ends, where a few make the others wait.
SHARES = (0.0, 0.01, 0.03, 0.08, 0.15, 0.25, 0.4, 0.6, 0.75, 0.85, 0.92, 0.97, 0.99, 1.0)
GROUPS = (2, 4, 16)  # neighbours whose densest is looked at: rows that wait for each other
_DRAWS = 64
_UNRELATED = 0.05  # correlations that are left out
_FINE = 256
_FARTHEST = 12.0  # standard deviations
_HALVINGS = 60
_LARGEST_FACTOR = 1e6
_FEWEST = 8  # slices below which neighbours say nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """Densities of the slices along an axis.

    `quantiles` are at `SHARES`, `neighbours` is the correlation of the ranks of one slice and the next, `maxima` the
    mean over groups of neighbours of the densest one's, for those of `GROUPS` that are smaller than the axis.
    """

    quantiles: tuple[float, ...]
    neighbours: float
    maxima: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How many elements of each slice must be present, and how many may be."""

    least: Ints
    most: Ints


def measure_margin(densities: Floats) -> Margin:
    """Summarise the densities of the slices, in their order."""
    return Margin(
        quantiles=tuple(map(float, np.quantile(densities, SHARES))),
        neighbours=_neighbours(densities),
        maxima=tuple(_maxima(densities, len(densities))),
    )


def at_density(margin: Margin, density: float) -> Margin:
    """The margin that the same tensor has at another density: all thresholds move by as much."""
    levels = thresholds(densities_of(margin, _FINE))
    low, high = -_FARTHEST, _FARTHEST
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if probabilities(levels + middle).mean() > density else (middle, high)

    def moved(values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(map(float, probabilities(thresholds(np.array(values)) + low)))

    return Margin(quantiles=moved(margin.quantiles), neighbours=margin.neighbours, maxima=moved(margin.maxima))


def densities_of(margin: Margin, slices: int) -> Floats:
    """The densities of so many slices, ascending."""
    return np.interp(np.linspace(0, 1, slices), SHARES, margin.quantiles)


def draw_counts(margin: Margin, bounds: Bounds, total: int, random: np.random.Generator) -> Ints:
    """How many elements of each slice are present, `total` together.

    Of several orders of the densities the one is taken whose groups of neighbours are most like the measured ones.
    Where the bounds differ from slice to slice, their order is that of the densities.
    """
    slices, size = len(bounds.most), int(bounds.most.max())
    densities = densities_of(margin, slices)
    if np.ptp(bounds.least) or np.ptp(bounds.most):
        order = np.argsort(np.lexsort((random.random(slices), bounds.least + bounds.most)))
        return _whole(densities[order] * size, bounds, total)
    best, least, wanted = densities, np.inf, np.array(margin.maxima[: _groups(slices)])
    for _ in range(_DRAWS):
        drawn = densities[_ranks(slices, margin.neighbours, random)]
        error = float(np.square(_maxima(drawn, slices) - wanted).sum())
        if error < least:
            best, least = drawn, error
        if error == 0:
            break
    return _whole(best * size, bounds, total)


def _groups(slices: int) -> int:
    return sum(group < slices for group in GROUPS)


def _maxima(densities: Floats, slices: int) -> Floats:
    groups = GROUPS[: _groups(slices)]
    return np.array([np.maximum.reduceat(densities, np.arange(0, slices, group)).mean() for group in groups])


def _neighbours(densities: Floats) -> float:
    slices = len(densities)
    if slices < _FEWEST or not np.ptp(densities):
        return 0.0
    score = np.array(scores(slices))[np.argsort(np.argsort(densities, kind="stable"))]
    return float((score[1:] * score[:-1]).mean() / np.square(score).mean())


def _ranks(slices: int, neighbours: float, random: np.random.Generator) -> Ints:
    """A permutation whose neighbours are correlated: ranks of an autoregressive series."""
    series = random.standard_normal(slices)
    if abs(neighbours) > _UNRELATED:
        rest = np.sqrt(max(0.0, 1 - neighbours**2))
        for index in range(1, slices):
            series[index] = neighbours * series[index - 1] + rest * series[index]
    return np.argsort(np.argsort(series))


def _whole(wanted: Floats, bounds: Bounds, total: int) -> Ints:
    """Integers within the bounds, as near to a multiple of what is wanted as their total allows."""
    low, high = 0.0, 2.0
    while high < _LARGEST_FACTOR and np.clip(wanted * high, bounds.least, bounds.most).sum() < total:
        high *= 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (
            (low, middle) if np.clip(wanted * middle, bounds.least, bounds.most).sum() > total else (middle, high)
        )
    exact = np.clip(wanted * low, bounds.least, bounds.most)
    counts = np.floor(exact).astype(np.int64)
    while (missing := total - int(counts.sum())) > 0:
        # The largest remainders first; slices that are full take no more.
        nearest = np.argsort(np.where(counts < bounds.most, counts - exact, np.inf), kind="stable")
        chosen = nearest[: min(missing, int((counts < bounds.most).sum()))]
        counts[chosen] += 1
    return counts
