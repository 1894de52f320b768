"""Bytes that each block moves at each level of the memory, and the cycles that this takes (docs/model.md §3)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from swatsim.architecture import Architecture
from swatsim.blocks import Block, Work
from swatsim.formats import stored_bytes

DIRECTIONS = ("read", "write")
TENSORS = ("input", "weight", "output")


class Move(NamedTuple):
    """Where bytes go: a level, a direction there, and the shape of the tensor: input, weight or output."""

    level: str
    direction: str
    tensor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockTimes:
    """Cycles of each engine for one block."""

    load: int  # DRAM channel, reading
    store: int  # DRAM channel, writing
    compute: int
    streams: dict[str, int]  # central, sb, nbin, nbout, beside the computation

    @property
    def busy(self) -> int:
        """Cycles of the computation, or of the slowest buffer that feeds it."""
        return max(self.compute, *self.streams.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What one contraction moves: bytes in all, times by block."""

    moved: Counter[Move]
    blocks: list[BlockTimes]


def measure(work: Work, blocks: list[Block], result: str, architecture: Architecture) -> Traffic:
    """Count the bytes of every block; `result` is the tensor that the contraction makes: input, weight or output."""
    moved: Counter[Move] = Counter()
    times = []
    cycles = _ComputeCycles(work)
    for block in blocks:
        moves = _block_moves(work, block, result, architecture.datapath.accumulator_bytes)
        moved.update(moves)
        times.append(_block_times(work, block, moves, cycles.advance(block), architecture))
    return Traffic(moved=moved, blocks=times)


class _ComputeCycles:
    """Deals the cycles of a schedule to its blocks: barrier sets run on across the edges of blocks."""

    def __init__(self, work: Work) -> None:
        self._work = work
        sets = work.schedule.set_cycles.shape[0]
        self._set_cycles = work.schedule.set_cycles.reshape(sets, work.schedule.mapping.groups, -1)
        self._done = np.zeros(sets, dtype=np.int64)

    def advance(self, block: Block) -> int:
        """Cycles until the slowest barrier set has done this block too, after those before it."""
        outer, inner, rounds = block.row_rounds, block.column_rounds, self._work.column_rounds
        if self._work.schedule.columns_scheduled:
            outer, inner, rounds = inner, outer, self._work.row_rounds
        totals = self._set_cycles[:, block.groups, outer]
        before = int(self._done.max())
        self._done += (totals * inner.stop // rounds - totals * inner.start // rounds).sum(axis=(1, 2))
        return int(self._done.max()) - before


def _block_moves(work: Work, block: Block, result: str, accumulator_bytes: int) -> Counter[Move]:
    mapping = work.schedule.mapping
    rows, columns = work.row_vectors(block.row_rounds), work.column_vectors(block.column_rounds)
    groups = block.groups.stop - block.groups.start
    row_rounds = block.row_rounds.stop - block.row_rounds.start
    held = int(work.row_bytes.total[block.groups, block.row_rounds].sum())
    moves: Counter[Move] = Counter()
    if block.loads_rows:
        row_bytes = work.tensor_bytes(mapping.rows.lines, block.groups, rows, "dram")
        moves[Move("dram", "read", mapping.rows.role)] += row_bytes
        moves[Move("sb", "write", mapping.rows.role)] += held * work.column_extent.tiles
    if block.loads_columns:
        for level, direction in (("dram", "read"), ("central", "write")):
            column_bytes = work.tensor_bytes(mapping.columns.lines, block.groups, columns, level)
            moves[Move(level, direction, mapping.columns.role)] += column_bytes
    column_tiles = -(-(columns.stop - columns.start) // work.column_extent.per_tile)
    row_tiles = -(-(rows.stop - rows.start) // work.row_extent.per_tile)
    moves[Move("sb", "read", mapping.rows.role)] += held * column_tiles
    present = work.column_counts.by_vector[block.groups, columns]
    broadcast = int(stored_bytes(work.formats["central"], mapping.elements, present, work.value_bytes).sum())
    moves[Move("central", "read", mapping.columns.role)] += broadcast * row_rounds
    received = int(work.column_bytes.total[block.groups, block.column_rounds].sum()) * row_tiles
    for direction in DIRECTIONS:
        moves[Move("nbin", direction, mapping.columns.role)] += received
    results = groups * (rows.stop - rows.start) * (columns.stop - columns.start)
    reloads = results * accumulator_bytes * (block.reduction_slices - 1)
    sums = results * accumulator_bytes * block.reduction_slices
    moves[Move("nbout", "write", result)] += sums + reloads
    moves[Move("nbout", "read", result)] += sums
    for direction in DIRECTIONS:
        moves[Move("central", direction, result)] += results * work.value_bytes + reloads
    moves[Move("dram", "write", result)] += results * work.value_bytes
    return moves


def _block_times(
    work: Work, block: Block, moves: Counter[Move], compute: int, architecture: Architecture
) -> BlockTimes:
    row_rounds = block.row_rounds.stop - block.row_rounds.start
    column_rounds = block.column_rounds.stop - block.column_rounds.start
    # The tile that holds most is always one with a full share of results.
    rows, columns = (
        min(rounds * extent.per_tile, vectors.stop - vectors.start)
        for rounds, extent, vectors in (
            (row_rounds, work.row_extent, work.row_vectors(block.row_rounds)),
            (column_rounds, work.column_extent, work.column_vectors(block.column_rounds)),
        )
    )
    groups = block.groups.stop - block.groups.start
    tile_sums = groups * rows * columns * architecture.datapath.accumulator_bytes
    bytes_by_engine = {
        "load": _level_bytes(moves, "dram", "read"),
        "store": _level_bytes(moves, "dram", "write"),
        "central": max(_level_bytes(moves, "central", direction) for direction in DIRECTIONS),
        "sb": int(work.row_bytes.largest[block.groups, block.row_rounds].sum()) * column_rounds,
        "nbin": int(work.column_bytes.largest[block.groups, block.column_rounds].sum()) * row_rounds,
        "nbout": tile_sums * (2 * block.reduction_slices - 1),
    }
    levels = {"load": "dram", "store": "dram"}
    cycles = {
        engine: _cycles(count, getattr(architecture.memory, levels.get(engine, engine)).width_bytes_per_cycle)
        for engine, count in bytes_by_engine.items()
    }
    load, store = cycles.pop("load"), cycles.pop("store")
    return BlockTimes(load=load, store=store, compute=compute, streams=cycles)


def _level_bytes(moves: Counter[Move], level: str, direction: str) -> int:
    return sum(count for move, count in moves.items() if (move.level, move.direction) == (level, direction))


def _cycles(count: int, width_bytes_per_cycle: int | None) -> int:
    return 0 if width_bytes_per_cycle is None else -(-count // width_bytes_per_cycle)
