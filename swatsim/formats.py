"""How many bytes an operand takes in each storage format."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]


def dense_bytes(values: Counts, nonzeros: Counts, value_bytes: int) -> Counts:
    """Every value, zeros too."""
    return values * value_bytes


def bitmap_bytes(values: Counts, nonzeros: Counts, value_bytes: int) -> Counts:
    """The non-zero values, and one bit for each value."""
    return nonzeros * value_bytes + -(-values // 8)


FORMATS: dict[str, Callable[[Counts, Counts, int], Counts]] = {"dense": dense_bytes, "bitmap": bitmap_bytes}


def stored_bytes(name: str, values: object, nonzeros: object, value_bytes: int) -> NDArray[np.int64]:
    """Bytes of pieces with the given numbers of values and non-zeros (broadcast), each stored by itself."""
    all_values, all_nonzeros = np.broadcast_arrays(
        np.asarray(values, dtype=np.int64), np.asarray(nonzeros, dtype=np.int64)
    )
    return FORMATS[name](all_values, all_nonzeros, value_bytes)
