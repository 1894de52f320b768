"""Who waits for whom where a slot may be some segments ahead of the slowest of its set.

Units, slots and sets are those of `barrier`. A slot begins segment s of the set's work when it has finished s - 1
itself and all slots of the set have finished segment s - 1 - depth: with depth 0, that is a barrier after each.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import array_kernel, kernel


class Clocks(NamedTuple):
    """Where the slots of one set are."""

    finished: NDArray[np.int64]  # [slot]: the cycle in which its last segment ended
    gates: NDArray[np.int64]  # [depth + 1]: when all had ended the last segments, the oldest first
    runs: NDArray[np.int64]  # [slot]: steps dropped just before (`moves.schedule_units`)


class Waiting(NamedTuple):
    """Who waits for whom."""

    slots: int  # to which units are dealt in order
    set_slots: int  # consecutive ones wait for each other
    depth: int


@array_kernel
def start_clocks(slots: int, depth: int) -> Clocks:
    """Clocks of a set before its first cycle."""
    return Clocks(np.zeros(slots, np.int64), np.zeros(depth + 1, np.int64), np.zeros(slots, np.int64))


@kernel
def advance(work: NDArray[np.int64], finished: NDArray[np.int64], gates: NDArray[np.int64]) -> None:
    """Let each slot run its segments: work[slot, segment] cycles, negative where the slot has nothing to do."""
    depth = gates.shape[0] - 1
    for segment in range(work.shape[1]):
        slowest = gates[depth]
        for slot in range(work.shape[0]):
            if work[slot, segment] >= 0:
                finished[slot] = max(finished[slot], gates[0]) + work[slot, segment]
                slowest = max(slowest, finished[slot])
        for age in range(depth):
            gates[age] = gates[age + 1]
        gates[depth] = slowest


@kernel
def is_as_before(clocks: Clocks, before: Clocks, units: int, later: int) -> bool:
    """Whether the first `units` slots stand as they did `later` cycles before."""
    same = True
    for slot in range(units):
        same = same and clocks.finished[slot] == before.finished[slot] + later
        same = same and clocks.runs[slot] == before.runs[slot]
    for age in range(clocks.gates.shape[0]):
        same = same and clocks.gates[age] == before.gates[age] + later
    return same


@array_kernel
def repeat_buffer(cycles: NDArray[np.int64], after: NDArray[np.int64], repeats: int, clocks: Clocks) -> int:
    """Run a set's buffers `repeats` times; returns the cycles that it takes.

    cycles[unit, segment, run] and after[unit, run] are as in `wait_elastically`. Once the slots stand as they did some
    repeats before, all goes on in this way, and is not walked through.
    """
    units, segments, _ = cycles.shape
    newest = clocks.gates.shape[0] - 1
    start = clocks.gates[newest]
    work = np.empty((units, segments), np.int64)
    before = Clocks(clocks.finished.copy(), clocks.gates.copy(), clocks.runs.copy())
    seen, done = 0, 0
    while done < repeats:
        for unit in range(units):
            for segment in range(segments):
                work[unit, segment] = cycles[unit, segment, clocks.runs[unit]]
            clocks.runs[unit] = after[unit, clocks.runs[unit]]
        advance(work, clocks.finished[:units], clocks.gates)
        done += 1
        later = clocks.gates[newest] - before.gates[newest]
        if is_as_before(clocks, before, units, later):
            times = (repeats - done) // (done - seen)
            clocks.finished[:units] += times * later
            clocks.gates[:] += times * later
            done += times * (done - seen)
        # Looked at again after 1, 2, 4, ... repeats: whatever its period is, it is found.
        if done >= 2 * seen:
            seen = done
            before.finished[:] = clocks.finished
            before.gates[:] = clocks.gates
            before.runs[:] = clocks.runs
    return int(clocks.gates[newest] - start)


@array_kernel
def wait_elastically(
    cycles: NDArray[np.int64],
    after: NDArray[np.int64],
    waiting: Waiting,
    repeats: int,
    set_cycles: NDArray[np.int64],
) -> None:
    """Set set_cycles[set, group·rounds + round] to the cycles by which a round is finished later than the one before.

    cycles[group, unit, segment, run] are those of a segment of a buffer before which `run` steps were dropped, and
    after[group, unit, run] is the run that the buffer ends with; each round of units is repeated.
    """
    groups, units = cycles.shape[:2]
    rounds = -(-units // waiting.slots)
    for barrier_set in range(set_cycles.shape[0]):
        clocks = start_clocks(waiting.set_slots, waiting.depth)
        for group in range(groups):
            for turn in range(rounds):
                first = turn * waiting.slots + barrier_set * waiting.set_slots
                last = min(first + waiting.set_slots, (turn + 1) * waiting.slots, units)
                taken = 0
                if first < last:
                    taken = repeat_buffer(cycles[group, first:last], after[group, first:last], repeats, clocks)
                set_cycles[barrier_set, group * rounds + turn] = taken
