"""Schedules of pairs of a row and a column that multiply only where both have a value.

Rows and columns are packed: a word of a chunk of a unit has a bit for each of its positions
(`datapaths.lanes.units.pack_side`). A *unit* is a vector, or all that a tile has at once where they advance together.
rows[group, unit, chunk, word] are those of a row one after another; columns[group, chunk, word, unit] lie side by side,
so that a row meets several of them at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.bits import ALL, count_ones
from swatsim.kernels.compile import array_kernel, kernel

ZERO = np.uint64(0)
# Counts of a lane in a chunk of at most 65536 steps.
PLANES = 17
# Of the columns that all rows of a round meet before the next ones: what stays in a first-level cache.
CACHED_WORDS = 1 << 12
# Columns that a row meets at once: more do not make it faster.
MOST_COLUMNS = 1 << 9
# 1 / lanes in units of 2**-32: rounded up, it divides all that a chunk can have (65536 steps of 64 lanes) exactly.
SHIFT = 32


class PairRule(NamedTuple):
    """Cycles of a chunk."""

    lanes: int
    own_lane: bool  # a lane takes only its own values: the fullest lane decides; else all lanes share them
    fewest: NDArray[np.int64]  # [chunk]: cycles that it takes however empty it is


class Room(NamedTuple):
    """What is made anew for each row, segment or round."""

    work: NDArray[np.int64]  # as `pair_row` sets it
    planes: NDArray[np.uint64]  # of `fullest_lane`
    slowest: NDArray[np.int64]  # [row tile, column]: as `run_row` sets it
    taken: NDArray[np.int64]  # [set, round]: as `wait_for_sets` sets it
    finished: NDArray[np.int64]  # [row, column of a round]: when each slot ended its last segment
    gates: NDArray[np.int64]  # [set, ...]: as `open_gates` has them


class PairDealing(NamedTuple):
    """Which pairs are where, and who waits for whom; tiles are numbered with row tiles fastest."""

    rows: int  # row units that a tile has at once, and column units
    columns: int
    row_tiles: int
    column_tiles: int
    set_tiles: int  # consecutive ones whose slots, rows · columns each, wait for each other
    by_chunk: bool  # they wait after each chunk, else after each buffer
    depth: int  # chunks or buffers that a slot may be ahead


@kernel
def fullest_lane(row: NDArray[np.uint64], columns: NDArray[np.uint64], column: int, planes: NDArray[np.uint64]) -> int:
    """The most values that a row [word] and a column, of a step a word, have in common in one lane.

    Bit i of planes[b] is bit b of the count of lane i.
    """
    used = 0
    for step in range(row.shape[0]):
        carry = row[step] & columns[step, column]
        plane = 0
        while carry != ZERO:
            if plane == used:
                planes[plane] = ZERO
                used += 1
            carried = planes[plane] & carry
            planes[plane] ^= carry
            carry = carried
            plane += 1
    most, candidates = 0, ALL
    for plane in range(used - 1, -1, -1):
        if candidates & planes[plane] != ZERO:
            candidates &= planes[plane]
            most += 1 << plane
    return most


@kernel
def count_in_common(
    row: NDArray[np.uint64], columns: NDArray[np.uint64], first: int, counts: NDArray[np.int64]
) -> None:
    """Add to counts[i] how many values a row [word] and column first + i have in common."""
    end, last = first + counts.shape[0], row.shape[0] - 1
    # Two words at once, so that counts are fetched less often; the last one may have no other.
    for word in range(0, row.shape[0], 2):
        row0, column0 = row[word], columns[word, first:end]
        row1, column1 = row[word + 1] if word < last else ZERO, columns[min(word + 1, last), first:end]
        for i in range(counts.shape[0]):
            counts[i] += count_ones(row0 & column0[i]) + count_ones(row1 & column1[i])


@kernel
def pair_row(
    row: NDArray[np.uint64], columns: NDArray[np.uint64], place: tuple[int, int], rule: PairRule,
    planes: NDArray[np.uint64], work: NDArray[np.int64],
) -> None:  # fmt: skip
    """Set work[0, i] to the cycles of a row [chunk, word] and column first + i; work[1] is scratch.

    place: the first column, and the end of the columns.
    """
    first, width = place[0], place[1] - place[0]
    work[:, :width] = 0
    reciprocal = -(-(1 << SHIFT) // rule.lanes)
    for chunk in range(row.shape[0]):
        fewest = rule.fewest[chunk]
        as_counted = rule.lanes == 1 and fewest == 0
        counts = work[0, :width] if as_counted else work[1, :width]
        if rule.own_lane:
            for i in range(width):
                counts[i] += fullest_lane(row[chunk], columns[chunk], first + i, planes)
        else:
            count_in_common(row[chunk], columns[chunk], first, counts)
        if not as_counted:
            for i in range(width):
                cycles = counts[i] if rule.own_lane else (counts[i] + rule.lanes - 1) * reciprocal >> SHIFT
                work[0, i] += max(fewest, cycles)
                counts[i] = 0


@kernel
def run_row(
    work: NDArray[np.int64], depth: int, finished: NDArray[np.int64], busy: NDArray[np.int64],
    slowest: NDArray[np.int64],
) -> None:  # fmt: skip
    """Let the slots of a row do work[column], of one round or more: add to `busy`, and find who is the `slowest` yet.

    Where slots may be ahead, that is by when they have `finished`, else by the work of this segment.
    """
    for start in range(0, work.shape[0], busy.shape[0]):
        of_round = work[start : start + busy.shape[0]]
        for i in range(of_round.shape[0]):
            busy[i] += of_round[i]
    if depth > 0:
        for i in range(work.shape[0]):
            finished[i] += work[i]
            slowest[i] = max(slowest[i], finished[i])
    else:
        for i in range(work.shape[0]):
            slowest[i] = max(slowest[i], work[i])


@kernel
def wait_for_sets(slowest: NDArray[np.int64], dealing: PairDealing, rounds: int, taken: NDArray[np.int64]) -> None:
    """Set taken[set, round] to the most of slowest[row tile, column of all rounds] in the tiles of a set."""
    at_once = dealing.columns * dealing.column_tiles
    taken[:] = 0
    for tile in range(dealing.row_tiles * dealing.column_tiles):
        of_set, of_tile = taken[tile // dealing.set_tiles], slowest[tile % dealing.row_tiles]
        first = tile // dealing.row_tiles * dealing.columns
        for number in range(rounds):
            for column in range(number * at_once + first, number * at_once + first + dealing.columns):
                of_set[number] = max(of_set[number], of_tile[column])


@kernel
def open_gates(
    taken: NDArray[np.int64], dealing: PairDealing, gates: NDArray[np.int64], finished: NDArray[np.int64]
) -> None:
    """Make of when each set has ended a segment, taken[set, 0], by how much later that is than the one before.

    gates[set] are when all had ended the last segments, the oldest first: no slot begins the next one before that.
    """
    for barrier_set in range(gates.shape[0]):
        of_set = gates[barrier_set]
        newest = max(of_set[dealing.depth], taken[barrier_set, 0])
        taken[barrier_set, 0] = newest - of_set[dealing.depth]
        for age in range(dealing.depth):
            of_set[age] = of_set[age + 1]
        of_set[dealing.depth] = newest
    for row in range(finished.shape[0]):
        for column in range(finished.shape[1]):
            tile = column // dealing.columns * dealing.row_tiles + row // dealing.rows
            finished[row, column] = max(finished[row, column], gates[tile // dealing.set_tiles, 0])


@array_kernel
def wait_for_pairs(
    rows: NDArray[np.uint64], columns: NDArray[np.uint64], rule: PairRule, dealing: PairDealing,
    cycles: NDArray[np.int64], busy: NDArray[np.int64],
) -> None:  # fmt: skip
    """Add to cycles[set, group · row rounds + row round, column round], and to busy[row, column of a round] of slots.

    Row rounds are the outer ones. If `cycles` has a single column round, it is the sum of all.
    """
    chunks, words = rows.shape[2:]
    (row_slots, column_slots), sets = busy.shape, cycles.shape[0]
    column_rounds = -(-columns.shape[3] // column_slots)
    length = 1 if dealing.by_chunk else chunks
    # Who may be ahead is known only when the round before has been run.
    cached = min(MOST_COLUMNS, CACHED_WORDS // (length * words)) // column_slots
    block = 1 if dealing.depth > 0 else max(1, min(column_rounds, cached))
    most = block * column_slots
    room = Room(
        np.empty((2, most), np.int64), np.empty(PLANES, np.uint64), np.empty((dealing.row_tiles, most), np.int64),
        np.empty((sets, block), np.int64), np.zeros((row_slots, column_slots), np.int64),
        np.zeros((sets, dealing.depth + 1), np.int64),
    )  # fmt: skip
    pair_in_rounds((rows, columns), rule, dealing, (length, block), room, (cycles, busy))


@kernel
def pair_in_rounds(
    sides: tuple[NDArray[np.uint64], NDArray[np.uint64]], rule: PairRule, dealing: PairDealing,
    at_once: tuple[int, int], room: Room, found: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> None:  # fmt: skip
    """As `wait_for_pairs`, so many chunks and column rounds at once; found: cycles and busy."""
    (rows, columns), (length, block), (cycles, busy) = sides, at_once, found
    groups, units, chunks, _ = rows.shape
    (row_slots, column_slots), sets = busy.shape, cycles.shape[0]
    row_rounds, column_rounds = -(-units // row_slots), -(-columns.shape[3] // column_slots)
    slowest, taken, finished = room.slowest, room.taken, room.finished
    for outer in range(groups * row_rounds):
        group, first_row = outer // row_rounds, outer % row_rounds * row_slots
        for inner in range(0, column_rounds, block):
            rounds, column = min(block, column_rounds - inner), inner * column_slots
            end = min(column + block * column_slots, columns.shape[3])
            for chunk in range(0, chunks, length):
                of_columns = columns[group, chunk : chunk + length]
                of_rule = PairRule(rule.lanes, rule.own_lane, rule.fewest[chunk : chunk + length])
                slowest[:] = 0
                for row in range(min(row_slots, units - first_row)):
                    of_row = rows[group, first_row + row, chunk : chunk + length]
                    pair_row(of_row, of_columns, (column, end), of_rule, room.planes, room.work)
                    work, of_tile = room.work[0, : end - column], slowest[row // dealing.rows]
                    run_row(work, dealing.depth, finished[row], busy[row], of_tile)
                wait_for_sets(slowest, dealing, rounds, taken)
                if dealing.depth > 0:
                    open_gates(taken, dealing, room.gates, finished)
                for of_set in range(sets):
                    for number in range(rounds):
                        cycles[of_set, outer, min(inner + number, cycles.shape[2] - 1)] += taken[of_set, number]
