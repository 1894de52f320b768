"""Find the best of all mappings of a contraction: bounds for each, exact cycles where a bound does not decide."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.blocks import (
    AHEAD,
    BUSY,
    COMPUTE,
    DIRECTIONS,
    OWN,
    Computation,
    Results,
    SideBlocks,
    Tiling,
    lay_block,
)
from swatsim.kernels.compile import array_kernel, kernel
from swatsim.kernels.engines import (
    BANK_CYCLES,
    BANKS,
    FILL_WIDTH,
    NOTHING,
    PERIOD,
    REFRESH,
    SPAN_COLUMNS,
    WIDTH,
    State,
    Timing,
    Work,
    compute_block,
    load_block,
    served,
)
from swatsim.kernels.measure import SideMeasures, fill_cut
from swatsim.kernels.totals import (
    BUNDLE_GROUPS,
    BUNDLE_TILE_VECTORS,
    COUNT,
    FIRST,
    FIRST_GROUPS,
    FIRST_KIND,
    FIRST_LOAD,
    FIRST_TILE_VECTORS,
    FIRST_VECTORS,
    LAST_KIND,
    LEVEL_COLUMNS,
    LOAD_BYTES,
    LOAD_CYCLES,
    LOADED,
    MOVED,
    OF_BUNDLE,
    OF_LEVEL,
    OFTEN,
    ONCE,
    ROOM,
    ROUNDS_OF_OTHER,
    WRITTEN,
    SideTotals,
)

IntArray = NDArray[np.int64]

# Which count a search minimizes first.
CYCLES, DRAM_BYTES, ENERGY = 0, 1, 2
UNLIMITED = -1
UNBOUNDED = (1 << 63) - 1
# Columns of what `list_candidates` finds: cuts, loop order, a bound that decides the order, the counts of the other
# objectives, a bound that is nearer, cycles of all loads, cycles from the last computation to the end, and whether the
# candidate's cycles are known.
ROW_CUT, COLUMN_CUT, OUTSIDE, LEAST, LEAST_BYTES, LEAST_ENERGY, NEAREST, LOADS, DRAIN, TRIED = range(10)
CANDIDATE_COLUMNS = 10


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


class Room(NamedTuple):
    """What is made anew for each search or candidate."""

    found: IntArray  # [candidate, ...], as `list_candidates` sets it
    need: IntArray  # [level]: bytes
    engines: Work  # of a few blocks
    done: IntArray  # [barrier set]: compute cycles so far

    @staticmethod
    def empty(totals: tuple[SideTotals, SideTotals], computation: Computation, timing: Timing) -> Room:
        """Room for all mappings with these cuts."""
        rows, columns = (len(side.table) for side in totals)
        levels, ring = len(timing.levels), 3  # the engines look back by two blocks
        engines = Work(
            blocks=np.empty((ring + 1, BUSY + DIRECTIONS * (levels - 1)), np.int64),
            spans=np.empty((ring + 1, SPAN_COLUMNS), np.int64), stalls=np.zeros(levels + 3, np.int64), ring=ring,
        )  # fmt: skip
        return Room(
            found=np.empty((2 * rows * columns, CANDIDATE_COLUMNS), np.int64), need=np.empty(levels, np.int64),
            engines=engines, done=np.empty(computation.sums.shape[1], np.int64),
        )  # fmt: skip


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
    rows, columns = totals[0].table[cuts[0]], totals[1].table[cuts[1]]
    for level in range(need.shape[0]):
        need[level] = 0
    need[totals[0].resident] += rows[ROOM]
    need[totals[1].resident] += columns[ROOM]
    if rest.parts > 1 and not rest.spilled:
        need[rest.result_level] += sizes[1] * rest.result_bytes
        return
    several = rows[OF_BUNDLE] * columns[OF_BUNDLE] * rest.parts > 1 or rows[BUNDLE_GROUPS] < rest.groups
    need[rest.result_level] += sizes[0] * rest.result_bytes * (2 if several else 1)


@kernel
def fits(need: IntArray, capacity: IntArray) -> bool:
    """Whether each level has the room."""
    for level in range(1, capacity.shape[0]):
        if capacity[level] != UNLIMITED and need[level] > capacity[level]:
            return False
    return True


@kernel
def result_sizes(totals: tuple[SideTotals, SideTotals], cuts: tuple[int, int], rest: Rest) -> tuple[int, int]:
    """Results of the first, largest block, and of all blocks of a bundle, in one instance of their level."""
    rows, columns = totals[0].table[cuts[0]], totals[1].table[cuts[1]]
    groups = rows[FIRST_GROUPS]
    if rest.result_in_tiles:
        block = groups * rows[FIRST_TILE_VECTORS] * columns[FIRST_TILE_VECTORS]
        return block, groups * rows[BUNDLE_TILE_VECTORS] * columns[BUNDLE_TILE_VECTORS]
    return groups * rows[FIRST_VECTORS] * columns[FIRST_VECTORS], groups * (rest.values // rest.groups)


@kernel
def level_bytes(rows: IntArray, columns: IntArray, level: int, direction: int) -> int:
    """Bytes of both operands in the busiest instance of an on-chip level; rows and columns are one cut's of each."""
    field = OF_LEVEL + LEVEL_COLUMNS * (level - 1) + 2 * direction
    return int(
        rows[field] * columns[OFTEN + ROUNDS_OF_OTHER] + rows[field + 1] * columns[OFTEN + ONCE]
        + columns[field] * rows[OFTEN + ROUNDS_OF_OTHER] + columns[field + 1] * rows[OFTEN + ONCE]
    )  # fmt: skip


@kernel
def least_cycles(
    rows: IntArray, columns: IntArray, channel: tuple[int, int, int], rest: Rest, timing: Timing
) -> tuple[int, int, int]:
    """Two counts of cycles that no order of the blocks goes below, the second one with banks, fills and refresh.

    rows and columns are one cut's of each; channel: cycles of loads, bytes of stores, cycles from the last computation
    to the end. The third count is that of the second one without what comes before the first block and after the last.
    """
    levels = timing.levels
    work = nearest = rest.compute
    for level in range(1, levels.shape[0]):
        width = levels[level, WIDTH]
        if width == 0:
            continue
        reads, writes = level_bytes(rows, columns, level, 0), level_bytes(rows, columns, level, 1)
        ports = max(reads, writes) // width
        work = max(work, ports)
        banks = (reads + writes) // width * levels[level, BANK_CYCLES] // levels[level, BANKS]
        if levels[level, FILL_WIDTH] > 0:
            ports = max(ports, level_bytes(rows, columns, level, 2) // levels[level, FILL_WIDTH])
        nearest = max(nearest, served(NOTHING, max(ports, banks), levels[level, PERIOD], levels[level, REFRESH]))
    loads, stores, within = channel[0], 0, nearest
    if levels[0, WIDTH] > 0:
        stores = channel[1] // levels[0, WIDTH]
    fill = rows[FIRST_LOAD] + columns[FIRST_LOAD]
    if fill > 0:
        fill += timing.load_latency
    moved = max(loads, stores) if timing.full_duplex else loads + stores
    around = fill + timing.start_latency + channel[2]
    nearest = max(around + nearest, served(NOTHING, moved, levels[0, PERIOD], levels[0, REFRESH]))
    return int(max(around + work, moved)), int(nearest), int(within)


@kernel
def alternate_cycles(
    outer: IntArray, inner: IntArray, blocks: int, stores: tuple[int, int, int], within: int, timing: Timing
) -> int:
    """A count that no order goes below, since buffers are double: a block waits for the block two before it.

    It is loaded once that one is computed (on a half-duplex channel: stored), and computed once it is loaded and that
    one is stored. Of the two chains that this makes, the longer one takes at least half of both. outer and inner:
    totals of one cut; stores: how many there are, cycles of all but the last two, and of the last; within: cycles of
    the computation or of a level that is slower.
    """
    if inner[OF_BUNDLE] > 1:
        waits, own = inner[LOADED] * outer[OF_BUNDLE], inner[LOAD_CYCLES] * outer[OF_BUNDLE]
    else:
        waits, own = outer[LOADED], outer[LOAD_CYCLES] + inner[LOAD_CYCLES]
    count, stored, last = stores
    between = max(count - 2, 0) if last > 0 else 0
    if blocks > 1:
        # The second block is loaded after the first one.
        own += outer[FIRST_LOAD] + inner[FIRST_LOAD]
    loading = own + waits * (timing.load_latency + timing.start_latency)
    storing = stored + between * (timing.store_latency + timing.load_latency)
    if timing.full_duplex:
        chains = max(loading, storing)
    else:
        chains = max(loading + stored + between * timing.store_latency, storing)
    tail = last + timing.store_latency + timing.load_latency if last > 0 else 0
    return int((within + chains) // 2 + tail)


@kernel
def moved_bytes(rows: IntArray, columns: IntArray, level: int, direction: int) -> int:
    """Bytes of both operands at an on-chip level, what is loaded into it not counted; one cut's of each side."""
    found = 0
    field = OF_LEVEL + LEVEL_COLUMNS * (level - 1) + MOVED + 4 * direction
    for often in range(4):
        found += int(rows[field + often] * columns[OFTEN + often])
        found += int(columns[field + often] * rows[OFTEN + often])
    return found


@kernel
def energy_of(
    totals: tuple[SideTotals, SideTotals], cuts: tuple[int, int], loads: tuple[int, int, int], rest: Rest
) -> int:
    """Femtojoules; loads: bytes off chip, and those written into the resident levels of rows and columns."""
    rows, columns = totals[0].table[cuts[0]], totals[1].table[cuts[1]]
    energy = rest.mac_energy + int(8 * loads[0] * rest.bit_energy[0])
    energy += int(8 * loads[1] * rest.bit_energy[totals[0].resident])
    energy += int(8 * loads[2] * rest.bit_energy[totals[1].resident])
    for level in range(1, rest.bit_energy.shape[0]):
        for direction in range(2):
            results = int(rest.results_moved[level - 1, direction]) * rest.values
            count = moved_bytes(rows, columns, level, direction) + results
            energy += int(8 * count * rest.bit_energy[level])
    return energy


@kernel
def load_times(row_blocks: int, column_blocks: int, outside: int) -> tuple[int, int]:
    """How often each block of rows and of columns is loaded; outside: 1 where columns are the outer loop."""
    row_times = column_blocks if outside and row_blocks > 1 else 1
    column_times = row_blocks if not outside and column_blocks > 1 else 1
    return row_times, column_times


@kernel
def candidate_energy(totals: tuple[SideTotals, SideTotals], candidate: IntArray, rest: Rest) -> int:
    """Femtojoules of one candidate."""
    cuts = (candidate[ROW_CUT], candidate[COLUMN_CUT])
    rows, columns = totals[0].table[cuts[0]], totals[1].table[cuts[1]]
    row_times, column_times = load_times(rows[OF_BUNDLE], columns[OF_BUNDLE], candidate[OUTSIDE])
    written = (candidate[LEAST_BYTES], rows[WRITTEN] * row_times, columns[WRITTEN] * column_times)
    return energy_of(totals, cuts, written, rest)


@kernel
def stores_of(
    cuts: tuple[IntArray, IntArray], results: Results, stores: tuple[int, int], timing: Timing
) -> tuple[int, int, int]:
    """Stores of one cut of each side: how many, cycles of all but the last two at least, and of the last one.

    stores: bytes of all, cycles of the last one.
    """
    rows, columns = cuts
    count = rows[COUNT] * columns[OF_BUNDLE]
    if stores[1] == 0 or timing.levels[0, WIDTH] == 0:
        return count, 0, stores[1]
    largest = results.store[1, rows[FIRST_KIND], columns[FIRST_KIND]]
    return count, max(stores[0] // timing.levels[0, WIDTH] - 2 * largest, 0), stores[1]


@kernel
def list_candidates(
    totals: tuple[SideTotals, SideTotals], work: tuple[Results, Rest], timing: Timing, goal: tuple[int, int], room: Room
) -> int:
    """Set room.found[candidate, ...] to the mappings that fit, not tried yet, and return how many there are.

    goal: the objective, and cycles; those of which a bound shows that they take as many are left out. Energies are set
    where they are the objective.
    """
    (results, rest), need, found, (objective, most_cycles) = work, room.need, room.found, goal
    count = 0
    stores = rest.values * rest.stored[0]
    for row in range(totals[0].table.shape[0]):
        for column in range(totals[1].table.shape[0]):
            rows, columns, cuts = totals[0].table[row], totals[1].table[column], (row, column)
            if rows[BUNDLE_GROUPS] != columns[BUNDLE_GROUPS] or (rest.whole_columns and columns[COUNT] > 1):
                continue
            if rows[LOAD_CYCLES] + columns[LOAD_CYCLES] >= most_cycles:
                continue
            room_needed(totals, cuts, result_sizes(totals, cuts, rest), rest, need)
            if not fits(need, rest.capacity):
                continue
            row_blocks, column_blocks = rows[OF_BUNDLE], columns[OF_BUNDLE]
            last = results.store[1, rows[LAST_KIND], columns[LAST_KIND]]
            drain = last + timing.store_latency + timing.load_latency if last > 0 else 0
            storing = stores_of((rows, columns), results, (stores, last), timing)
            for outside in range(2):
                if outside == 1 and (row_blocks == 1 or column_blocks == 1):
                    continue  # both orders are the same
                row_times, column_times = load_times(row_blocks, column_blocks, outside)
                loads = rows[LOAD_CYCLES] * row_times + columns[LOAD_CYCLES] * column_times
                if loads >= most_cycles:
                    continue
                loaded = rows[LOAD_BYTES] * row_times + columns[LOAD_BYTES] * column_times
                dram = loaded + rest.values * (rest.stored[0] + rest.stored[1])
                channel = (loads, stores, drain)
                candidate = found[count]
                candidate[ROW_CUT], candidate[COLUMN_CUT], candidate[OUTSIDE] = row, column, outside
                candidate[LEAST], nearest, within = least_cycles(rows, columns, channel, rest, timing)
                if nearest >= most_cycles:
                    continue
                outer, inner = (columns, rows) if outside else (rows, columns)
                candidate[NEAREST] = max(
                    nearest, alternate_cycles(outer, inner, storing[0] * rest.parts, storing, within, timing)
                )
                candidate[LEAST_BYTES], candidate[LOADS], candidate[DRAIN], candidate[TRIED] = dram, loads, drain, 0
                if objective == ENERGY:
                    candidate[LEAST_ENERGY] = candidate_energy(totals, candidate, rest)
                count += 1
    return count


@kernel
def tiling_of(
    totals: tuple[SideTotals, SideTotals], cuts: tuple[int, int], columns_outside: bool, parts: int
) -> Tiling:
    """The loops over the blocks of a candidate."""
    rows, columns = totals[0].table[cuts[0]], totals[1].table[cuts[1]]
    return Tiling(
        rows[FIRST], columns[FIRST], rows[COUNT] // rows[OF_BUNDLE], parts, rows[OF_BUNDLE], columns[OF_BUNDLE],
        columns_outside,
    )  # fmt: skip


@array_kernel
def lay_mapping(
    sides: tuple[SideBlocks, SideBlocks], totals: tuple[SideTotals, SideTotals], work: tuple[Results, Computation],
    choice: Choice, levels: int,
) -> IntArray:  # fmt: skip
    """The blocks of a choice in order: Blocks.table."""
    cuts = choice.row_cut, choice.column_cut
    tiling = tiling_of(totals, cuts, choice.columns_outside, work[1].sums.shape[0])
    count = tiling.bundles * tiling.parts * tiling.row_blocks * tiling.column_blocks
    blocks = np.empty((count, BUSY + DIRECTIONS * levels), dtype=np.int64)
    done = np.zeros(work[1].sums.shape[1], dtype=np.int64)
    for number in range(count):
        lay_block(tiling, sides, work, number, (blocks, number), done)
    return blocks


@kernel
def candidate_cycles(
    cut: tuple[tuple[SideBlocks, SideBlocks], tuple[SideTotals, SideTotals]], work: tuple[Results, Computation],
    timing: Timing, candidate: IntArray, bound: int, room: Room,
) -> int:  # fmt: skip
    """Cycles of one candidate, nothing loaded before; at least `bound` as soon as they cannot be fewer."""
    sides, totals = cut
    parts, engines, done = work[1].sums.shape[0], room.engines, room.done
    tiling = tiling_of(totals, (candidate[ROW_CUT], candidate[COLUMN_CUT]), candidate[OUTSIDE] == 1, parts)
    count, ring = tiling.bundles * parts * tiling.row_blocks * tiling.column_blocks, engines.ring
    done[:] = 0
    state = State(0, 0, 0, 0, 0, 0)
    left, loads = whole_computation(work[1]) + candidate[DRAIN], candidate[LOADS] + candidate[DRAIN]
    for turn in range(count + 1):
        if turn < count:
            lay_block(tiling, sides, work, turn, (engines.blocks, turn & ring), done)
            state = load_block(engines, turn, NOTHING, timing, state)
            loads -= engines.blocks[turn & ring, OWN] + engines.blocks[turn & ring, AHEAD]
            if state.reading + loads >= bound:
                return int(state.reading + loads)
        if turn >= 1:
            state = compute_block(engines, turn - 1, timing, state)
            left -= engines.blocks[(turn - 1) & ring, COMPUTE]
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
        if best >= 0 and (found[candidate, count], found[candidate, LEAST]) >= (found[best, count], found[best, LEAST]):
            continue
        best = candidate
    return best


@kernel
def search(
    cut: tuple[tuple[SideMeasures, SideMeasures], tuple[SideTotals, SideTotals]], work: tuple[Results, Computation],
    rest: Rest, timing: Timing, goal: tuple[int, int, int], room: Room,
) -> Choice:  # fmt: skip
    """The best candidate for goal (objective, its count so far, the cycles so far); none where none is better.

    Of equals the one with fewer cycles, or else the one whose bound is lower, or that is listed first.
    """
    (sides, totals), (objective, bound, bound_cycles), found = cut, goal, room.found
    most_cycles = bound_cycles if objective == CYCLES else UNBOUNDED
    count = list_candidates(totals, (work[0], rest), timing, (objective, most_cycles), room)
    blocks = SideBlocks(sides[0].table), SideBlocks(sides[1].table)
    best = Choice(-1, -1, False, bound_cycles, 0, 0)
    best_count = bound
    for _ in range(count):
        candidate = found[next_candidate(found[:count], LEAST + objective)]
        least = candidate[LEAST + objective]
        if least > best_count or (objective == CYCLES and least == best_count):
            break
        candidate[TRIED] = 1
        must_be_faster = objective == CYCLES or least == best_count
        if must_be_faster and candidate[NEAREST] >= best.cycles:
            continue
        fill_cut(sides[0], totals[0].table, candidate[ROW_CUT])
        fill_cut(sides[1], totals[1].table, candidate[COLUMN_CUT])
        most = best.cycles if must_be_faster else UNBOUNDED
        cycles = candidate_cycles((blocks, totals), work, timing, candidate, most, room)
        if must_be_faster and cycles >= best.cycles:
            continue
        best = Choice(
            candidate[ROW_CUT], candidate[COLUMN_CUT], candidate[OUTSIDE] == 1, cycles,
            candidate[LEAST_BYTES], candidate_energy(totals, candidate, rest),
        )  # fmt: skip
        best_count = cycles if objective == CYCLES else least
    return best
