"""Load, compute and store engines that work on a list of blocks."""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.blocks import AHEAD, BUSY, COMPUTE, OWN, OWN_LEVEL, STORE, WAITS
from swatsim.kernels.compile import kernel

IntArray = NDArray[np.int64]

# A literal is a type of its own to the compiler: what gets both it and a number is compiled twice.
NOTHING = cast(int, np.int64(0))

# Columns of Timing.levels.
WIDTH, FILL_WIDTH, BANKS, BANK_CYCLES, PERIOD, REFRESH = range(6)
# Columns of Spans.table.
LOADED, COMPUTED, STORED, ARRIVED = 0, 2, 4, 6
SPAN_COLUMNS = 7
# As Work.ring: every block has a row of its own.
ALL_ROWS = -1
# Cycles whose products with widths and banks are sure to fit 64 bits.
LARGEST_PRODUCT = 1 << 40


class Timing(NamedTuple):
    """What of a hierarchy decides how long blocks take; level 0 is off chip, the on-chip ones follow."""

    # [level, ...]: bytes read a cycle, and as many written (0: unlimited); bytes a cycle from the level above (0:
    # unlimited); banks; cycles for which an access occupies its bank; period of the refresh (0: none), and its cycles
    # at the end of each period.
    levels: IntArray
    load_latency: int  # from the channel to the level where blocks are kept
    start_latency: int  # from there to the multipliers
    store_latency: int  # from the multipliers to the channel
    full_duplex: bool


class Spans(NamedTuple):
    """When each engine works on each block; transfers end when the channel is free again."""

    table: IntArray  # [block, ...]: start and end of each engine's work, and `arrived`

    def __eq__(self, other: object) -> bool:
        """Arrays alone give no single answer."""
        return isinstance(other, Spans) and np.array_equal(self.table, other.table)

    def __ne__(self, other: object) -> bool:
        """A tuple has its own."""
        return not self == other

    def __hash__(self) -> int:
        """Of equal ones the same."""
        return hash(self.table.tobytes())

    @staticmethod
    def empty(blocks: int) -> Spans:
        """Spans of engines that have not worked yet."""
        return Spans(np.zeros((blocks, SPAN_COLUMNS), np.int64))

    @property
    def load(self) -> IntArray:
        """[block, start and end]: its own loads, and its share of a later outer block's."""
        return self.table[:, LOADED : LOADED + 2]

    @property
    def compute(self) -> IntArray:
        """[block, start and end]: with the levels that take longer than the computation."""
        return self.table[:, COMPUTED : COMPUTED + 2]

    @property
    def store(self) -> IntArray:
        """[block, start and end]."""
        return self.table[:, STORED : STORED + 2]

    @property
    def arrived(self) -> IntArray:
        """[block]: when all that a block waits for is on chip; 0 where it waits for nothing."""
        return self.table[:, ARRIVED]


@kernel
def served(start: int, work: int, period: int, refresh: int) -> int:
    """When `work` cycles that begin at `start` are done by something that rests `refresh` cycles in every period."""
    if work == 0 or period == 0:
        return start + work
    available, begun = period - refresh, start // period
    within = min(start - begun * period, available)
    if within + work <= available:  # most often, and without another division
        return begun * period + within + work
    last = within + work - 1
    return (begun + last // available) * period + last % available + 1


@kernel
def served_before(cycle: int, period: int, refresh: int) -> int:
    """Cycles before `cycle` without refresh."""
    if period == 0:
        return cycle
    return cycle // period * (period - refresh) + min(cycle % period, period - refresh)


@kernel
def paused_cycles(levels: IntArray, start: int, end: int) -> int:
    """Cycles from `start` to `end` in which the channel refreshes."""
    period, refresh = levels[0, PERIOD], levels[0, REFRESH]
    return end - start - (served_before(end, period, refresh) - served_before(start, period, refresh))


@kernel
def level_cycles(levels: IntArray, level: int, blocks: IntArray, row: int) -> tuple[int, int]:
    """Cycles of one level for the bytes of a block, and how many of them banks are waited for.

    Accesses go round the banks; reads and writes have a port each, and meet in the banks.
    """
    width, busy = levels[level, WIDTH], BUSY + 3 * (level - 1)
    if width == 0:
        return 0, 0
    reads, writes = -(-blocks[row, busy] // width), -(-blocks[row, busy + 1] // width)
    ports = max(reads, writes)
    if levels[level, FILL_WIDTH] > 0:
        ports = max(ports, -(-blocks[row, busy + 2] // levels[level, FILL_WIDTH]))
    banks = -(-(reads + writes) * levels[level, BANK_CYCLES] // levels[level, BANKS])
    return max(ports, banks), max(0, banks - ports)


@kernel
def surely_within(levels: IntArray, level: int, blocks: IntArray, row: int, cycles: int) -> bool:
    """Whether a level surely does a block's bytes in so many cycles, at whatever time: without its divisions."""
    width, busy = levels[level, WIDTH], BUSY + 3 * (level - 1)
    if width == 0:
        return True
    if cycles > LARGEST_PRODUCT:
        return False
    if levels[level, PERIOD] > 0:
        cycles -= (cycles // levels[level, PERIOD] + 2) * levels[level, REFRESH]
        if cycles <= 0:
            return False
    reads, writes, most = blocks[row, busy], blocks[row, busy + 1], cycles * width
    if reads > most or writes > most:
        return False
    fill_width = levels[level, FILL_WIDTH]
    if fill_width > 0 and blocks[row, busy + 2] > cycles * fill_width:
        return False
    return bool((reads + writes + 2 * width) * levels[level, BANK_CYCLES] <= most * levels[level, BANKS])


@kernel
def occupied_cycles(blocks: IntArray, timing: Timing, cycles: IntArray) -> None:
    """Set cycles[level] for which each level is occupied, and cycles[-1] of the computation; blocks as Blocks.table."""
    cycles[:] = 0
    loads, stores = NOTHING, NOTHING
    for block in range(blocks.shape[0]):
        loads += blocks[block, OWN] + blocks[block, AHEAD]
        stores += blocks[block, STORE]
        cycles[-1] += blocks[block, COMPUTE]
        for level in range(1, timing.levels.shape[0]):
            cycles[level] += level_cycles(timing.levels, level, blocks, block)[0]
    cycles[0] = max(loads, stores) if timing.full_duplex else loads + stores


class State(NamedTuple):
    """How far the engines have come."""

    reading: int  # when the channel is free for the next load
    writing: int  # for the next store; the same of a half-duplex channel
    end: int  # of the last computation
    last_end: int  # of the last store
    resting: int  # for how long the channel has nothing to load before the last computation ends
    rested: int  # for refresh, in the last store


class Work(NamedTuple):
    """What the engines read and write."""

    blocks: IntArray  # Blocks.table
    spans: IntArray  # Spans.table
    stalls: IntArray  # [cause]: a level's number, then bank conflicts, refresh and latency
    ring: int  # the row of a block is block & ring: its own, or one of ring + 1; four are enough to look back by two


@kernel
def load_block(work: Work, block: int, credit: int, timing: Timing, state: State) -> State:
    """Load what a block waits for, then its predecessor's share of a later outer block."""
    blocks, spans, row = work.blocks, work.spans, block & work.ring
    period, refresh = timing.levels[0, PERIOD], timing.levels[0, REFRESH]
    reading = state.reading
    if block >= 2:
        reading = max(reading, spans[(block - 2) & work.ring, COMPUTED + 1])
    own = blocks[row, OWN] - credit
    spans[row, LOADED] = reading
    reading = served(reading, own, period, refresh)
    spans[row, ARRIVED] = 0
    if blocks[row, WAITS] and not (credit > 0 and own == 0):
        spans[row, ARRIVED] = reading + timing.load_latency
    if block >= 1:
        # It stands after this block's own load, and before the predecessor's store.
        reading = served(reading, blocks[(block - 1) & work.ring, AHEAD], period, refresh)
    spans[row, LOADED + 1] = reading
    return State(reading, state.writing, state.end, state.last_end, state.resting, state.rested)


@kernel
def compute_block(work: Work, block: int, timing: Timing, state: State) -> State:
    """Compute a block once its data are there and there is room for its results, then store them."""
    blocks, spans, stalls, row = work.blocks, work.spans, work.stalls, block & work.ring
    conflict, refresh, latency = stalls.shape[0] - 3, stalls.shape[0] - 2, stalls.shape[0] - 1
    ready, drained, before = timing.start_latency + spans[row, ARRIVED], 0, (block - 2) & work.ring
    if block >= 2 and blocks[before, STORE] > 0:
        drained = spans[before, STORED + 1] + timing.load_latency
    start = max(state.end, ready, drained)
    gap = start - state.end
    if gap > 0:
        by_load, paused = ready >= drained, 0
        hidden = timing.load_latency + (timing.start_latency if by_load else timing.store_latency)
        if not by_load:
            paused = paused_cycles(timing.levels, spans[before, STORED], spans[before, STORED + 1])
        elif spans[row, ARRIVED] > 0:
            # Not to the end of the load's span: another block's share may follow.
            paused = paused_cycles(timing.levels, spans[row, LOADED], spans[row, ARRIVED] - timing.load_latency)
        charge(stalls, gap, (latency, hidden), (refresh, paused), blocks[row, OWN_LEVEL] if by_load else NOTHING)
    computed = start + blocks[row, COMPUTE]
    slowest = over = lost = paused = NOTHING
    for level in range(1, timing.levels.shape[0]):
        if surely_within(timing.levels, level, blocks, row, computed + over - start):
            continue
        cycles, lost_here = level_cycles(timing.levels, level, blocks, row)
        done = served(start, cycles, timing.levels[level, PERIOD], timing.levels[level, REFRESH])
        if done - computed > over:
            slowest, over, lost, paused = level, done - computed, lost_here, done - start - cycles
    if over > 0:
        charge(stalls, over, (refresh, paused), (conflict, lost), slowest)
    end = computed + over
    spans[row, COMPUTED], spans[row, COMPUTED + 1] = start, end
    # Two blocks' buffers are taken until the block before this one is done.
    freed = state.reading
    if block >= 1:
        freed = max(freed, spans[(block - 1) & work.ring, COMPUTED + 1])
    return store_block(work, row, timing, State(
        state.reading, state.writing, end, state.last_end, max(0, end - freed), state.rested
    ))  # fmt: skip


@kernel
def store_block(work: Work, row: int, timing: Timing, state: State) -> State:
    """Store a block's results; on a half-duplex channel after the loads that came before."""
    spans, cycles = work.spans, work.blocks[row, STORE]
    sent = state.end + timing.store_latency
    spans[row, STORED] = spans[row, STORED + 1] = sent
    if cycles == 0:
        return state
    begin = max(state.writing if timing.full_duplex else state.reading, sent)
    writing = served(begin, cycles, timing.levels[0, PERIOD], timing.levels[0, REFRESH])
    spans[row, STORED], spans[row, STORED + 1] = begin, writing
    return State(
        state.reading if timing.full_duplex else writing, writing, state.end,
        max(state.last_end, writing + timing.load_latency), state.resting, writing - begin - cycles,
    )  # fmt: skip


@kernel
def run_blocks(
    blocks: IntArray, credit: int, timing: Timing, spans: IntArray, stalls: IntArray
) -> tuple[int, int, int]:
    """Cycles until the last block is stored; from when to when the channel can load for the next pass.

    A half-duplex channel serves load 0, load 1, ahead 0, store 0, load 2, ahead 1, store 1 ... in this order; a
    full-duplex one serves stores apart. Buffers are double: a load waits until the block two before it has been
    computed, a computation until the results of the block two before it have been stored. `credit` cycles of the first
    load were done before. `blocks` and `spans` are the tables of Blocks and Spans; stalls[cause] are added to.
    """
    work, state = Work(blocks, spans, stalls, ALL_ROWS), State(0, 0, 0, 0, 0, 0)
    total = blocks.shape[0]
    for turn in range(total + 1):
        if turn < total:
            state = load_block(work, turn, credit if turn == 0 else 0, timing, state)
        if turn >= 1:
            state = compute_block(work, turn - 1, timing, state)
    wait = state.last_end - state.end
    if wait > 0:
        latency, refresh = stalls.shape[0] - 1, stalls.shape[0] - 2
        charge(stalls, wait, (latency, timing.store_latency + timing.load_latency), (refresh, state.rested), NOTHING)
    cycles = max(state.last_end, state.end)
    rest = state.end - state.resting
    # What another pass loads in this time has arrived when it begins.
    return cycles, rest, max(rest, min(state.end, cycles - timing.load_latency))


@kernel
def charge(stalls: IntArray, wait: int, first: tuple[int, int], second: tuple[int, int], rest: int) -> None:
    """Charge a wait to `first` (cause, at most so many cycles), then to `second`, and what is left to `rest`."""
    given = min(wait, first[1])
    stalls[first[0]] += given
    wait -= given
    given = min(wait, second[1])
    stalls[second[0]] += given
    stalls[rest] += wait - given
