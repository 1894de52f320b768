"""Outer products of condensed vectors, each in pieces of the unit's size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import kernel


@kernel
def multiply_pieces(rows: NDArray[np.int32], columns: NDArray[np.int32], cycles: NDArray[np.int64]) -> None:
    """Set cycles[row block, column block]: each piece of the rows meets each of the columns, element by element.

    Rows and columns [block, element of the reduction] are how many pieces a block has there.
    """
    for row in range(rows.shape[0]):
        for column in range(columns.shape[0]):
            total = np.int64(0)
            for element in range(rows.shape[1]):
                total += rows[row, element] * columns[column, element]
            cycles[row, column] = total
