"""Load, compute and store engines that work on a list of blocks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.blocks import Blocks
from swatsim.kernels.compile import kernel

IntArray = NDArray[np.int64]


class Timing(NamedTuple):
    """What of a hierarchy decides how long blocks take; level 0 is off chip, the on-chip ones follow."""

    width: IntArray  # [level]: bytes read a cycle, and as many written; 0: unlimited
    fill_width: IntArray  # [level]: bytes a cycle from the level above; 0: unlimited
    banks: IntArray  # [level]
    bank_cycles: IntArray  # [level]: for which an access occupies its bank
    refresh_period: IntArray  # [level]; 0: none
    refresh_cycles: IntArray  # [level]: at the end of each period
    load_latency: int  # from the channel to the level where blocks are kept
    start_latency: int  # from there to the multipliers
    store_latency: int  # from the multipliers to the channel
    full_duplex: bool


class Spans(NamedTuple):
    """When each engine works on each block, [block, start and end]; transfers end when the channel is free again."""

    load: IntArray  # its own loads, and its share of a later outer block's
    compute: IntArray  # with the levels that take longer than the computation
    store: IntArray
    arrived: IntArray  # [block]: when all that a block waits for is on chip; 0 where it waits for nothing


@kernel
def served(start: int, work: int, period: int, refresh: int) -> int:
    """When `work` cycles that begin at `start` are done by something that rests `refresh` cycles in every period."""
    if work == 0 or period == 0:
        return start + work
    available = period - refresh
    done = served_before(start, period, refresh) + work
    return (done - 1) // available * period + (done - 1) % available + 1


@kernel
def served_before(cycle: int, period: int, refresh: int) -> int:
    """Cycles before `cycle` without refresh."""
    if period == 0:
        return cycle
    return cycle // period * (period - refresh) + min(cycle % period, period - refresh)


@kernel
def paused_cycles(timing: Timing, start: int, end: int) -> int:
    """Cycles from `start` to `end` in which the channel refreshes."""
    period, refresh = timing.refresh_period[0], timing.refresh_cycles[0]
    return end - start - (served_before(end, period, refresh) - served_before(start, period, refresh))


@kernel
def level_cycles(timing: Timing, level: int, busy: IntArray) -> tuple[int, int]:
    """Cycles of one level for a block's bytes busy[read, write, fill], and how many of them banks are waited for.

    Accesses go round the banks; reads and writes have a port each, and meet in the banks.
    """
    width = timing.width[level]
    if width == 0:
        return 0, 0
    reads, writes = -(-busy[0] // width), -(-busy[1] // width)
    ports = max(reads, writes)
    if timing.fill_width[level] > 0:
        ports = max(ports, -(-busy[2] // timing.fill_width[level]))
    banks = -(-(reads + writes) * timing.bank_cycles[level] // timing.banks[level])
    return max(ports, banks), max(0, banks - ports)


@kernel
def empty_spans(blocks: int) -> Spans:
    """Spans of engines that have not worked yet."""
    return Spans(
        np.zeros((blocks, 2), np.int64), np.zeros((blocks, 2), np.int64), np.zeros((blocks, 2), np.int64),
        np.zeros(blocks, np.int64),
    )  # fmt: skip


@kernel
def occupied_cycles(blocks: Blocks, timing: Timing, cycles: IntArray) -> None:
    """Set cycles[level] for which each level is occupied, and cycles[-1] of the computation."""
    loads, stores = blocks.own.sum() + blocks.ahead.sum(), blocks.store.sum()
    cycles[0] = max(loads, stores) if timing.full_duplex else loads + stores
    cycles[-1] = blocks.compute.sum()
    for level in range(1, timing.width.shape[0]):
        cycles[level] = 0
        for block in range(blocks.compute.shape[0]):
            cycles[level] += level_cycles(timing, level, blocks.busy[block, level - 1])[0]


class State(NamedTuple):
    """How far the engines have come."""

    reading: int  # when the channel is free for the next load
    writing: int  # for the next store; the same of a half-duplex channel
    end: int  # of the last computation
    last_end: int  # of the last store
    resting: int  # for how long the channel has nothing to load before the last computation ends
    rested: int  # for refresh, in the last store


@kernel
def start_state() -> State:
    """Nothing is done."""
    return State(0, 0, 0, 0, 0, 0)


@kernel
def load_block(blocks: Blocks, block: int, credit: int, timing: Timing, spans: Spans, state: State) -> State:
    """Load what a block waits for, then its predecessor's share of a later outer block."""
    reading = state.reading
    if block >= 2:
        reading = max(reading, spans.compute[block - 2, 1])
    own = blocks.own[block] - credit
    spans.load[block, 0] = reading
    reading = served(reading, own, timing.refresh_period[0], timing.refresh_cycles[0])
    if blocks.waits[block] and not (credit > 0 and own == 0):
        spans.arrived[block] = reading + timing.load_latency
    if block >= 1:
        # It stands after this block's own load, and before the predecessor's store.
        reading = served(reading, blocks.ahead[block - 1], timing.refresh_period[0], timing.refresh_cycles[0])
    spans.load[block, 1] = reading
    return State(reading, state.writing, state.end, state.last_end, state.resting, state.rested)


@kernel
def compute_block(blocks: Blocks, block: int, timing: Timing, spans: Spans, state: State, stalls: IntArray) -> State:
    """Compute a block once its data are there and there is room for its results, then store them."""
    conflict, refresh, latency = stalls.shape[0] - 3, stalls.shape[0] - 2, stalls.shape[0] - 1
    ready = timing.start_latency + spans.arrived[block]
    drained = 0
    if block >= 2 and blocks.store[block - 2] > 0:
        drained = spans.store[block - 2, 1] + timing.load_latency
    start = max(state.end, ready, drained)
    gap = start - state.end
    paused = 0
    if gap > 0:
        by_load = ready >= drained
        hidden = timing.load_latency + (timing.start_latency if by_load else timing.store_latency)
        if not by_load:
            paused = paused_cycles(timing, spans.store[block - 2, 0], spans.store[block - 2, 1])
        elif spans.arrived[block] > 0:
            # Not to the end of the load's span: another block's share may follow.
            paused = paused_cycles(timing, spans.load[block, 0], spans.arrived[block] - timing.load_latency)
        charge(stalls, gap, (latency, hidden), (refresh, paused), blocks.own_level[block] if by_load else 0)
    spans.compute[block, 0] = start
    computed = start + blocks.compute[block]
    slowest, over, lost, paused = 0, 0, 0, 0
    for level in range(1, timing.width.shape[0]):
        cycles, lost_here = level_cycles(timing, level, blocks.busy[block, level - 1])
        done = served(start, cycles, timing.refresh_period[level], timing.refresh_cycles[level])
        if done - computed > over:
            slowest, over, lost, paused = level, done - computed, lost_here, done - start - cycles
    if over > 0:
        charge(stalls, over, (refresh, paused), (conflict, lost), slowest)
    end = computed + over
    spans.compute[block, 1] = end
    # Two blocks' buffers are taken until the block before this one is done.
    freed = max(state.reading, spans.compute[block - 1, 1]) if block >= 1 else state.reading
    return store_block(blocks, block, timing, spans, State(
        state.reading, state.writing, end, state.last_end, max(0, end - freed), state.rested
    ))  # fmt: skip


@kernel
def store_block(blocks: Blocks, block: int, timing: Timing, spans: Spans, state: State) -> State:
    """Store a block's results; on a half-duplex channel after the loads that came before."""
    sent = state.end + timing.store_latency
    spans.store[block, 0] = spans.store[block, 1] = sent
    if blocks.store[block] == 0:
        return state
    begin = max(state.writing if timing.full_duplex else state.reading, sent)
    writing = served(begin, blocks.store[block], timing.refresh_period[0], timing.refresh_cycles[0])
    spans.store[block, 0], spans.store[block, 1] = begin, writing
    return State(
        state.reading if timing.full_duplex else writing, writing, state.end,
        max(state.last_end, writing + timing.load_latency), state.resting, writing - begin - blocks.store[block],
    )  # fmt: skip


@kernel
def run_blocks(blocks: Blocks, credit: int, timing: Timing, spans: Spans, stalls: IntArray) -> tuple[int, int, int]:
    """Cycles until the last block is stored; from when to when the channel can load for the next pass.

    A half-duplex channel serves load 0, load 1, ahead 0, store 0, load 2, ahead 1, store 1 ... in this order; a
    full-duplex one serves stores apart. Buffers are double: a load waits until the block two before it has been
    computed, a computation until the results of the block two before it have been stored. `credit` cycles of the first
    load were done before.

    stalls[cause] are added to: a level's number, then bank conflicts, refresh and latency.
    """
    state = start_state()
    total = blocks.compute.shape[0]
    for turn in range(total + 1):
        if turn < total:
            state = load_block(blocks, turn, credit if turn == 0 else 0, timing, spans, state)
        if turn >= 1:
            state = compute_block(blocks, turn - 1, timing, spans, state, stalls)
    wait = state.last_end - state.end
    if wait > 0:
        latency, refresh = stalls.shape[0] - 1, stalls.shape[0] - 2
        charge(stalls, wait, (latency, timing.store_latency + timing.load_latency), (refresh, state.rested), 0)
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
