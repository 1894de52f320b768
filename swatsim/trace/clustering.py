"""How far a mask is from a random one: trained weights cluster by filter and channel, which rows that wait feel."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def clustering(mask: NDArray[np.bool_], axis: int = 0) -> float:
    """Standard deviation of the non-zeros per slice along `axis`, divided by that of a random mask.

    The random mask has as many non-zeros in as many places, so its counts are hypergeometric (Bernoulli's variance,
    less for the fixed total): 1.0 means no more clustered than chance. NaN where nothing varies.
    """
    slices = mask.shape[axis]
    counts = np.moveaxis(mask, axis, 0).reshape(slices, -1).sum(axis=1)
    kept, total = int(counts.sum()), mask.size
    if slices < 2 or kept in (0, total):
        return math.nan
    density, each = kept / total, total // slices
    variance = each * density * (1 - density) * (total - each) / (total - 1)
    return float(np.sqrt(counts.var() / variance))
