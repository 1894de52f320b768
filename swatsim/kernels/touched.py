"""Collect the lines of a tensor that a block of vectors touches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import kernel


@kernel
def touched_bytes(
    intervals: tuple[NDArray[np.int64], NDArray[np.int64]],
    line_bytes: NDArray[np.int64],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    stored: NDArray[np.int64],
    runs: NDArray[np.int64],
) -> None:
    """Set stored[format, block] and runs[block] of the lines that intervals first[block] ... last[block] touch.

    Interval i touches the lines intervals[0][i] up to intervals[1][i]; line_bytes[format, line]. What several intervals
    of a block touch counts once. `runs` are the pieces of consecutive lines.
    """
    line_start, line_stop = intervals
    stamp = np.zeros(line_bytes.shape[1] + 2, dtype=np.int64)  # a line that never is touched at each end
    for block in range(first.shape[0]):
        stored[:, block] = 0
        found = np.int64(0)
        for interval in range(first[block], last[block] + 1):
            for line in range(line_start[interval], line_stop[interval]):
                if stamp[line + 1] == block + 1:
                    continue
                stamp[line + 1] = block + 1
                for form in range(line_bytes.shape[0]):
                    stored[form, block] += line_bytes[form, line]
                found += 1 - np.int64(stamp[line] == block + 1) - np.int64(stamp[line + 2] == block + 1)
        runs[block] = found
