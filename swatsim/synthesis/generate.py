"""Random bits with given statistics: normal variables that are correlated as measured, cut where the densities say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from swatsim.bits import BitTensor
from swatsim.synthesis.fields import draw
from swatsim.synthesis.margins import Bounds, Ints, draw_counts
from swatsim.synthesis.scattered import count_within, largest
from swatsim.synthesis.statistics import Maps, TensorStatistics, as_maps, from_maps

Scores = NDArray[np.float32]  # as Maps: the largest are present

_ROUNDS = 3  # after which the counts of channels move by less than they are rounded
_FAR = 64.0  # beyond all scores
_LEAST_OWN = 0.05  # of the variance


def generate(
    statistics: TensorStatistics,
    shape: tuple[int, ...],
    random: np.random.Generator,
    *,
    channels_last: bool = False,
    least: BitTensor | None = None,
    most: BitTensor | None = None,
) -> BitTensor:
    """Draw a tensor: of its elements round(density * size) are present.

    Parameters
    ----------
    channels_last : an activation or gradient of a linear layer.
    least, most : what must be present, and what may be; as the top-K of an activation must lie within its non-zeros.

    Raises SwatsimError where no such number of elements is within the limits.
    """
    limits = [None if each is None else as_maps(each.to_bool(), channels_last=channels_last) for each in (least, most)]
    maps = as_maps(np.empty(shape, dtype=np.bool_), channels_last=channels_last).shape
    scores = _limited(_scores(statistics, maps, random), limits, _FAR)
    fewest, available = (
        fallback if given is None else int(given.sum())
        for given, fallback in zip(limits, (0, scores.size), strict=True)
    )
    total = count_within(statistics.density, scores.size, fewest, available)
    channels = draw_counts(statistics.channels, _bounds(scores, 1, limits), total, random)
    slices = draw_counts(statistics.slices, _bounds(scores, 0, limits), total, random)
    for _ in range(_ROUNDS):
        _cut(scores, 1, channels)
        _cut(scores, 0, slices)
    # Slices and channels without a choice may have been shifted far.
    chosen = largest(_limited(scores, limits, np.inf), total)
    return BitTensor.from_array(from_maps(chosen, shape, channels_last=channels_last))


def _scores(statistics: TensorStatistics, shape: tuple[int, ...], random: np.random.Generator) -> Scores:
    """Normal variables: what all maps share at a place, what a slice's or a channel's do, and what is a map's own."""
    count, width, *sizes = shape
    place = (sizes[0], sizes[1])
    places = place[0] * place[1]
    everywhere = statistics.elsewhere
    shared = (
        (everywhere, (1, 1)),
        (statistics.same_slice.plus(everywhere, -1.0), (count, 1)),
        (statistics.same_channel.plus(everywhere, -1.0), (1, width)),
    )
    # A correlation of slices or channels that is the same at all distances is in their densities already.
    fields = [
        (draw(correlation.without_mean(places), maps[0] * maps[1], place, random), correlation, maps)
        for correlation, maps in shared
    ]
    drawn = [(field, correlation, maps) for field, correlation, maps in fields if field is not None]
    variance = sum(correlation.without_mean(places).at_zero for _, correlation, _ in drawn)
    own = statistics.same_map
    for correlation, _ in shared:
        own = own.plus(correlation, -1.0)
    own = replace(own, at_zero=max(1 - variance, _LEAST_OWN))
    scores = draw(own, count * width, place, random)
    assert scores is not None
    scores = scores.reshape(shape)
    for field, _, maps in drawn:
        scores += field.reshape(*maps, *place)
    return scores


def _limited(scores: Scores, limits: list[Maps | None], far: float) -> Scores:
    """The scores, those of what must be present and of what may not be moved far away."""
    least, most = limits
    if least is not None:
        scores[least] += far
    if most is not None:
        scores[~most] -= far
    return scores


def _bounds(scores: Scores, axis: int, limits: list[Maps | None]) -> Bounds:
    others = tuple(each for each in range(scores.ndim) if each != axis)
    size = scores.size // scores.shape[axis]
    least, most = (
        np.full(scores.shape[axis], fallback) if given is None else given.sum(axis=others, dtype=np.int64)
        for given, fallback in zip(limits, (0, size), strict=True)
    )
    return Bounds(least=least, most=most)


def _cut(scores: Scores, axis: int, counts: Ints) -> None:
    """Move the scores of each slice along an axis so that as many as `counts` says are positive."""
    moved = np.moveaxis(scores, axis, 0)
    ranked = np.sort(moved.reshape(len(counts), -1), axis=1)
    index, last = np.arange(len(counts)), ranked.shape[1] - 1
    below = ranked[index, np.clip(last - counts, 0, last)]
    above = ranked[index, np.clip(last + 1 - counts, 0, last)]
    threshold = np.where(counts <= 0, above + 1, np.where(counts > last, below - 1, (below + above) / 2))
    moved -= threshold.astype(np.float32).reshape(-1, 1, 1, 1)
