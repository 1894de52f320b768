"""What rows have left in each chunk of steps, where idle lanes take values from anywhere in it.

words[row, step] has bit i set where lane i of the step has a value, as `gather.gather_words` reads them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.bits import count_ones
from swatsim.kernels.compile import kernel

ONE = np.uint64(1)


@kernel
def unite_rows(words: NDArray[np.uint64], unit_rows: int, united: NDArray[np.uint64]) -> None:
    """Set united[unit, step]: the lanes that have a value in any of the `unit_rows` rows of the unit."""
    united[:] = 0
    for row in range(words.shape[0]):
        for step in range(words.shape[1]):
            united[row // unit_rows, step] |= words[row, step]


@kernel
def count_by_lane(words: NDArray[np.uint64], chunk_steps: int, counts: NDArray[np.int64]) -> None:
    """Set counts[row, chunk, lane]: the values of each lane in each chunk of steps."""
    counts[:] = 0
    for row in range(words.shape[0]):
        for step in range(words.shape[1]):
            word = words[row, step]
            for lane in range(counts.shape[2]):
                counts[row, step // chunk_steps, lane] += np.int64(word >> np.uint64(lane) & ONE)


@kernel
def fullest_group(words: NDArray[np.uint64], shape: tuple[int, int, int], fullest: NDArray[np.int64]) -> None:
    """Set fullest[unit, chunk]: the most values that a group of neighbouring lanes of a step has, in any row of a unit.

    `shape`: lanes of a group, steps of a chunk, rows of a unit.
    """
    group_lanes, chunk_steps, unit_rows = shape
    fullest[:] = 0
    mask, shift = ~np.uint64(0) >> np.uint64(64 - group_lanes), np.uint64(group_lanes & 63)
    for row in range(words.shape[0]):
        for step in range(words.shape[1]):
            rest, most = words[row, step], np.int64(0)
            while rest:
                most = max(most, count_ones(rest & mask))
                rest = rest >> shift if group_lanes < 64 else np.uint64(0)
            fullest[row // unit_rows, step // chunk_steps] = max(fullest[row // unit_rows, step // chunk_steps], most)
