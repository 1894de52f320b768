"""Lay out the blocks of a mapping in the order in which they are computed, with the work of each engine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import kernel

IntArray = NDArray[np.int64]


class SideBlocks(NamedTuple):
    """The blocks of one side, bundle after bundle; see `demand.Demand` and `cuts.Cuts`."""

    load: IntArray  # [part of the reduction, block]: cycles
    load_level: IntArray  # [part, block]
    busy: IntArray  # [part, level, direction, each round of the other side or once, block]: bytes
    start_round: IntArray  # [block]: numbered group by group
    stop_round: IntArray
    rounds: IntArray  # [block]: of each of its groups
    tile_vectors: IntArray  # [block]: likewise
    vectors: IntArray
    groups: IntArray
    kind: IntArray  # [block]: index of its size in the tables of `Results`


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

    own: IntArray  # [block]: cycles
    own_level: IntArray  # [block]: the level that takes longest
    ahead: IntArray
    waits: NDArray[np.bool_]  # whether a block needs what was loaded last
    compute: IntArray
    store: IntArray
    busy: IntArray  # [block, level, direction]: bytes of the busiest instance


@kernel
def empty_blocks(blocks: int, levels: int) -> Blocks:
    """Blocks that have no work yet."""
    return Blocks(
        np.zeros(blocks, np.int64), np.zeros(blocks, np.int64), np.zeros(blocks, np.int64),
        np.zeros(blocks, np.bool_), np.zeros(blocks, np.int64), np.zeros(blocks, np.int64),
        np.zeros((blocks, levels, 3), np.int64),
    )  # fmt: skip


@kernel
def deal_cycles(computation: Computation, part: int, block: tuple[int, int, int, int], done: IntArray) -> int:
    """Cycles until the slowest barrier set has done a block too; block: rounds (start, stop) of outer and inner side.

    A set runs on across the edges of blocks. `done` are the cycles of each set so far.
    """
    before = done.max()
    rounds = computation.inner_rounds
    for barrier_set in range(done.shape[0]):
        low, high = computation.sums[part, barrier_set, block[0]], computation.sums[part, barrier_set, block[1]]
        if low.shape[0] == rounds + 1:
            done[barrier_set] += high[block[3]] - high[block[2]] - low[block[3]] + low[block[2]]
        else:
            total = high[1] - low[1]
            done[barrier_set] += total * block[3] // rounds - total * block[2] // rounds
    return int(done.max() - before)


@kernel
def rounds_within(start: int, stop: int, rounds: int, groups: int) -> tuple[int, int]:
    """Rounds of a block within a group; all of them where it covers several groups."""
    if groups > 1:
        return 0, rounds
    return start % rounds, (stop - 1) % rounds + 1


@kernel
def lay_block(
    tiling: Tiling,
    sides: tuple[SideBlocks, SideBlocks],
    work: tuple[Results, Computation],
    blocks: Blocks,
    number: int,
    done: IntArray,
) -> None:
    """Set block `number` from the sides (rows, columns), after those before it (docs/model.md §3).

    done[barrier set] are the compute cycles so far.
    """
    rows, columns = sides
    results, computation = work
    outers, inners = tiling.row_blocks, tiling.column_blocks
    if tiling.columns_outside:
        outers, inners = inners, outers
    outer, inner = number // inners % outers, number % inners
    part, bundle = number // (inners * outers) % tiling.parts, number // (inners * outers * tiling.parts)
    row, column = (inner, outer) if tiling.columns_outside else (outer, inner)
    row += tiling.row_first + bundle * tiling.row_blocks
    column += tiling.column_first + bundle * tiling.column_blocks
    if computation.columns_outer:
        rounds = rounds_of(columns, column, rows, row, computation)
    else:
        rounds = rounds_of(rows, row, columns, column, computation)
    blocks.compute[number] = deal_cycles(computation, part, rounds, done)
    if tiling.columns_outside:
        lay_loads(columns, rows, (outers, inners), (part, column, row, outer, inner), (blocks, number))
    else:
        lay_loads(rows, columns, (outers, inners), (part, row, column, outer, inner), (blocks, number))
    first, last = int(part == 0), int(part == tiling.parts - 1)
    kinds = rows.kind[row], columns.kind[column]
    blocks.own[number] += results.load[first, kinds[0], kinds[1]]
    blocks.waits[number] |= blocks.own[number] > 0
    blocks.store[number] = results.store[last, kinds[0], kinds[1]]
    lay_streams(
        rows, columns, (results.per_value[first, last], results.in_tiles), (part, row, column), blocks.busy[number]
    )


@kernel
def rounds_of(
    outer: SideBlocks, own: int, inner: SideBlocks, its: int, computation: Computation
) -> tuple[int, int, int, int]:
    """Start and stop of a block's rounds: of the outer side, and of the inner one within a group."""
    start, stop = rounds_within(
        inner.start_round[its], inner.stop_round[its], computation.inner_rounds, inner.groups[its]
    )
    return outer.start_round[own], outer.stop_round[own], start, stop


@kernel
def lay_loads(
    outer_side: SideBlocks,
    inner_side: SideBlocks,
    counts: tuple[int, int],
    place: tuple[int, int, int, int, int],
    target: tuple[Blocks, int],
) -> None:
    """Set what one block loads, into block target[1] of target[0].

    counts: outer and inner blocks of a bundle; place: part, block of the outer and of the inner side, and their numbers
    in the bundle. The next outer block is loaded in equal shares beside all inner blocks but the last.
    """
    outers, inners = counts
    part, mine, streamed, outer, inner = place
    blocks, number = target
    own, level, longest = 0, 0, -1
    if inner == 0:
        level, longest = outer_side.load_level[part, mine], outer_side.load[part, mine]
        if outer == 0 or inners == 1:
            own += longest
    if outer == 0 or inners > 1:
        load = inner_side.load[part, streamed]
        own += load
        if load > longest:
            level = inner_side.load_level[part, streamed]
    blocks.own[number], blocks.own_level[number] = own, level
    blocks.waits[number] = inner == 0 and outer_side.load[part, mine] > 0
    blocks.ahead[number] = 0
    if outer + 1 < outers and inner + 1 < inners:
        load = outer_side.load[part, mine + 1]
        blocks.ahead[number] = load * (inner + 1) // (inners - 1) - load * inner // (inners - 1)


@kernel
def lay_streams(
    rows: SideBlocks,
    columns: SideBlocks,
    results: tuple[IntArray, NDArray[np.bool_]],
    place: tuple[int, int, int],
    busy: IntArray,
) -> None:
    """Set busy[level, direction] of the block at place (part, row block, column block).

    results: bytes for each value [level, read or write], and whether tiles have a level of their own.
    """
    part, row, column = place
    per_value, in_tiles = results
    groups = rows.groups[row]
    values = groups * rows.vectors[row] * columns.vectors[column]
    of_tile = groups * rows.tile_vectors[row] * columns.tile_vectors[column]
    for level in range(busy.shape[0]):
        for direction in range(3):
            busy[level, direction] = (
                rows.busy[part, level, direction, 0, row] * columns.rounds[column]
                + rows.busy[part, level, direction, 1, row]
                + columns.busy[part, level, direction, 0, column] * rows.rounds[row]
                + columns.busy[part, level, direction, 1, column]
            )
        count = of_tile if in_tiles[level] else values
        for direction in range(2):
            busy[level, direction] += per_value[level, direction] * count
