"""How many bytes an operand takes in each storage format."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Count = TypeVar("Count", int, NDArray[np.int64])


def dense_bytes(values: Count, nonzeros: Count, value_bytes: int) -> Count:
    """Every value, zeros too."""
    return values * value_bytes


def bitmap_bytes(values: Count, nonzeros: Count, value_bytes: int) -> Count:
    """The non-zero values, and one bit for each value."""
    return nonzeros * value_bytes + -(-values // 8)


FORMATS: dict[str, Callable[..., NDArray[np.int64]]] = {"dense": dense_bytes, "bitmap": bitmap_bytes}


def stored_bytes(name: str, values: object, nonzeros: object, value_bytes: int) -> NDArray[np.int64]:
    """Bytes of pieces with the given numbers of values and non-zeros, each stored by itself."""
    values_array, nonzeros_array = np.asarray(values, dtype=np.int64), np.asarray(nonzeros, dtype=np.int64)
    return np.asarray(FORMATS[name](values_array, nonzeros_array, value_bytes), dtype=np.int64)
