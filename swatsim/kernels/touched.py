"""Collect the lines of a tensor that a block of vectors touches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import kernel

IntArray = NDArray[np.int64]

# Columns of what a side's blocks load: bytes off chip, in the resident level, and of these what is not there yet; then
# runs of consecutive lines.
COMING, HELD, ARRIVING, RUNS = range(4)
COLUMNS = 4


@kernel
def sum_lines(coming: IntArray, kept: IntArray, new: NDArray[np.bool_], line_sums: IntArray) -> None:
    """Set line_sums[line, COMING ...] of all lines before, from what each has off chip and where it goes.

    new: [line] that are not there yet.
    """
    line_sums[0] = 0
    for line in range(new.shape[0]):
        before, after = line_sums[line], line_sums[line + 1]
        after[COMING] = before[COMING] + (coming[line] if new[line] else 0)
        after[HELD] = before[HELD] + kept[line]
        after[ARRIVING] = before[ARRIVING] + (kept[line] if new[line] else 0)


@kernel
def tie_intervals(intervals: IntArray, line_sums: IntArray, tied: IntArray) -> bool:
    """Count what each interval touches beyond the one before it; False if they are not in order, or one is empty.

    Interval i touches the lines intervals[i, 0] up to intervals[i, 1]. Sets tied[i, COMING ...], counted from the first
    interval on.
    """
    for interval in range(intervals.shape[0]):
        start, stop = intervals[interval]
        reached = start
        if interval > 0:
            before, reached = intervals[interval - 1]
            if start < before or stop < reached:
                return False
        if start >= stop:
            return False
        seen = max(start, reached)
        for column in range(RUNS):
            tied[interval, column] = line_sums[stop, column] - line_sums[seen, column]
        tied[interval, RUNS] = np.int64(interval == 0 or start > reached)
        if interval > 0:
            for column in range(COLUMNS):
                tied[interval, column] += tied[interval - 1, column]
    return True


@kernel
def tied_bytes(
    intervals: IntArray, line_sums: IntArray, tied: IntArray, edges: tuple[int, int], loaded: IntArray
) -> None:
    """The same as `touched_bytes` of intervals that `tie_intervals` has tied."""
    first, last = edges
    start, stop = intervals[first]
    for column in range(RUNS):
        own = line_sums[stop, column] - line_sums[start, column]
        loaded[column] = own + tied[last, column] - tied[first, column]
    loaded[RUNS] = 1 + tied[last, RUNS] - tied[first, RUNS]


@kernel
def touched_bytes(
    intervals: IntArray, line_sums: IntArray, stamps: tuple[IntArray, int], edges: tuple[int, int], loaded: IntArray
) -> None:
    """Set loaded[COMING ...] of the lines that the intervals of a block, the first to the last of `edges`, touch.

    What several of them touch counts once. stamps: [line + 1] with a line that is never touched at each end, and a
    number that is in none of them.
    """
    stamp, number = stamps
    loaded[:] = 0
    for interval in range(edges[0], edges[1] + 1):
        for line in range(intervals[interval, 0], intervals[interval, 1]):
            if stamp[line + 1] == number:
                continue
            stamp[line + 1] = number
            for column in range(RUNS):
                loaded[column] += line_sums[line + 1, column] - line_sums[line, column]
            loaded[RUNS] += 1 - np.int64(stamp[line] == number) - np.int64(stamp[line + 2] == number)
