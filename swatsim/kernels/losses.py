"""Where cycles go between the ideal and the actual ones: counts for the causes of `way.Losses`."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.gather import count_present

# A side's values: present, base[group, vector], offset[...], as in `sides.Side`.
Values: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]


def count_by_element(side: Values, group: int) -> NDArray[np.int64]:
    """Vectors of a group in which each element of the reduction is present."""
    present, base, offset = side
    by_vector, by_element = np.empty(base.shape[1], dtype=np.int64), np.empty(offset.size, dtype=np.int64)
    count_present(present, base[group], offset.reshape(-1), by_vector, by_element)
    return by_element


def count_met(rows: Values, columns: Values) -> int:
    """Multiply positions of all groups at which both values are present."""
    groups = rows[1].shape[0]
    return sum(int((count_by_element(rows, g) * count_by_element(columns, g)).sum()) for g in range(groups))


def waiting(totals: NDArray[np.int64], tasks: NDArray[np.int64], compute_cycles: int) -> tuple[int, int, int]:
    """Cycles lost because places [tile, place] with equally many tasks have unequal work.

    `totals` are the cycles of each place, `tasks` how many it got. Returns what the rows of a tile lose, what the tiles
    lose, and what is lost by waiting more often than once. Places that got fewer tasks than others lose those at the
    average cost of a task, which is in none of the three.
    """
    busy, dealt, free = int(totals.sum()), int(tasks.sum()), int(totals.max())
    absent = (int(tasks.max()) * tasks.size - dealt) * busy // max(1, dealt * tasks.size)
    slowest = int(totals.max(axis=1).sum()) // totals.shape[0]
    between_tiles, within_tiles = free - slowest, slowest - busy // totals.size
    rest = max(0, absent - between_tiles)
    return max(0, within_tiles - rest), max(0, between_tiles - absent), compute_cycles - free
