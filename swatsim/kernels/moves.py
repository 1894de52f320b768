"""Schedules in which an idle lane takes a value from a few steps ahead and a few lanes aside.

The lanes of a row are a *field* of a word, and a word has as many fields as fit. The rows of a unit lie in the fields
of its *places*, words[step, place]: one shift reaches the neighbours of all their lanes, and one loop all units.

docs/datapaths/lanes.md, moves, has the rules; `swatsim.datapaths.lanes.moves` makes the tables of lanes and turns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import kernel

Words = NDArray[np.uint64]
IntArray = NDArray[np.int64]

ZERO, ONE = np.uint64(0), np.uint64(1)
WORD_BITS = 64
STEPS_AT_ONCE = 8  # that are laid out together: a cache line of a row
# Rows of scratch that a schedule needs, and how many more besides those of the counts to count candidates.
SCRATCH_ROWS, SCRATCH_ROWS_TO_COUNT = 6, 3


class MoveRule(NamedTuple):
    """Who takes from where.

    A *turn* brings to each lane of a field the value of the lane some way aside: by how many bits to the right, by how
    many to the left, which lanes get theirs from the right, and which from the left.
    """

    lanes: int
    unit_rows: int  # that advance together
    count_bits: int  # of a number of moves
    takes: Words  # [take]: (steps ahead, lanes that take, turn), one after another


@kernel
def rotate(word: np.uint64, right: np.uint64, left: np.uint64, low: np.uint64, high: np.uint64) -> np.uint64:
    """Bring to each lane the value that the turn names."""
    return word >> right & low | word << left & high


@kernel
def rotate_back(word: np.uint64, right: np.uint64, left: np.uint64, low: np.uint64, high: np.uint64) -> np.uint64:
    """Return to their lanes the values that `rotate` brought."""
    return (word & low) << right | (word & high) >> left


@kernel
def fill_in_order(words: Words, step: int, takes: Words, idle: Words) -> None:
    """Move values of later steps to idle[place], lanes that are idle no more then, by one take after another."""
    for take in range(takes.shape[0]):
        source, lanes = step + np.int64(takes[take, 0]), takes[take, 1]
        right, left, low, high = takes[take, 2], takes[take, 3], takes[take, 4], takes[take, 5]
        for place in range(idle.shape[0]):
            taken = rotate(words[source, place], right, left, low, high) & idle[place] & lanes
            idle[place] ^= taken
            words[source, place] ^= rotate_back(taken, right, left, low, high)


@kernel
def count_candidates(words: Words, step: int, takes: Words, idle: Words, counts: Words) -> None:
    """Set counts[bit, place]: bit by bit, how many takes find a value for an idle lane; the last row is scratch."""
    carry = counts.shape[0] - 1
    for bit in range(carry):
        for place in range(idle.shape[0]):
            counts[bit, place] = ZERO
    for take in range(takes.shape[0]):
        source = step + np.int64(takes[take, 0])
        right, left, low, high = takes[take, 2], takes[take, 3], takes[take, 4], takes[take, 5]
        for place in range(idle.shape[0]):
            found = rotate(words[source, place], right, left, low, high) & idle[place]
            counts[carry, place] = counts[0, place] & found
            counts[0, place] ^= found
        bit = 1
        while take + 1 >> bit:
            for place in range(idle.shape[0]):
                carried = counts[bit, place] & counts[carry, place]
                counts[bit, place] ^= counts[carry, place]
                counts[carry, place] = carried
            bit += 1


@kernel
def beat_rivals(counts: Words, rivals: Words, first: Words, beats: Words) -> None:
    """Keep, in first[place], the lanes that have more candidates than each of their rivals, or as many and are lower.

    rivals[distance]: (lanes that are lower than the one so far aside, its turn). Counts are compared from the lowest
    bit on: the highest one that differs decides.
    """
    for rival in range(rivals.shape[0]):
        lower = rivals[rival, 0]
        right, left, low, high = rivals[rival, 1], rivals[rival, 2], rivals[rival, 3], rivals[rival, 4]
        for place in range(first.shape[0]):
            beats[place] = lower
        for bit in range(counts.shape[0] - 1):
            for place in range(first.shape[0]):
                count = counts[bit, place]
                differs = count ^ rotate(count, right, left, low, high)
                beats[place] = beats[place] & ~differs | count & differs
        for place in range(first.shape[0]):
            first[place] &= beats[place] & ~rotate_back(beats[place], right, left, low, high)


@kernel
def fill_most_candidates(words: Words, step: int, takes: Words, rivals: Words, idle: Words, scratch: Words) -> None:
    """Fill, again and again, the idle lane with the most candidates (the lowest on a tie) by its first candidate.

    Only rivals, which reach a place in common, change each other's count, and no count grows. So a lane that is before
    all of its rivals is served before them whatever else happens, and all such lanes are served at once.
    """
    first, beats, counts = scratch[0], scratch[1], scratch[2:]
    while True:
        count_candidates(words, step, takes, idle, counts)
        some = ZERO
        for place in range(idle.shape[0]):
            first[place] = counts[0, place]
        for bit in range(1, counts.shape[0] - 1):
            for place in range(idle.shape[0]):
                first[place] |= counts[bit, place]
        for place in range(idle.shape[0]):
            some |= first[place]
        if some == ZERO:
            return
        beat_rivals(counts, rivals, first, beats)
        for place in range(idle.shape[0]):
            idle[place] ^= first[place]
        fill_in_order(words, step, takes, first)


@kernel
def lay_fields(rows: Words, lanes: int, unit_rows: int, words: Words) -> None:
    """Add to words[step, place] units of `unit_rows` rows[row, step]: part p of unit u is place p · units + u."""
    fields = WORD_BITS // lanes
    units = -(-rows.shape[0] // unit_rows)
    for start in range(0, rows.shape[1], STEPS_AT_ONCE):
        for row in range(rows.shape[0]):
            unit, of_unit = row // unit_rows, row % unit_rows
            place, shift = of_unit // fields * units + unit, np.uint64(of_unit % fields * lanes)
            for step in range(start, min(start + STEPS_AT_ONCE, rows.shape[1])):
                words[step, place] |= rows[row, step] << shift


@kernel
def begin_step(here: Words, passed: Words, lookahead: np.uint64, filled: Words, idle: Words) -> None:
    """Set idle[place] of a step, and filled[unit]: all bits, or none where the step is passed.

    It is passed where it is empty in every row of a unit when it is reached, but at most `lookahead` times in a row.
    """
    units = passed.shape[0]
    for unit in range(units):
        filled[unit] = here[unit]
    for first in range(units, here.shape[0], units):
        for unit in range(units):
            filled[unit] |= here[first + unit]
    for unit in range(units):
        passes = (filled[unit] == ZERO) & (passed[unit] < lookahead)
        passed[unit] = passed[unit] + ONE if passes else ZERO
        filled[unit] = ZERO if passes else ~ZERO
    for first in range(0, here.shape[0], units):
        for unit in range(units):
            idle[first + unit] = filled[unit] & ~here[first + unit]


@kernel
def end_step(step: int, idle: Words, filled: Words, lookahead: np.uint64, counters: Words) -> None:
    """Count a step unless it is dropped: counters[:, unit] are cycles, steps dropped just before, steps empty at first.

    A step is empty where as many lanes are idle as if it had not had a value; idle[unit] is what is left of them.
    """
    units = filled.shape[0]
    for unit in range(units):
        idle[unit] ^= filled[unit]
    for first in range(units, idle.shape[0], units):
        for unit in range(units):
            idle[unit] |= idle[first + unit] ^ filled[unit]
    for unit in range(units):
        empty = idle[unit] == ZERO
        dropped = empty & (counters[1, unit] < lookahead)
        counters[0, unit] += ZERO if dropped else ONE
        counters[1, unit] = counters[1, unit] + ONE if dropped else ZERO
        counters[2, unit] += ONE if empty & (counters[2, unit] == np.uint64(step)) else ZERO


@kernel
def schedule_units(
    rows: Words, rule: MoveRule, rivals: Words | None, work: Words, cycles: IntArray, after: IntArray
) -> None:
    """Count the cycles of units of rows[row, step]; work[row, place] are zeros for steps, lookahead and scratch.

    Empty steps are dropped, at most `lookahead` in a row, and that run carries over from the buffer before:
    cycles[unit, run] and after[unit, run] are a buffer's cycles and the run it ends with, for run = 0 ... lookahead.
    From the first step on that has a value, all runs are the same. Without rivals, the takes are in the lanes' order.
    """
    units, turns = cycles.shape
    steps, lookahead = rows.shape[1], np.uint64(turns - 1)
    lay_fields(rows, rule.lanes, rule.unit_rows, work)
    scratch = work[steps + turns - 1 :]
    counters, passed, filled, idle = scratch[:3, :units], scratch[3, :units], scratch[4, :units], scratch[5]
    for step in range(steps):
        begin_step(work[step], passed, lookahead, filled, idle)
        if rivals is None:
            fill_in_order(work, step, rule.takes, idle)
        else:
            fill_most_candidates(work, step, rule.takes, rivals, idle, scratch[SCRATCH_ROWS:])
        end_step(step, idle, filled, lookahead, counters)
    for unit in range(units):
        count, dropped, empty = np.int64(counters[0, unit]), np.int64(counters[1, unit]), np.int64(counters[2, unit])
        for run in range(turns):
            cycles[unit, run] = count - empty // turns + (run + empty) // turns
            after[unit, run] = dropped if empty < steps else (run + steps) % turns
