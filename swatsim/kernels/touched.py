"""Collect the lines of a tensor that a block of vectors touches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import kernel

IntArray = NDArray[np.int64]


@kernel
def tie_intervals(intervals: IntArray, line_sums: IntArray, tied: IntArray) -> bool:
    """Count what each interval touches beyond the one before it; False if they are not in order, or one is empty.

    Interval i touches the lines intervals[0, i] up to intervals[1, i]; line_sums[format, line] are the bytes of all
    lines before. Sets tied[i] = (bytes in each format ..., runs of lines), counted from the first interval on.
    """
    forms, reached = line_sums.shape[0], np.int64(0)
    for interval in range(intervals.shape[1]):
        start, stop = intervals[0, interval], intervals[1, interval]
        if start >= stop or stop < reached or (interval > 0 and start < intervals[0, interval - 1]):
            return False
        for column in range(forms + 1):
            tied[interval, column] = tied[interval - 1, column] if interval > 0 else 0
        for form in range(forms):
            tied[interval, form] += line_sums[form, stop] - line_sums[form, max(start, reached)]
        tied[interval, forms] += np.int64(interval == 0 or start > reached)
        reached = stop
    return True


@kernel
def sum_lines(
    line_bytes: tuple[IntArray, IntArray], new: NDArray[np.bool_], intervals: IntArray, line_sums: IntArray,
    tied: IntArray,
) -> bool:  # fmt: skip
    """Set line_sums[COMING ..., line] of what each line has off chip and where it goes; tie the intervals if possible.

    new: [line] that are not there yet.
    """
    coming, kept = line_bytes
    line_sums[:, 0] = 0
    for line in range(new.shape[0]):
        for form in range(3):
            line_sums[form, line + 1] = line_sums[form, line]
        line_sums[1, line + 1] += kept[line]
        if new[line]:
            line_sums[0, line + 1] += coming[line]
            line_sums[2, line + 1] += kept[line]
    return tie_intervals(intervals, line_sums, tied)


@kernel
def tied_bytes(
    intervals: IntArray, line_sums: IntArray, tied: IntArray, first: IntArray, last: IntArray, stored: IntArray
) -> None:
    """The same as `touched_bytes` of intervals that `tie_intervals` has tied."""
    forms = line_sums.shape[0]
    for block in range(first.shape[0]):
        begin, end = first[block], last[block]
        for form in range(forms):
            own = line_sums[form, intervals[1, begin]] - line_sums[form, intervals[0, begin]]
            stored[form, block] = own + tied[end, form] - tied[begin, form]
        stored[forms, block] = 1 + tied[end, forms] - tied[begin, forms]


@kernel
def touched_bytes(intervals: IntArray, line_sums: IntArray, first: IntArray, last: IntArray, stored: IntArray) -> None:
    """Set stored[format, block] of the lines that intervals first[block] ... last[block] touch.

    What several intervals of a block touch counts once. The last row of `stored` gets the runs of consecutive lines.
    """
    lines, forms = line_sums.shape[1] - 1, line_sums.shape[0]
    stamp = np.zeros(lines + 2, dtype=np.int64)  # a line that never is touched at each end
    stored[:] = 0
    for block in range(first.shape[0]):
        for interval in range(first[block], last[block] + 1):
            for line in range(intervals[0, interval], intervals[1, interval]):
                if stamp[line + 1] == block + 1:
                    continue
                stamp[line + 1] = block + 1
                for form in range(forms):
                    stored[form, block] += line_sums[form, line + 1] - line_sums[form, line]
                stored[forms, block] += 1 - np.int64(stamp[line] == block + 1) - np.int64(stamp[line + 2] == block + 1)
