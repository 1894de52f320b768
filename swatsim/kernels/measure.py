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
from swatsim.kernels.cuts import Dealing, cut_block
from swatsim.kernels.dram import Channel
from swatsim.kernels.off_chip import Known, Pipe, transfer_cycles
from swatsim.kernels.totals import (
    BLOCK_ROOM,
    COUNT,
    FIRST,
    FIRST_LOAD,
    LEVEL_COLUMNS,
    LOAD_BYTES,
    LOAD_CYCLES,
    LOADED,
    MOVED,
    OF_LEVEL,
    ONCE,
    ROOM,
    ROUNDS_OF_OTHER,
    TILE_ROUNDS,
    TILES,
    WRITTEN,
)
from swatsim.kernels.touched import ARRIVING, COLUMNS, COMING, HELD, RUNS, tied_bytes, touched_bytes

IntArray = NDArray[np.int64]

# Columns of a path: an on-chip level counted from 0, whether each tile has its own, the bytes of it that hold this
# operand (-1: unlimited), and its format, as in `HeldBytes`.
LEVEL, IN_TILES, KEEPS, FORM = range(4)
UNLIMITED = -1
# The first load of a cut before the first part of the reduction is measured.
UNKNOWN = -1
# Directions of a level's fields, after what is read.
WRITE, FILL = 1, 2
# Where a part of the reduction begins, and whether its intervals are tied.
FIRST_INTERVAL, FIRST_SUM, TIED = range(3)


class HeldBytes(NamedTuple):
    """One operand in its formats, the parts of its reduction one after another."""

    # [part, format, group · vectors + vector], those of the on-chip levels of its path (`held.on_chip_formats`), or
    # [part, format, 1] where all vectors take the same.
    vector_bytes: IntArray
    line_sums: IntArray  # [line, COMING ...]: bytes of all touched lines before it, from 0 on in each part
    intervals: IntArray  # [interval · stretch, 2]: the first line that vectors touch, and the one after the last
    tied: IntArray  # [interval · stretch, ...]: see `touched.tie_intervals`
    interval_of_vector: IntArray  # [part, vector // of_interval]
    start: IntArray  # [part + 1, column]
    of_interval: int  # consecutive vectors whose interval is the same: numbers of one group's are a multiple of it
    stretches: int  # of lines, in each interval


class Residence(NamedTuple):
    """The level where blocks are kept, and what the other side makes of it."""

    level: int  # counted from off chip
    in_tiles: bool
    width: int  # bytes a cycle read or written; 0: unlimited
    fill_width: int  # bytes a cycle written by the level above; 0: unlimited
    other_tiles: int  # of the other side
    outer: bool  # this side's rounds are the outer ones of each block
    more_room: int  # bytes that are there already and stay, besides what the blocks touch


class SideMeasures(NamedTuple):
    """All that the blocks of a side follow from; those of few cuts are ever looked at."""

    table: IntArray  # SideBlocks.table; only of cuts that are filled
    filled: IntArray  # [cut]: 1 where its blocks are set
    loads: IntArray  # [part, block]: twice its cycles, and one more where its level takes longest
    largest: IntArray  # [part, format, round]: see `add_streams`
    total: IntArray
    path: IntArray
    residence: Residence
    dealing: Dealing
    counted: IntArray  # a row of totals that nobody reads: those of blocks that are set were counted before

    @staticmethod
    def empty(held: HeldBytes, dealt: tuple[Dealing, Residence, IntArray], totals: IntArray) -> SideMeasures:
        """Room for those of all cuts; dealt: with the operand's path."""
        dealing, residence, path = dealt
        parts, forms, _ = held.vector_bytes.shape
        blocks = totals[-1, FIRST] + totals[-1, COUNT]
        total = np.empty((parts, forms, dealing.groups * dealing.rounds + 1), dtype=np.int64)
        fields = SIDE_BUSY + SIDE_LEVEL_FIELDS * ((totals.shape[1] - OF_LEVEL) // LEVEL_COLUMNS)
        return SideMeasures(
            table=np.empty((parts, blocks, fields), dtype=np.int64), filled=np.zeros(len(totals), dtype=np.int64),
            loads=np.empty((parts, blocks), dtype=np.int64), total=total,
            largest=total if dealing.per_tile >= dealing.at_once else np.empty_like(total),
            path=path, residence=residence, dealing=dealing, counted=np.zeros(totals.shape[1], dtype=np.int64),
        )  # fmt: skip


class Room(NamedTuple):
    """What is made anew for each block or part."""

    stamp: IntArray  # [line] of any part, and one more
    loaded: IntArray  # as `load_bytes` sets it
    row: IntArray  # of SideBlocks.table, without what levels are busy with

    @staticmethod
    def empty(held: HeldBytes) -> Room:
        """Room for this operand."""
        sizes = held.line_sums.shape[0] + 1, COLUMNS, SIDE_BUSY
        return Room(*(np.empty(size, dtype=np.int64) for size in sizes))


@kernel
def sum_rounds(vector_bytes: IntArray, dealing: Dealing, largest: IntArray, total: IntArray) -> None:
    """Set sums over the rounds from the first one on: of the tile that has most in each, and of all tiles.

    Both are one array where a round has a single tile.
    """
    number, each = 0, int(vector_bytes.shape[0] > 1)
    largest[0] = total[0] = 0
    for group in range(dealing.groups):
        for turn in range(dealing.rounds):
            most, whole = np.int64(0), np.int64(0)
            stop = min((turn + 1) * dealing.at_once, dealing.vectors)
            for first in range(turn * dealing.at_once, stop, dealing.per_tile):
                of_tile = np.int64(0)
                for vector in range(first, min(first + dealing.per_tile, stop)):
                    of_tile += vector_bytes[each * (group * dealing.vectors + vector)]
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
    for number in range(rounds[0], rounds[1]):  # noqa: SIM110  kernels have no generators
        if 2 * (sums[number + 1] - sums[number]) > room:
            return False
    return True


@kernel
def add_streams(
    sums: tuple[IntArray, IntArray], dealt: tuple[Residence, IntArray], rounds: tuple[int, int],
    target: tuple[IntArray, int, int], totals: IntArray,
) -> None:  # fmt: skip
    """Add what a block of these rounds streams through each level to `target`, and to its cut's row of SideTotals.

    sums[largest or total][format, round]: bytes of the rounds; dealt: with the path, its levels outermost first;
    target: a row with the fields of SideBlocks for each level, where those of the first one are, and how many a level
    has.
    """
    (largest, total), (residence, path), (row, base, stride) = sums, dealt, target
    start, stop = rounds
    kept, beneath = False, -1
    for depth in range(path.shape[0] - 1, -1, -1):
        level, in_tiles = path[depth, LEVEL], path[depth, IN_TILES] == 1
        form = path[depth, FORM]
        of_instance = largest[form] if in_tiles else total[form]
        busy, moved = of_instance[stop] - of_instance[start], total[form, stop] - total[form, start]
        often, once = (TILE_ROUNDS, TILES) if in_tiles else (ROUNDS_OF_OTHER, ONCE)
        field, column = base + stride * level, OF_LEVEL + LEVEL_COLUMNS * level + MOVED
        row[field + int(kept)] += busy
        totals[column + (once if kept else often)] += moved
        if beneath >= 0 and not in_tiles:
            # What this level reads is what fills the one beneath it.
            row[base + stride * beneath + 2 * FILL + int(kept)] += busy
        if depth > 0:
            # What once is in a level that keeps it need not come again.
            kept = kept or stays(of_instance, (start, stop), path[depth, KEEPS], residence.outer)
            row[field + 2 * WRITE + int(kept)] += busy
            totals[column + 4 * WRITE + (once if kept else often)] += moved
        beneath = level


@kernel
def load_bytes(
    lines: tuple[IntArray, IntArray, IntArray], edges: tuple[int, int], stamps: tuple[IntArray, int], loaded: IntArray
) -> None:
    """Set loaded[COMING ...] of a block whose vectors touch the intervals from the first to the last of `edges`.

    lines: intervals of one part, its sums and what is tied; stamps as in `touched_bytes`, without room if it is.
    """
    intervals, sums, tied = lines
    if stamps[0].shape[0] == 0:
        tied_bytes(intervals, sums, tied, edges, loaded)
    else:
        touched_bytes(intervals, sums, stamps, edges, loaded)


@kernel
def measure_part(
    held: HeldBytes, part: int, dealt: tuple[Dealing, Residence, IntArray], sums: tuple[IntArray, IntArray],
    off_chip: tuple[Pipe, Channel, Known], found: tuple[IntArray, IntArray, Room],
) -> None:  # fmt: skip
    """Add the blocks of one part of the reduction to the totals of their cuts, and set its loads.

    dealt: with the operand's path; sums: as in `add_streams`; off_chip: with what is known of transfers; found: loads
    of all blocks (SideMeasures), totals, and room.
    """
    (dealing, residence, path), (largest, total), (loads, totals, room) = dealt, sums, found
    interval_of, form, bytes_of, row = held.interval_of_vector[part], path[0, FORM], room.loaded, room.row
    begin, end = held.start[part], held.start[part + 1]
    intervals = slice(begin[FIRST_INTERVAL], end[FIRST_INTERVAL])
    lines = held.intervals[intervals], held.line_sums[begin[FIRST_SUM] : end[FIRST_SUM]], held.tied[intervals]
    stamp = room.stamp[: 0 if begin[TIED] == 1 else lines[1].shape[0] + 1]
    stamp[:] = 0
    for cut in range(totals.shape[0]):
        of_cut = totals[cut]
        largest_block = np.int64(0)
        for number in range(of_cut[COUNT]):
            block = of_cut[FIRST] + number
            first, after = cut_block(dealing, of_cut, number, row)
            low, high = interval_of[first // held.of_interval], interval_of[(after - 1) // held.of_interval]
            edges = low * held.stretches, (high + 1) * held.stretches - 1
            load_bytes(lines, edges, (stamp, block + 1), bytes_of)
            transfer = bytes_of[COMING], bytes_of[RUNS]
            channel = transfer_cycles(off_chip[0], off_chip[1], transfer, off_chip[2])
            start, stop = row[START_ROUND], row[STOP_ROUND]
            add_streams(sums, (residence, path), (start, stop), (of_cut, OF_LEVEL, LEVEL_COLUMNS), of_cut)
            arriving = written = bytes_of[ARRIVING]
            kept = bytes_of[HELD] + residence.more_room
            if residence.in_tiles:
                kept = arriving = largest[form, stop] - largest[form, start]
                written = total[form, stop] - total[form, start]
            filling = np.int64(0)
            if residence.width > 0:
                filling = -(-arriving // residence.width)
                if residence.fill_width > 0:
                    filling = max(filling, -(-written // residence.fill_width))
            load = max(channel, int(filling))
            loads[block] = 2 * load + np.int64(filling > channel)
            largest_block = max(largest_block, kept)
            of_cut[LOAD_BYTES] += bytes_of[COMING]
            of_cut[LOAD_CYCLES] += load
            of_cut[LOADED] += np.int64(load > 0)
            of_cut[WRITTEN] += written * (residence.other_tiles if residence.in_tiles else 1)
        of_cut[BLOCK_ROOM] = max(of_cut[BLOCK_ROOM], largest_block)
        if of_cut[FIRST_LOAD] == UNKNOWN:
            of_cut[FIRST_LOAD] = loads[of_cut[FIRST]] // 2


@kernel
def fill_cut(side: SideMeasures, totals: IntArray, cut: int) -> None:
    """Set the blocks of a cut in SideBlocks.table, unless they are there."""
    if side.filled[cut]:
        return
    side.filled[cut] = 1
    first = totals[cut, FIRST]
    for part in range(side.table.shape[0]):
        sums = side.largest[part], side.total[part]
        for block in range(first, first + totals[cut, COUNT]):
            row, load = side.table[part, block], side.loads[part, block]
            row[SIDE_BUSY:] = 0
            cut_block(side.dealing, totals[cut], block - first, row)
            add_streams(
                sums, (side.residence, side.path), (row[START_ROUND], row[STOP_ROUND]),
                (row, SIDE_BUSY, SIDE_LEVEL_FIELDS), side.counted,
            )  # fmt: skip
            row[LOAD], row[LOAD_LEVEL] = load // 2, side.residence.level if load % 2 else 0


@kernel
def measure_side(
    held: HeldBytes, off_chip: tuple[Pipe, Channel, Known], totals: IntArray, measures: SideMeasures, room: Room
) -> None:
    """Measure the blocks of all parts of the reduction; they are added to the totals of their cuts.

    off_chip: with what is known of transfers.
    """
    dealing, dealt = measures.dealing, (measures.dealing, measures.residence, measures.path)
    parts = held.vector_bytes.shape[0]
    for part in range(parts):
        largest, total = measures.largest[part], measures.total[part]
        for form in range(total.shape[0]):
            sum_rounds(held.vector_bytes[part, form], dealing, largest[form], total[form])
        measure_part(held, part, dealt, (largest, total), off_chip, (measures.loads[part], totals, room))
    for cut in range(totals.shape[0]):
        # Beside a block the next one has room, in which it is loaded meanwhile.
        loaded = totals[cut, COUNT] * parts
        totals[cut, ROOM] = totals[cut, BLOCK_ROOM] * (2 if loaded > 1 else 1)
