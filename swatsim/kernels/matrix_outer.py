"""Outer products of condensed vectors: how many pieces of the unit's size each element of the reduction takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import kernel


@kernel
def count_pieces(
    present: NDArray[np.uint8],
    base: NDArray[np.int64],
    offset: NDArray[np.int64],
    block: int,
    piece: int,
    pieces: NDArray[np.int32],
) -> None:
    """Set pieces[block, element]: pieces of `piece` values that hold what `block` consecutive vectors have there.

    Value (vector, element) is present[base[vector] + offset[element]].
    """
    pieces[:] = 0
    for vector in range(base.shape[0]):
        counts, start = pieces[vector // block], base[vector]
        for element in range(offset.shape[0]):
            counts[element] += present[start + offset[element]]
    for number in range(pieces.shape[0]):
        for element in range(offset.shape[0]):
            pieces[number, element] = -(-pieces[number, element] // piece)


@kernel
def multiply_pieces(rows: NDArray[np.int32], columns: NDArray[np.int32], cycles: NDArray[np.int64]) -> None:
    """Set cycles[row block, column block]: each piece of the rows meets each of the columns, element by element."""
    for row in range(rows.shape[0]):
        for column in range(columns.shape[0]):
            total = np.int64(0)
            for element in range(rows.shape[1]):
                total += rows[row, element] * columns[column, element]
            cycles[row, column] = total
