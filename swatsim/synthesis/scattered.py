"""Random bits that are anywhere, exactly as many as a density says: of a large tensor, a piece is drawn at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.bits import BitTensor, empty_words
from swatsim.errors import SwatsimError

_CHUNK_ELEMENTS = 1 << 22  # a multiple of 8: each chunk fills whole bytes
_SMALL_ELEMENTS = 1 << 16  # of so few, the scores are kept
_FAR = np.finfo(np.float32).max  # beyond all scores but those of what must be or may not be present
# Around the score that is expected to divide what is present from the rest; the last holds every score.
_DEVIATIONS = (8.0, 64.0, math.inf)
_NORMAL = NormalDist()


class _Band(NamedTuple):
    """Above it all are present, below it none, and what is within is decided when all of it is known."""

    low: np.float32
    high: np.float32


class _Limits(NamedTuple):
    """What must be present, and what may be; None: nothing, and everything."""

    least: BitTensor | None
    most: BitTensor | None


def bernoulli(
    density: float,
    shape: tuple[int, ...],
    random: np.random.Generator,
    *,
    least: BitTensor | None = None,
    most: BitTensor | None = None,
) -> BitTensor:
    """Draw a tensor whose round(density * size) elements are anywhere, but for the limits that `generate` has."""
    limits = _Limits(least, most)
    size = math.prod(shape)
    fewest, available = _counts(limits, size)
    total = count_within(density, size, fewest, available)
    start = random.bit_generator.state
    for deviations in _DEVIATIONS:
        # Another band is for the same scores.
        random.bit_generator.state = start
        words = empty_words(size)
        within = _marked(words, random, size, _band(total - fewest, available - fewest, deviations), limits)
        if within.scores.size >= (missing := total - within.above) >= 0:
            break
    present = within.places[largest(within.scores, missing)]
    np.bitwise_or.at(words.view(np.uint8), present >> 3, np.uint8(1) << (present & 7).astype(np.uint8))
    return BitTensor(shape=shape, packed=None) if total == size else BitTensor.of_words(shape, words)


def count_within(density: float, size: int, fewest: int, most: int) -> int:
    """How many elements a density says. Raises SwatsimError where the limits allow no such number."""
    total = round(density * size)
    if not fewest <= total <= most:
        raise SwatsimError(f"density: got {total} of {size} elements, expected {fewest} to {most} as the limits say")
    return total


def largest(scores: NDArray[np.float32], count: int) -> NDArray[np.bool_]:
    """Mark exactly so many of the largest; of equal ones the first."""
    flat = scores.reshape(-1)
    if count <= 0:
        return np.zeros(scores.shape, dtype=np.bool_)
    threshold = np.partition(flat, flat.size - count)[flat.size - count]
    chosen = flat > threshold
    chosen[np.flatnonzero(flat == threshold)[: count - int(chosen.sum())]] = True
    marked: NDArray[np.bool_] = chosen.reshape(scores.shape)
    return marked


class _Within(NamedTuple):
    """The scores within a band by place, ascending, and how many are above it."""

    above: int
    places: NDArray[np.int64]
    scores: NDArray[np.float32]


def _marked(words: NDArray[np.uint64], random: np.random.Generator, size: int, band: _Band, limits: _Limits) -> _Within:
    """Set the bits of what is above the band."""
    in_bytes = words.view(np.uint8)
    above, places, kept = 0, [], []
    for start, scores in _chunks(random, size, limits):
        present = scores > band.high
        packed = np.packbits(present, bitorder="little")
        in_bytes[start // 8 : start // 8 + packed.size] = packed
        above += int(np.count_nonzero(present))
        within = np.flatnonzero((scores >= band.low) & ~present)
        places.append(within + start)
        kept.append(scores[within])
    return _Within(above, np.concatenate(places), np.concatenate(kept))


def _chunks(random: np.random.Generator, size: int, limits: _Limits) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The scores from each first element on, moved away where a limit decides: consecutive draws are one stream."""
    for start in range(0, max(size, 1), _CHUNK_ELEMENTS):
        stop = min(start + _CHUNK_ELEMENTS, size)
        scores = random.standard_normal(stop - start, dtype=np.float32)
        if limits.least is not None:
            scores[_piece(limits.least, start, stop)] = np.inf
        if limits.most is not None:
            scores[~_piece(limits.most, start, stop)] = -np.inf
        yield start, scores


def _piece(bits: BitTensor, start: int, stop: int) -> NDArray[np.bool_]:
    if bits.packed is None:
        return np.ones(stop - start, dtype=np.bool_)
    packed = bits.packed[start // 8 : -(-stop // 8)]
    return np.unpackbits(packed, count=stop - start, bitorder="little").view(np.bool_)


def _counts(limits: _Limits, size: int) -> tuple[int, int]:
    least, most = limits
    return 0 if least is None else least.nonzeros, size if most is None else most.nonzeros


def _band(count: int, free: int, deviations: float) -> _Band:
    """Where the score of the last of `count` present ones is, by the normal distribution of all `free` ones."""
    if free <= _SMALL_ELEMENTS or math.isinf(deviations):
        return _Band(np.float32(-_FAR), np.float32(_FAR))
    # The 1 is for the rarest, whose number varies by more than its root.
    ranks = deviations * (math.sqrt(count * (free - count) / free) + 1)
    return _Band(_score_of(count + ranks, free), _score_of(count - ranks, free))


def _score_of(rank: float, free: int) -> np.float32:
    """The score that about `rank` of `free` are above."""
    if rank <= 0:
        return np.float32(_FAR)
    return np.float32(-_FAR if rank >= free else -_NORMAL.inv_cdf(rank / free))
