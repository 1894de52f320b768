"""Who waits for whom: from the cycles of single schedules to those of sets of slots that share barriers.

A *unit* is what has a schedule of its own (a row, or the rows of a tile); a *slot* is the hardware that runs it.
Units are dealt to the slots in order, round by round; `set_slots` consecutive slots wait for each other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import array_kernel, kernel


@kernel
def wait_at_segments(
    cycles: NDArray[np.int64],
    slots: int,
    set_slots: int,
    repeats: int,
    set_cycles: NDArray[np.int64],
) -> None:
    """Set set_cycles[set, group·rounds + round] from cycles[group, unit, segment], each round repeated.

    The slots of a set wait for their slowest at the end of each segment.
    """
    groups, units, segments = cycles.shape
    rounds = -(-units // slots)
    for group in range(groups):
        for turn in range(rounds):
            for barrier_set in range(set_cycles.shape[0]):
                first = turn * slots + barrier_set * set_slots
                last = min(first + set_slots, (turn + 1) * slots, units)
                total = 0
                for segment in range(segments):
                    slowest = 0
                    for unit in range(first, last):
                        slowest = max(slowest, cycles[group, unit, segment])
                    total += slowest
                set_cycles[barrier_set, group * rounds + turn] = total * repeats


@array_kernel
def wait_at_buffers(
    cycles: NDArray[np.int64],
    after: NDArray[np.int64],
    slots: int,
    set_slots: int,
    repeats: int,
    set_cycles: NDArray[np.int64],
) -> None:
    """As `wait_at_segments`, for buffers whose cycles depend on the run of steps dropped just before them.

    cycles[group, unit, run] are a buffer's cycles after `run` dropped steps, after[...] the run it ends with;
    each slot carries its run on from buffer to buffer.
    """
    groups, units, _ = cycles.shape
    rounds = -(-units // slots)
    run = np.zeros(slots, dtype=np.int64)
    for group in range(groups):
        for turn in range(rounds):
            for barrier_set in range(set_cycles.shape[0]):
                first = turn * slots + barrier_set * set_slots
                last = min(first + set_slots, (turn + 1) * slots, units)
                total, done = 0, 0
                while done < repeats:
                    slowest, settled = 0, True
                    for unit in range(first, last):
                        slot = unit - turn * slots
                        before = run[slot]
                        slowest = max(slowest, cycles[group, unit, before])
                        run[slot] = after[group, unit, before]
                        settled = settled and run[slot] == before
                    # A run that ends as it began repeats for ever: the rest need not be walked through.
                    times = repeats - done if settled else 1
                    total += slowest * times
                    done += times
                set_cycles[barrier_set, group * rounds + turn] = total
