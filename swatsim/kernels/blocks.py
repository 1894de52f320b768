"""Lay out the blocks of a mapping in the order in which they are computed, with the work of each engine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import kernel

IntArray = NDArray[np.int64]

# Columns of Blocks.table: the bytes of level l, direction d are in column BUSY + 3 · (l - 1) + d.
OWN, OWN_LEVEL, AHEAD, WAITS, COMPUTE, STORE, BUSY = range(7)
DIRECTIONS = 3  # read, written, filled with
SIDE_LEVEL_FIELDS = 2 * DIRECTIONS
# Fields of SideBlocks.table: those of on-chip level l, direction d, each round of the other side (0) or once (1) are in
# field SIDE_BUSY + SIDE_LEVEL_FIELDS · (l - 1) + 2 · d + often.
(
    LOAD, LOAD_LEVEL, START_ROUND, STOP_ROUND, ROUNDS, TILE_VECTORS, VECTORS, GROUPS, KIND, SIDE_BUSY
) = range(10)  # fmt: skip


class SideBlocks(NamedTuple):
    """The blocks of one side, bundle after bundle; see `demand.Shape`."""

    # [part of the reduction, block, field]: cycles to load it, the level that takes longest; its first round, and the
    # one after the last, numbered group by group; rounds and vectors of each of its groups, of the fullest tile and in
    # all; groups; index of its size in the tables of `Results`; bytes of the busiest instance of each level.
    table: IntArray


class Results(NamedTuple):
    """What results take; the first axis says whether the part of the reduction is the last one (1) or not (0)."""

    store: IntArray  # [last, kind of row block, kind of column block]: cycles off chip
    load: IntArray  # [first, kind, kind]: cycles to fetch what an earlier part left off chip
    per_value: IntArray  # [first, last, level, read or write]: bytes for each result
    in_tiles: NDArray[np.bool_]  # [level]: whether each tile has its own


class Computation(NamedTuple):
    """Compute cycles, to be dealt to the blocks."""

    # [part, barrier set, outer round, inner round]: from the first rounds on. Inner rounds of the one group that their
    # outer round belongs to, or only none and all of them: the sum is then spread evenly.
    sums: IntArray
    columns_outer: bool
    inner_rounds: int  # of a group


class Tiling(NamedTuple):
    """Which blocks there are, and which side's are in the outer loop; parts of the reduction are outside of both."""

    row_first: int  # the first of the rows' blocks
    column_first: int
    bundles: int
    parts: int
    row_blocks: int  # of a bundle
    column_blocks: int
    columns_outside: bool


class Blocks(NamedTuple):
    """The blocks in order. What is loaded `ahead` follows a block's own loads, and belongs to a later outer block."""

    table: IntArray  # [block, ...]

    @staticmethod
    def empty(blocks: int, levels: int) -> Blocks:
        """Blocks that have no work yet, on a machine with so many on-chip levels."""
        return Blocks(np.zeros((blocks, BUSY + DIRECTIONS * levels), np.int64))

    @property
    def own(self) -> IntArray:
        """[block]: cycles to load what it waits for."""
        return self.table[:, OWN]

    @property
    def own_level(self) -> IntArray:
        """[block]: the level that takes longest."""
        return self.table[:, OWN_LEVEL]

    @property
    def ahead(self) -> IntArray:
        """[block]: cycles."""
        return self.table[:, AHEAD]

    @property
    def waits(self) -> IntArray:
        """[block]: 1 where it needs what was loaded last."""
        return self.table[:, WAITS]

    @property
    def compute(self) -> IntArray:
        """[block]: cycles."""
        return self.table[:, COMPUTE]

    @property
    def store(self) -> IntArray:
        """[block]: cycles."""
        return self.table[:, STORE]

    @property
    def busy(self) -> IntArray:
        """[block, level, direction]: bytes of the busiest instance."""
        return self.table[:, BUSY:].reshape(-1, (self.table.shape[1] - BUSY) // DIRECTIONS, DIRECTIONS)


@kernel
def sum_cycles(cycles: IntArray, sums: IntArray) -> None:
    """Set sums[barrier set, outer round, inner round] of all cycles [set, outer, inner] before these rounds."""
    sums[:, 0, :] = 0
    for barrier_set in range(cycles.shape[0]):
        for outer in range(cycles.shape[1]):
            of_outer = np.int64(0)
            sums[barrier_set, outer + 1, 0] = 0
            for inner in range(cycles.shape[2]):
                of_outer += cycles[barrier_set, outer, inner]
                sums[barrier_set, outer + 1, inner + 1] = sums[barrier_set, outer, inner + 1] + of_outer


@kernel
def deal_cycles(computation: Computation, part: int, block: tuple[int, int, int, int], done: IntArray) -> int:
    """Cycles until the slowest barrier set has done a block too; block: rounds (start, stop) of outer and inner side.

    A set runs on across the edges of blocks. `done` are the cycles of each set so far.
    """
    sums, rounds = computation.sums, computation.inner_rounds
    by_round = sums.shape[3] == rounds + 1
    before, after = np.int64(0), np.int64(0)
    for barrier_set in range(done.shape[0]):
        before = max(before, done[barrier_set])
        if by_round:
            done[barrier_set] += (
                sums[part, barrier_set, block[1], block[3]] - sums[part, barrier_set, block[1], block[2]]
                - sums[part, barrier_set, block[0], block[3]] + sums[part, barrier_set, block[0], block[2]]
            )  # fmt: skip
        else:
            total = sums[part, barrier_set, block[1], 1] - sums[part, barrier_set, block[0], 1]
            if block[2] == 0 and block[3] == rounds:
                done[barrier_set] += total
            else:
                done[barrier_set] += total * block[3] // rounds - total * block[2] // rounds
        after = max(after, done[barrier_set])
    return int(after - before)


@kernel
def rounds_within(start: int, stop: int, rounds: int, groups: int) -> tuple[int, int]:
    """Rounds of a block within a group; all of them where it covers several groups."""
    if groups > 1:
        return 0, rounds
    group = start // rounds * rounds
    return start - group, stop - group


@kernel
def lay_block(
    tiling: Tiling,
    sides: tuple[SideBlocks, SideBlocks],
    work: tuple[Results, Computation],
    number: int,
    target: tuple[IntArray, int],
    done: IntArray,
) -> None:
    """Set row target[1] of Blocks.table to block `number`, from the sides (rows, columns) (docs/model.md §3).

    It follows those before it: done[barrier set] are the compute cycles so far.
    """
    results, computation = work
    table, place = target
    outers, inners = tiling.row_blocks, tiling.column_blocks
    if tiling.columns_outside:
        outers, inners = inners, outers
    outer, inner = number // inners % outers, number % inners
    part, bundle = number // (inners * outers) % tiling.parts, number // (inners * outers * tiling.parts)
    row, column = (inner, outer) if tiling.columns_outside else (outer, inner)
    row += tiling.row_first + bundle * tiling.row_blocks
    column += tiling.column_first + bundle * tiling.column_blocks
    rows, columns = sides[0].table[part], sides[1].table[part]
    if computation.columns_outer:
        rounds = rounds_of(columns, column, rows, row, computation)
    else:
        rounds = rounds_of(rows, row, columns, column, computation)
    table[place, COMPUTE] = deal_cycles(computation, part, rounds, done)
    if tiling.columns_outside:
        lay_loads(columns, rows, (outers, inners), (column, row, outer, inner), target)
    else:
        lay_loads(rows, columns, (outers, inners), (row, column, outer, inner), target)
    first, last = int(part == 0), int(part == tiling.parts - 1)
    kinds = rows[row, KIND], columns[column, KIND]
    table[place, OWN] += results.load[first, kinds[0], kinds[1]]
    if table[place, OWN] > 0:
        table[place, WAITS] = 1
    table[place, STORE] = results.store[last, kinds[0], kinds[1]]
    lay_streams((rows, columns), (row, column), (results.per_value[first, last], results.in_tiles), target)


@kernel
def rounds_of(
    outer: IntArray, own: int, inner: IntArray, its: int, computation: Computation
) -> tuple[int, int, int, int]:
    """Start and stop of a block's rounds: of the outer side, and of the inner one within a group."""
    start, stop = rounds_within(
        inner[its, START_ROUND], inner[its, STOP_ROUND], computation.inner_rounds, inner[its, GROUPS]
    )
    return outer[own, START_ROUND], outer[own, STOP_ROUND], start, stop


@kernel
def lay_loads(
    outer_side: IntArray,
    inner_side: IntArray,
    counts: tuple[int, int],
    numbers: tuple[int, int, int, int],
    target: tuple[IntArray, int],
) -> None:
    """Set what one block loads, in row target[1] of target[0]; sides as [block, field] of one part.

    counts: outer and inner blocks of a bundle; numbers: of the block of the outer and of the inner side, among all and
    in the bundle. The next outer block is loaded in equal shares beside all inner blocks but the last.
    """
    outers, inners = counts
    mine, streamed, outer, inner = numbers
    table, place = target
    own, level, longest = np.int64(0), np.int64(0), np.int64(-1)
    if inner == 0:
        level, longest = outer_side[mine, LOAD_LEVEL], outer_side[mine, LOAD]
        if outer == 0 or inners == 1:
            own += longest
    if outer == 0 or inners > 1:
        load = inner_side[streamed, LOAD]
        own += load
        if load > longest:
            level = inner_side[streamed, LOAD_LEVEL]
    table[place, OWN], table[place, OWN_LEVEL] = own, level
    table[place, WAITS] = int(inner == 0 and outer_side[mine, LOAD] > 0)
    table[place, AHEAD] = 0
    if outer + 1 < outers and inner + 1 < inners:
        load = outer_side[mine + 1, LOAD]
        table[place, AHEAD] = load * (inner + 1) // (inners - 1) - load * inner // (inners - 1)


@kernel
def lay_streams(
    sides: tuple[IntArray, IntArray],
    places: tuple[int, int],
    results: tuple[IntArray, NDArray[np.bool_]],
    target: tuple[IntArray, int],
) -> None:
    """Set the bytes of each level in row target[1] of target[0]; sides (rows, columns) as [block, field] of one part.

    results: bytes for each value [level, read or write], and whether tiles have a level of their own.
    """
    rows, columns = sides
    row, column = places
    per_value, in_tiles = results
    table, place = target
    groups = rows[row, GROUPS]
    values = groups * rows[row, VECTORS] * columns[column, VECTORS]
    of_tile = groups * rows[row, TILE_VECTORS] * columns[column, TILE_VECTORS]
    row_rounds, column_rounds = rows[row, ROUNDS], columns[column, ROUNDS]
    for level in range(per_value.shape[0]):
        count = of_tile if in_tiles[level] else values
        for direction in range(DIRECTIONS):
            field = SIDE_BUSY + SIDE_LEVEL_FIELDS * level + 2 * direction
            busy = (
                rows[row, field] * column_rounds + rows[row, field + 1]
                + columns[column, field] * row_rounds + columns[column, field + 1]
            )  # fmt: skip
            if direction < 2:
                busy += per_value[level, direction] * count
            table[place, BUSY + DIRECTIONS * level + direction] = busy
