"""Count the placeholder entries of run-length storage."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import kernel


@kernel
def count_fillers(
    present: NDArray[np.uint8],
    base: NDArray[np.int64],
    offset: NDArray[np.int64],
    run_bits: int,
    fillers: NDArray[np.int64],
) -> None:
    """Set fillers[vector] of the vectors present[base[vector] + offset[element]].

    An entry's `run_bits` bits count the zeros before it, so 1 << run_bits zeros in a row are a filler: an entry
    of its own whose value is zero. The zeros after the last value present take none. `present` is 0 or 1.
    """
    for vector in range(base.shape[0]):
        start = base[vector]
        run = np.int64(0)  # zeros since the last value present
        count = np.int64(0)
        for element in range(offset.shape[0]):
            value = np.int64(present[start + offset[element]])
            # Without a branch: where the next zero is, no processor can tell.
            count += (run & -value) >> run_bits
            run = (run + 1) & (value - 1)
        fillers[vector] = count


@kernel
def count_line_fillers(lines: NDArray[np.uint8] | NDArray[np.bool_], run_bits: int, fillers: NDArray[np.int64]) -> None:
    """Set fillers[line] of the lines of a tensor, lines[line, element] in the order of storage; see `count_fillers`."""
    for line in range(lines.shape[0]):
        run = np.int64(0)
        count = np.int64(0)
        for element in range(lines.shape[1]):
            value = np.int64(lines[line, element])
            count += (run & -value) >> run_bits
            run = (run + 1) & (value - 1)
        fillers[line] = count
