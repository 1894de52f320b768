"""Find the best of all mappings of a contraction: bounds for each, exact cycles where a bound does not decide."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.blocks import Blocks, Computation, Results, SideBlocks, Tiling, empty_blocks, lay_block
from swatsim.kernels.compile import kernel
from swatsim.kernels.engines import Timing, compute_block, empty_spans, load_block, start_state

IntArray = NDArray[np.int64]

# Which count a search minimizes first.
CYCLES, DRAM_BYTES, ENERGY = 0, 1, 2
UNLIMITED = -1
# The last of what `list_candidates` notes: whether the candidate's cycles are known.
TRIED = 6
UNBOUNDED = (1 << 63) - 1


class SideTotals(NamedTuple):
    """Sums over the blocks of each cut of one side, parts of the reduction included."""

    first: IntArray  # [cut]: its first block, and the end of the last cut's
    blocks: IntArray  # [cut]: of a bundle
    bundle_groups: IntArray  # [cut]: groups of the convolution in each bundle
    load_bytes: IntArray  # [cut]: each block once
    load_cycles: IntArray
    first_load: IntArray  # [cut]: cycles of the first block's
    block_room: IntArray  # [cut]: bytes in the resident level, of the largest block
    room: IntArray  # [cut]: with the block that comes meanwhile
    written: IntArray  # [cut]: bytes into the resident level, each block once
    busy: IntArray  # [level, direction, each round of the other side or once, cut]: bytes of the busiest instance
    moved: IntArray  # [level, direction, how often, cut]: bytes of all instances
    often: IntArray  # [how often, cut]: what the other side's `moved` is multiplied by
    tile_vectors: IntArray  # [cut]: of the fullest tile, over a bundle's blocks
    resident: int  # the level where blocks are kept, counted from off chip


class Rest(NamedTuple):
    """What does not depend on how the sides are cut."""

    groups: int
    parts: int
    compute: int  # cycles
    values: int  # results in all
    whole_columns: bool  # whether all columns have to be one block
    spilled: bool  # partial sums wait off chip for the next part of the reduction
    result_level: int
    result_in_tiles: bool  # whether each tile has that level
    result_bytes: int  # for each result that waits on chip
    stored: IntArray  # [write, read]: bytes off chip for each result, over all parts
    results_moved: IntArray  # [level, read or write]: bytes on chip for each result, over all parts
    capacity: IntArray  # [level]; -1: unlimited
    bit_energy: IntArray  # [level]
    mac_energy: int  # of all multiplications


class Choice(NamedTuple):
    """The best mapping: cut of each side, loop order, and what it takes."""

    row_cut: int  # -1: nothing fits
    column_cut: int
    columns_outside: bool
    cycles: int
    dram_bytes: int
    energy: int


@kernel
def room_needed(
    totals: tuple[SideTotals, SideTotals], cuts: tuple[int, int], sizes: tuple[int, int], rest: Rest, need: IntArray
) -> None:
    """Set need[level]: bytes of blocks and results in one instance; sizes: results of a block, and of a bundle."""
    rows, columns = totals
    row, column = cuts
    for level in range(need.shape[0]):
        need[level] = 0
    need[rows.resident] += rows.room[row]
    need[columns.resident] += columns.room[column]
    if rest.parts > 1 and not rest.spilled:
        need[rest.result_level] += sizes[1] * rest.result_bytes
        return
    several = rows.blocks[row] * columns.blocks[column] * rest.parts > 1 or rows.bundle_groups[row] < rest.groups
    need[rest.result_level] += sizes[0] * rest.result_bytes * (2 if several else 1)


@kernel
def fits(need: IntArray, capacity: IntArray) -> bool:
    """Whether each level has the room."""
    for level in range(1, capacity.shape[0]):
        if capacity[level] != UNLIMITED and need[level] > capacity[level]:
            return False
    return True


@kernel
def result_sizes(
    sides: tuple[SideBlocks, SideBlocks], totals: tuple[SideTotals, SideTotals], cuts: tuple[int, int], rest: Rest
) -> tuple[int, int]:
    """Results of the first, largest block, and of all blocks of a bundle, in one instance of their level."""
    rows, columns = sides
    row, column = totals[0].first[cuts[0]], totals[1].first[cuts[1]]
    groups = rows.groups[row]
    if rest.result_in_tiles:
        block = groups * rows.tile_vectors[row] * columns.tile_vectors[column]
        return block, groups * totals[0].tile_vectors[cuts[0]] * totals[1].tile_vectors[cuts[1]]
    return groups * rows.vectors[row] * columns.vectors[column], groups * (rest.values // rest.groups)


@kernel
def least_cycles(
    totals: tuple[SideTotals, SideTotals],
    cuts: tuple[int, int],
    channel: tuple[int, int, int],
    rest: Rest,
    timing: Timing,
) -> int:
    """Cycles that no order of the blocks goes below; channel: cycles of loads, bytes of stores, cycles of the last."""
    rows, columns = totals
    row, column = cuts
    work = rest.compute
    for level in range(1, timing.width.shape[0]):
        if timing.width[level] == 0:
            continue
        for direction in range(2):
            busy = (
                rows.busy[level - 1, direction, 0, row] * columns.often[1, column]
                + rows.busy[level - 1, direction, 1, row] * columns.often[3, column]
                + columns.busy[level - 1, direction, 0, column] * rows.often[1, row]
                + columns.busy[level - 1, direction, 1, column] * rows.often[3, row]
            )
            work = max(work, busy // timing.width[level])
    loads, stores = channel[0], 0
    if timing.width[0] > 0:
        stores = channel[1] // timing.width[0]
    fill = rows.first_load[row] + columns.first_load[column]
    if fill > 0:
        fill += timing.load_latency
    drain = channel[2] + timing.store_latency + timing.load_latency if channel[2] > 0 else 0
    moved = max(loads, stores) if timing.full_duplex else loads + stores
    return int(max(fill + timing.start_latency + work + drain, moved))


@kernel
def moved_bytes(rows: SideTotals, columns: SideTotals, cuts: tuple[int, int], level: int, direction: int) -> int:
    """Bytes of both operands at an on-chip level, what is loaded into it not counted."""
    found = 0
    for often in range(4):
        found += int(rows.moved[level - 1, direction, often, cuts[0]] * columns.often[often, cuts[1]])
        found += int(columns.moved[level - 1, direction, often, cuts[1]] * rows.often[often, cuts[0]])
    return found


@kernel
def energy_of(
    totals: tuple[SideTotals, SideTotals], cuts: tuple[int, int], loads: tuple[int, int, int], rest: Rest
) -> int:
    """Femtojoules; loads: bytes off chip, and those written into the resident levels of rows and columns."""
    energy = rest.mac_energy + int(8 * loads[0] * rest.bit_energy[0])
    energy += int(8 * loads[1] * rest.bit_energy[totals[0].resident])
    energy += int(8 * loads[2] * rest.bit_energy[totals[1].resident])
    for level in range(1, rest.bit_energy.shape[0]):
        for direction in range(2):
            results = int(rest.results_moved[level - 1, direction]) * rest.values
            count = moved_bytes(totals[0], totals[1], cuts, level, direction) + results
            energy += int(8 * count * rest.bit_energy[level])
    return energy


@kernel
def list_candidates(
    sides: tuple[SideBlocks, SideBlocks], totals: tuple[SideTotals, SideTotals], work: tuple[Results, Rest],
    timing: Timing, found: IntArray,
) -> int:  # fmt: skip
    """Set found[candidate]: row cut, column cut, columns outside, least cycles, DRAM bytes, energy; return how many."""
    rows, columns = totals
    results, rest = work
    count = 0
    need = np.zeros(rest.capacity.shape[0], dtype=np.int64)
    stores = rest.values * rest.stored[0]
    for row in range(rows.blocks.shape[0]):
        for column in range(columns.blocks.shape[0]):
            if rows.bundle_groups[row] != columns.bundle_groups[column]:
                continue
            cuts = (row, column)
            if rest.whole_columns and columns.first[column + 1] - columns.first[column] > 1:
                continue
            room_needed(totals, cuts, result_sizes(sides, totals, cuts, rest), rest, need)
            if not fits(need, rest.capacity):
                continue
            row_blocks, column_blocks = rows.blocks[row], columns.blocks[column]
            last = sides[0].kind[rows.first[row + 1] - 1], sides[1].kind[columns.first[column + 1] - 1]
            for columns_outside in range(2):
                if columns_outside == 1 and (row_blocks == 1 or column_blocks == 1):
                    continue  # both orders are the same
                row_times = column_blocks if columns_outside and row_blocks > 1 else 1
                column_times = row_blocks if not columns_outside and column_blocks > 1 else 1
                load_cycles = rows.load_cycles[row] * row_times + columns.load_cycles[column] * column_times
                loaded = rows.load_bytes[row] * row_times + columns.load_bytes[column] * column_times
                dram = loaded + rest.values * (rest.stored[0] + rest.stored[1])
                written = (dram, rows.written[row] * row_times, columns.written[column] * column_times)
                found[count, 0], found[count, 1], found[count, 2] = row, column, columns_outside
                found[count, 3] = least_cycles(
                    totals, cuts, (load_cycles, stores, results.store[1, last[0], last[1]]), rest, timing
                )
                found[count, 4] = dram
                found[count, TRIED] = 0
                found[count, 5] = energy_of(totals, cuts, written, rest)
                count += 1
    return count


@kernel
def tiling_of(
    totals: tuple[SideTotals, SideTotals], cuts: tuple[int, int], columns_outside: bool, parts: int
) -> Tiling:
    """The loops over the blocks of a candidate."""
    rows, columns = totals
    row_first, row_blocks = rows.first[cuts[0]], rows.blocks[cuts[0]]
    bundles = (rows.first[cuts[0] + 1] - row_first) // row_blocks
    return Tiling(
        row_first, columns.first[cuts[1]], bundles, parts, row_blocks, columns.blocks[cuts[1]], columns_outside
    )


@kernel
def lay_mapping(
    sides: tuple[SideBlocks, SideBlocks], totals: tuple[SideTotals, SideTotals], work: tuple[Results, Computation],
    choice: Choice, levels: int,
) -> Blocks:  # fmt: skip
    """The blocks of a choice, in order."""
    cuts = choice.row_cut, choice.column_cut
    tiling = tiling_of(totals, cuts, choice.columns_outside, work[1].sums.shape[0])
    blocks = empty_blocks(tiling.bundles * tiling.parts * tiling.row_blocks * tiling.column_blocks, levels)
    done = np.zeros(work[1].sums.shape[1], dtype=np.int64)
    for number in range(blocks.compute.shape[0]):
        lay_block(tiling, sides, work, blocks, number, done)
    return blocks


@kernel
def candidate_cycles(
    sides: tuple[SideBlocks, SideBlocks], totals: tuple[SideTotals, SideTotals], work: tuple[Results, Computation],
    timing: Timing, candidate: IntArray, bound: int,
) -> int:  # fmt: skip
    """Cycles of one candidate, nothing loaded before; at least `bound` as soon as they cannot be fewer."""
    tiling = tiling_of(totals, (candidate[0], candidate[1]), candidate[2] == 1, work[1].sums.shape[0])
    count = tiling.bundles * tiling.parts * tiling.row_blocks * tiling.column_blocks
    blocks, spans = empty_blocks(count, timing.width.shape[0] - 1), empty_spans(count)
    done = np.zeros(work[1].sums.shape[1], dtype=np.int64)
    stalls = np.zeros(timing.width.shape[0] + 3, dtype=np.int64)
    state = start_state()
    left = whole_computation(work[1])
    for turn in range(count + 1):
        if turn < count:
            lay_block(tiling, sides, work, blocks, turn, done)
            state = load_block(blocks, turn, 0, timing, spans, state)
        if turn >= 1:
            state = compute_block(blocks, turn - 1, timing, spans, state, stalls)
            left -= blocks.compute[turn - 1]
            if state.end + left >= bound:
                return int(state.end + left)
    return max(state.last_end, state.end)


@kernel
def whole_computation(computation: Computation) -> int:
    """Compute cycles of the slowest barrier set."""
    slowest = 0
    for barrier_set in range(computation.sums.shape[1]):
        cycles = 0
        for part in range(computation.sums.shape[0]):
            cycles += computation.sums[part, barrier_set, -1, -1]
        slowest = max(slowest, cycles)
    return slowest


@kernel
def next_candidate(found: IntArray, count: int) -> int:
    """The first of those that are not tried with the least found[candidate, count], then the least cycles."""
    best = -1
    for candidate in range(found.shape[0]):
        if found[candidate, TRIED]:
            continue
        if best >= 0 and (found[candidate, count], found[candidate, 3]) >= (found[best, count], found[best, 3]):
            continue
        best = candidate
    return best


@kernel
def search(
    sides: tuple[SideBlocks, SideBlocks], totals: tuple[SideTotals, SideTotals], work: tuple[Results, Computation],
    rest: Rest, timing: Timing, goal: tuple[int, int, int],
) -> Choice:  # fmt: skip
    """The best candidate for goal (objective, its count so far, the cycles so far); none where none is better.

    Of equals the one with fewer cycles, or else the one whose bound is lower, or that is listed first.
    """
    objective, bound, bound_cycles = goal
    found = np.empty((2 * totals[0].blocks.shape[0] * totals[1].blocks.shape[0], TRIED + 1), dtype=np.int64)
    count = list_candidates(sides, totals, (work[0], rest), timing, found)
    best = Choice(-1, -1, False, bound_cycles, 0, 0)
    best_count = bound
    for _ in range(count):
        candidate = next_candidate(found[:count], 3 + objective)
        least = found[candidate, 3 + objective]
        if least > best_count or (objective == CYCLES and least == best_count):
            break
        found[candidate, TRIED] = 1
        if objective != CYCLES and least == best_count and found[candidate, 3] >= best.cycles:
            continue
        must_be_faster = objective == CYCLES or least == best_count
        cycles = candidate_cycles(
            sides, totals, work, timing, found[candidate], best.cycles if must_be_faster else UNBOUNDED
        )
        if must_be_faster and cycles >= best.cycles:
            continue
        best = Choice(
            found[candidate, 0], found[candidate, 1], found[candidate, 2] == 1, cycles,
            found[candidate, 4], found[candidate, 5],
        )  # fmt: skip
        best_count = cycles if objective == CYCLES else least
    return best
