"""Schedules of pairs of a row and a column that multiply only where both have a value.

Rows and columns are packed: words[group, unit, chunk, word] has a bit for each position of the chunk
(`datapaths.lanes.units.pack_side`). A *unit* is a vector, or all that a tile has at once where they advance together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.bits import count_ones
from swatsim.kernels.compile import kernel
from swatsim.kernels.elastic import advance

ZERO = np.uint64(0)
ONE = np.uint64(1)
# Counts of a lane in a chunk of at most 65536 steps.
PLANES = 17


class PairRule(NamedTuple):
    """Cycles of a chunk."""

    lanes: int
    own_lane: bool  # a lane takes only its own values: the fullest lane decides; else all lanes share them
    fewest: NDArray[np.int64]  # [chunk]: cycles that it takes however empty it is


class PairDealing(NamedTuple):
    """Which pairs are where, and who waits for whom; tiles are numbered with row tiles fastest."""

    rows: int  # row units that a tile has at once, and column units
    columns: int
    row_tiles: int
    column_tiles: int
    set_slots: int  # of rows · columns slots a tile, consecutive ones that wait for each other
    by_chunk: bool  # they wait after each chunk, else after each buffer
    depth: int  # chunks or buffers that a slot may be ahead


@kernel
def fullest_lane(row: NDArray[np.uint64], column: NDArray[np.uint64], chunk: int, planes: NDArray[np.uint64]) -> int:
    """The most values that row and column [chunk, word], of a step a word, have in common in one lane of a chunk.

    Bit i of planes[b] is bit b of the count of lane i.
    """
    used = 0
    for step in range(row.shape[1]):
        carry = row[chunk, step] & column[chunk, step]
        plane = 0
        while carry != ZERO:
            if plane == used:
                planes[plane] = ZERO
                used += 1
            carried = planes[plane] & carry
            planes[plane] ^= carry
            carry = carried
            plane += 1
    most, candidates = 0, ~ZERO
    for plane in range(used - 1, -1, -1):
        if candidates & planes[plane] != ZERO:
            candidates &= planes[plane]
            most += 1 << plane
    return most


@kernel
def in_common(row: NDArray[np.uint64], column: NDArray[np.uint64], chunk: int) -> int:
    """How many values row and column [chunk, word] have in common in a chunk."""
    count = np.int64(0)
    for word in range(row.shape[1]):
        count += count_ones(row[chunk, word] & column[chunk, word])
    return int(count)


@kernel
def pair_chunks(
    row: NDArray[np.uint64],
    column: NDArray[np.uint64],
    rule: PairRule,
    planes: NDArray[np.uint64],
    work: NDArray[np.int64],
) -> None:
    """Set work[chunk] to a pair's cycles, or work[0] to their sum where it has a single place."""
    work[:] = 0
    last = work.shape[0] - 1
    for chunk in range(row.shape[0]):
        if rule.own_lane:
            cycles = fullest_lane(row, column, chunk, planes)
        else:
            cycles = in_common(row, column, chunk)
            if rule.lanes > 1:  # a division takes longer than counting a chunk
                cycles = -(-cycles // rule.lanes)
        work[min(chunk, last)] += max(rule.fewest[chunk], cycles)


@kernel
def wait_for_pairs(
    rows: NDArray[np.uint64],
    columns: NDArray[np.uint64],
    rule: PairRule,
    dealing: PairDealing,
    cycles: NDArray[np.int64],
    busy: NDArray[np.int64],
) -> None:
    """Set cycles[set, group · row rounds + row round, column round], and busy[slot] to the cycles of its own work.

    Row rounds are the outer ones. If `cycles` has a single column round, it is the sum of all.
    """
    groups, row_units, chunks, _ = rows.shape
    rows_at_once, columns_at_once = dealing.rows * dealing.row_tiles, dealing.columns * dealing.column_tiles
    row_rounds, column_rounds = -(-row_units // rows_at_once), -(-columns.shape[1] // columns_at_once)
    finished = np.zeros((cycles.shape[0], dealing.set_slots), np.int64)
    gates = np.zeros((cycles.shape[0], dealing.depth + 1), np.int64)
    work = np.empty((dealing.set_slots, chunks if dealing.by_chunk else 1), np.int64)
    planes = np.empty(PLANES, np.uint64)
    cycles[:] = 0
    busy[:] = 0
    for group in range(groups):
        for row_round in range(row_rounds):
            for column_round in range(column_rounds):
                for barrier_set in range(cycles.shape[0]):
                    for member in range(dealing.set_slots):
                        slot = barrier_set * dealing.set_slots + member
                        tile, place = slot // (dealing.rows * dealing.columns), slot % (dealing.rows * dealing.columns)
                        row = row_round * rows_at_once + tile % dealing.row_tiles * dealing.rows
                        row += place // dealing.columns
                        column = column_round * columns_at_once + tile // dealing.row_tiles * dealing.columns
                        column += place % dealing.columns
                        if slot >= busy.shape[0] or row >= row_units or column >= columns.shape[1]:
                            work[member] = -1
                            continue
                        pair_chunks(rows[group, row], columns[group, column], rule, planes, work[member])
                        busy[slot] += work[member].sum()
                    before = gates[barrier_set, dealing.depth]
                    advance(work, finished[barrier_set], gates[barrier_set])
                    inner = min(column_round, cycles.shape[2] - 1)
                    taken = gates[barrier_set, dealing.depth] - before
                    cycles[barrier_set, group * row_rounds + row_round, inner] += taken
