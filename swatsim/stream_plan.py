"""Streaming work as it will run: cut into the blocks that take the fewest cycles (docs/training_step.md)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.dram import transfer_cycles
from swatsim.errors import MappingError
from swatsim.hierarchy import Hierarchy
from swatsim.kernels.blocks import Blocks
from swatsim.kernels.engines import Spans, run_blocks
from swatsim.plan import Plan
from swatsim.streaming import (
    BLOCK_BYTES,
    StreamBlocks,
    StreamOperation,
    StreamSizes,
    stream_blocks,
    stream_moves,
    stream_sizes,
)

IntArray = NDArray[np.int64]

# Of so many streams: layers of one shape stream alike.
STREAMS_KEPT = 64


def plan_stream(operation: StreamOperation, hierarchy: Hierarchy, *, dense: bool) -> Plan:
    """Choose blocks that pass the levels where columns and results are kept.

    Raises MappingError where not even the shortest blocks fit.
    """
    moved = stream_moves(operation, hierarchy.architecture, dense=dense)
    off_chip = sum(count for move, count in moved.items() if move.level == hierarchy.names[0])
    sizes = stream_sizes(operation, dense=dense)
    found = _best(sizes, hierarchy)
    if isinstance(found, Lack):
        level, need = found
        raise MappingError(
            f"{operation.name}: {operation.pass_name}: memory.{hierarchy.names[level]}.capacity_bytes: "
            f"got {hierarchy.room(level)}, expected at least {need} for the shortest blocks, the next ones beside them"
        )
    work, blocks = found
    room = np.zeros(len(hierarchy.names), dtype=np.int64)
    for level, need in _room(work, hierarchy, last=True).items():
        room[level] = need
    return Plan(
        blocks=blocks, runs=(blocks.compute.size,), moved=moved, compulsory_bytes=off_chip, multiplications=0,
        mapping="", first_loads=(), room_bytes=room,
    )  # fmt: skip


class Lack(NamedTuple):
    """What the shortest blocks have no room for."""

    level: int
    need_bytes: int


@lru_cache(maxsize=STREAMS_KEPT)
def _best(sizes: StreamSizes, hierarchy: Hierarchy) -> tuple[StreamBlocks, Blocks] | Lack:
    best: tuple[int, StreamBlocks, Blocks] | None = None
    made = 0
    off_chip = _off_chip_cycles(sizes, hierarchy)
    for block_bytes in reversed(BLOCK_BYTES):
        work = stream_blocks(sizes, block_bytes)
        if best is not None and work.values.size == made:
            continue  # the same blocks again
        made = work.values.size
        if not _fits(work, hierarchy):
            continue
        blocks = _blocks(work, off_chip, hierarchy)
        stalls = np.zeros(len(hierarchy.names) + 3, dtype=np.int64)
        cycles = run_blocks(blocks.table, 0, hierarchy.timing, Spans.empty(made).table, stalls)[0]
        if best is not None and cycles >= best[0]:
            break  # the longer blocks hid more
        best = (cycles, work, blocks)
    if best is None:
        return Lack(*max(_room(work, hierarchy).items(), key=lambda item: item[1] - (hierarchy.room(item[0]) or 0)))
    return best[1:]


def _room(work: StreamBlocks, hierarchy: Hierarchy, *, last: bool = False) -> dict[int, int]:
    """Bytes in each level: of a block, and of the one that comes meanwhile; nothing comes beside the last one."""
    both = 2 if work.values.size > 1 else 1
    need: dict[int, int] = {}
    for operand, sizes, times in (
        ("columns", work.load_bytes, 1 if last else both), ("results", work.store_bytes, both),
    ):  # fmt: skip
        level = hierarchy.resident(operand)
        need[level] = need.get(level, 0) + times * int(sizes.max(initial=0))
    return need


def _fits(work: StreamBlocks, hierarchy: Hierarchy) -> bool:
    for level, need in _room(work, hierarchy).items():
        room = hierarchy.room(level)
        if room is not None and need > room:
            return False
    return True


def _off_chip_cycles(sizes: StreamSizes, hierarchy: Hierarchy) -> tuple[int, int]:
    """Cycles off chip of all that is loaded and of all that is stored: each is one run, whose pages stay open."""
    one_run = np.ones(1, dtype=np.int64)
    load, store = (
        int(transfer_cycles(off_chip, np.array([size]), one_run)[0]) if size else 0
        for off_chip, size in ((hierarchy.reading, sizes.load_bytes), (hierarchy.writing, sizes.store_bytes))
    )
    return load, store


def _blocks(work: StreamBlocks, off_chip: tuple[int, int], hierarchy: Hierarchy) -> Blocks:
    blocks = Blocks.empty(work.values.size, len(hierarchy.names) - 1)
    blocks.own[:] = _cycles(work.load_bytes, off_chip[0])
    blocks.waits[:] = blocks.own > 0
    blocks.store[:] = _cycles(work.store_bytes, off_chip[1])
    blocks.compute[:] = -(-work.values // hierarchy.architecture.streaming.values_per_cycle)
    loaded, stored = hierarchy.resident("columns") - 1, hierarchy.resident("results") - 1
    blocks.busy[:, loaded, :2] += work.load_bytes[:, None]
    blocks.busy[:, stored, :2] += work.store_bytes[:, None]
    return blocks


def _cycles(block_bytes: IntArray, cycles: int) -> IntArray:
    """The cycles of one stream, block by block."""
    total = np.cumsum(block_bytes)
    if not cycles:
        return np.zeros_like(block_bytes)
    edges = np.zeros(total.size + 1, dtype=np.int64)
    # cycles · done // total, without a product that could be too large.
    whole, rest = divmod(cycles, int(total[-1]))
    if rest * int(total[-1]) < 1 << 63:
        edges[1:] = whole * total + rest * total // total[-1]
    else:
        edges[1:] = [cycles * done // int(total[-1]) for done in total.tolist()]
    return edges[1:] - edges[:-1]
