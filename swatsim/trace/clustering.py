"""How far a mask is from a random one: trained weights cluster by filter and channel, which rows that wait feel."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from swatsim.bits import BitTensor

_PIECE_ELEMENTS = 1 << 22


def clustering(mask: BitTensor, axis: int = 0) -> float:
    """Standard deviation of the non-zeros per slice along `axis`, divided by that of a random mask.

    The random mask has as many non-zeros in as many places, so its counts are hypergeometric (Bernoulli's variance,
    less for the fixed total): 1.0 means no more clustered than chance. NaN where nothing varies.
    """
    slices, kept, total = mask.shape[axis], mask.nonzeros, mask.size
    if slices < 2 or kept in (0, total):
        return math.nan
    counts = _counts(mask, axis % len(mask.shape))
    density, each = kept / total, total // slices
    variance = each * density * (1 - density) * (total - each) / (total - 1)
    return float(np.sqrt(counts.var() / variance))


def _counts(mask: BitTensor, axis: int) -> NDArray[np.int64]:
    """Non-zeros of each slice; only a piece of the mask is unpacked at a time."""
    slices, run = mask.shape[axis], math.prod(mask.shape[axis + 1 :])
    counts = np.zeros(slices, dtype=np.int64)
    whole = slices * run  # elements until the first slice comes again
    step = max(1, _PIECE_ELEMENTS // whole) * whole if whole <= _PIECE_ELEMENTS else _PIECE_ELEMENTS
    for start in range(0, mask.size, step):
        present = mask.unpacked(start, min(start + step, mask.size)).view(np.uint8)
        if whole <= _PIECE_ELEMENTS:
            counts += present.reshape(-1, slices, run).sum(axis=(0, 2), dtype=np.int64)
        else:
            runs = np.arange(start // run, (start + present.size - 1) // run + 1)
            sums = np.add.reduceat(present, np.maximum(runs * run - start, 0), dtype=np.int64)
            np.add.at(counts, runs % slices, sums)
    return counts
