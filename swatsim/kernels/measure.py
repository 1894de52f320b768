"""What the blocks of one side ask of each level of the memory (docs/model.md §3)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.blocks import (
    LOAD,
    LOAD_LEVEL,
    SIDE_BUSY,
    SIDE_LEVEL_FIELDS,
    START_ROUND,
    STOP_ROUND,
)
from swatsim.kernels.compile import kernel
from swatsim.kernels.search import (
    BLOCK_ROOM,
    COUNT,
    FIRST,
    FIRST_LOAD,
    LEVEL_COLUMNS,
    LOAD_BYTES,
    LOAD_CYCLES,
    MOVED,
    OF_LEVEL,
    ONCE,
    ROUNDS_OF_OTHER,
    TILE_ROUNDS,
    TILES,
    WRITTEN,
)

IntArray = NDArray[np.int64]

# Columns of a path: an on-chip level counted from 0, whether each tile has its own, and the bytes of it that hold this
# operand (-1: unlimited).
LEVEL, IN_TILES, KEEPS = range(3)
UNLIMITED = -1
# The first load of a cut before the first part of the reduction is measured.
UNKNOWN = -1
# Rows of what a side's blocks load: bytes off chip, in the resident level, and of these what is not there yet.
COMING, HELD, ARRIVING = range(3)
READ, WRITE, FILL = range(3)


class Dealing(NamedTuple):
    """How vectors are dealt to the rounds of a side; groups are dealt one after another."""

    groups: int
    vectors: int  # of a group
    per_tile: int
    at_once: int
    rounds: int  # of a group


class Residence(NamedTuple):
    """The level where blocks are kept, and what the other side makes of it."""

    level: int  # counted from off chip
    in_tiles: bool
    width: int  # bytes a cycle read or written; 0: unlimited
    fill_width: int  # bytes a cycle written by the level above; 0: unlimited
    other_tiles: int  # of the other side
    outer: bool  # this side's rounds are the outer ones of each block
    more_room: int  # bytes that are there already and stay, besides what the blocks touch


@kernel
def sum_rounds(vector_bytes: IntArray, dealing: Dealing, largest: IntArray, total: IntArray) -> None:
    """Set sums over the rounds from the first one on: of the tile that has most in each, and of all tiles."""
    number = 0
    largest[0] = total[0] = 0
    for group in range(dealing.groups):
        for turn in range(dealing.rounds):
            most, whole = np.int64(0), np.int64(0)
            stop = min((turn + 1) * dealing.at_once, dealing.vectors)
            for first in range(turn * dealing.at_once, stop, dealing.per_tile):
                of_tile = np.int64(0)
                for vector in range(first, min(first + dealing.per_tile, stop)):
                    of_tile += vector_bytes[group * dealing.vectors + vector]
                most, whole = max(most, of_tile), whole + of_tile
            number += 1
            largest[number] = largest[number - 1] + most
            total[number] = total[number - 1] + whole


@kernel
def stays(sums: IntArray, rounds: tuple[int, int], room: int, outer: bool) -> bool:
    """Whether a level keeps what it was filled with while the rounds of the other side pass.

    An outer side's round stays if two of them have room (the next one comes meanwhile), an inner one's if all have.
    """
    if room == UNLIMITED:
        return True
    if not outer:
        return bool(sums[rounds[1]] - sums[rounds[0]] <= room)
    largest = np.int64(0)
    for number in range(rounds[0], rounds[1]):
        largest = max(largest, sums[number + 1] - sums[number])
    return bool(2 * largest <= room)


@kernel
def add_streams(
    sums: tuple[IntArray, IntArray], path: IntArray, residence: Residence, row: IntArray, totals: IntArray
) -> None:
    """Add what one block streams through each level to its row of SideBlocks, and to its cut's of SideTotals.

    sums[largest or total][depth, round]: bytes of the rounds in the format of each level of the path, outermost first.
    """
    largest, total = sums
    start, stop = row[START_ROUND], row[STOP_ROUND]
    kept, beneath = False, -1
    for depth in range(path.shape[0] - 1, -1, -1):
        level, in_tiles = path[depth, LEVEL], path[depth, IN_TILES] == 1
        of_instance = largest[depth] if in_tiles else total[depth]
        busy, moved = of_instance[stop] - of_instance[start], total[depth, stop] - total[depth, start]
        often, once = (TILE_ROUNDS, TILES) if in_tiles else (ROUNDS_OF_OTHER, ONCE)
        field, column = SIDE_BUSY + SIDE_LEVEL_FIELDS * level, OF_LEVEL + LEVEL_COLUMNS * level + MOVED
        row[field + int(kept)] += busy
        totals[column + (once if kept else often)] += moved
        if beneath >= 0 and not in_tiles:
            # What this level reads is what fills the one beneath it.
            fill = SIDE_BUSY + SIDE_LEVEL_FIELDS * beneath + 2 * FILL
            row[fill : fill + 2] = row[field : field + 2]
        if depth > 0:
            # What once is in a level that keeps it need not come again.
            kept = kept or stays(of_instance, (start, stop), path[depth, KEEPS], residence.outer)
            row[field + 2 + int(kept)] += busy
            totals[column + 4 + (once if kept else often)] += moved
        beneath = level


@kernel
def measure_side(
    bytes_of: tuple[IntArray, IntArray, IntArray], path: IntArray, dealing: Dealing, residence: Residence,
    table: IntArray, totals: IntArray,
) -> None:  # fmt: skip
    """Complete the blocks of one part of the reduction, table[block, field], and add them to the totals of their cuts.

    bytes_of: of vectors [depth, group · vectors + vector] in the format of each on-chip level of the path, outermost
    first; of what blocks load [COMING ..., block]; and the channel's cycles for that [block].
    """
    vector_bytes, loaded, channel = bytes_of
    largest = np.empty((path.shape[0], dealing.groups * dealing.rounds + 1), dtype=np.int64)
    total = np.empty_like(largest)
    for depth in range(path.shape[0]):
        sum_rounds(vector_bytes[depth], dealing, largest[depth], total[depth])
    for cut in range(totals.shape[0]):
        of_cut = totals[cut]
        first, room = of_cut[FIRST], np.int64(0)
        for block in range(first, first + of_cut[COUNT]):
            row = table[block]
            row[SIDE_BUSY:] = 0
            add_streams((largest, total), path, residence, row, of_cut)
            arriving = written = loaded[ARRIVING, block]
            held = loaded[HELD, block] + residence.more_room
            if residence.in_tiles:
                start, stop = row[START_ROUND], row[STOP_ROUND]
                held = arriving = largest[0, stop] - largest[0, start]
                written = total[0, stop] - total[0, start]
            filling = np.int64(0)
            if residence.width > 0:
                filling = -(-arriving // residence.width)
                if residence.fill_width > 0:
                    filling = max(filling, -(-written // residence.fill_width))
            row[LOAD] = max(channel[block], filling)
            row[LOAD_LEVEL] = residence.level if filling > channel[block] else 0
            room = max(room, held)
            of_cut[LOAD_BYTES] += loaded[COMING, block]
            of_cut[LOAD_CYCLES] += row[LOAD]
            of_cut[WRITTEN] += written * (residence.other_tiles if residence.in_tiles else 1)
            for field in range(row.shape[0] - SIDE_BUSY):
                level, of_level = divmod(field, SIDE_LEVEL_FIELDS)
                of_cut[OF_LEVEL + LEVEL_COLUMNS * level + of_level] += row[SIDE_BUSY + field]
        of_cut[BLOCK_ROOM] = max(of_cut[BLOCK_ROOM], room)
        if of_cut[FIRST_LOAD] == UNKNOWN:
            of_cut[FIRST_LOAD] = table[first, LOAD]
