"""Cycles of chunks of steps, where lanes take values from anywhere in the chunk or by a pattern."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swatsim.datapaths.lanes.keys import Keys
from swatsim.datapaths.lanes.units import chunk_runs, fewest_cycles, pack_side, steps_of_chunk, vectors_of_units
from swatsim.kernels.gather import ChunkShape, count_in_parts, gather_words, list_runs
from swatsim.kernels.streams import count_by_lane, fullest_group, unite_rows
from swatsim.keys.machine import Machine
from swatsim.mapping import count_chunks
from swatsim.sides import Side

IntArray = NDArray[np.int64]
Words = NDArray[np.uint64]
# Words of a block of vectors are held at once: 2 MiB bound the memory of any layer.
WORDS_AT_ONCE = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunks:
    """What the chunks of one operand take: cycles[group, unit, chunk]."""

    cycles: IntArray
    lane_cycles: IntArray | None = None  # [group, unit], summed over the lanes, where each has its own schedule
    values: IntArray | None = None  # [group, unit]: positions that are multiplied, where they are counted
    multiplications: int | None = None  # with one vector of the other side, where more than the values are multiplied


def count_cycles(side: Side, offset: IntArray, unit_rows: int, machine: Machine[Keys]) -> Chunks:
    """Cycles of the chunks of each unit, of steps offset[step, lane]."""
    if machine.datapath.reach == "n_of_m":
        return _pattern(side, offset, unit_rows, machine)
    chunk_steps = steps_of_chunk(offset.shape[0], machine)
    fewest = fewest_cycles(offset.shape[0], chunk_steps, machine)
    if machine.datapath.reach == "own_lane":
        return _own_lane(side, offset, unit_rows, (chunk_steps, fewest, machine.datapath))
    if unit_rows == 1:
        counts = count_chunks(side, offset, chunk_steps)
        return Chunks(cycles=np.maximum(-(-counts // offset.shape[1]), fewest), values=counts.sum(axis=2))
    packed = pack_side(side, chunk_runs(offset, ChunkShape(chunk_steps, 64 // offset.shape[1])), unit_rows)
    counts = np.bitwise_count(packed.words).sum(axis=3, dtype=np.int64)
    values = counts.sum(axis=2)
    return Chunks(
        cycles=np.maximum(-(-counts // offset.shape[1]), fewest), values=values,
        multiplications=int(values.sum(axis=0) @ packed.unit_vectors),
    )  # fmt: skip


def _own_lane(side: Side, offset: IntArray, unit_rows: int, rule: tuple[int, IntArray, Keys]) -> Chunks:
    chunk_steps, fewest, datapath = rule
    units = -(-side.vectors // unit_rows)
    lanes_apart = datapath.lockstep == "lane" and datapath.barrier == "buffer"
    cycles = np.empty((side.groups, units, 1 if lanes_apart else fewest.size), dtype=np.int64)
    lane_cycles, values = (np.empty((side.groups, units), dtype=np.int64) for _ in range(2))
    for group, block, counts in _count_lanes(side, offset, unit_rows, chunk_steps):
        values[group, block] = counts.sum(axis=(1, 2))
        of_lanes = np.maximum(counts, fewest[:, None])
        lane_cycles[group, block] = of_lanes.sum(axis=(1, 2))
        # The lanes of a row wait for each other at the end of each chunk, or only of the buffer.
        cycles[group, block] = (of_lanes.sum(axis=1, keepdims=True) if lanes_apart else of_lanes).max(axis=2)
    return Chunks(
        cycles=cycles, lane_cycles=lane_cycles if datapath.lockstep == "lane" else None, values=values,
        multiplications=int(values.sum(axis=0) @ vectors_of_units(side.vectors, unit_rows)),
    )  # fmt: skip


def _count_lanes(
    side: Side, offset: IntArray, unit_rows: int, chunk_steps: int
) -> Iterator[tuple[int, slice, IntArray]]:
    """Groups, runs of units and the values [unit, chunk, lane] that any vector of the unit has, some at a time."""
    steps, lanes = offset.shape
    chunks = -(-steps // chunk_steps)
    whole = np.pad(offset, ((0, chunks * chunk_steps - steps), (0, 0)), constant_values=-1)
    by_lane = whole.reshape(chunks, chunk_steps, lanes).transpose(0, 2, 1).reshape(-1)
    runs = list_runs(by_lane, np.arange(0, by_lane.size + 1, chunk_steps))
    # What lies side by side in a lane (`lane_channels: blocked`) is counted without a word for each step.
    if unit_rows == 1 and 2 * runs[0].shape[0] <= offset.size:
        for group, block in _units_at_once(side, 1, chunks * lanes, WORDS_AT_ONCE):
            counts = np.empty((block.stop - block.start, chunks * lanes), dtype=np.int64)
            count_in_parts(side.words, side.base[group, block], *runs, counts)
            yield group, block, counts.reshape(-1, chunks, lanes)
        return
    for group, block, words in gather_rows(side, offset, unit_rows, WORDS_AT_ONCE // lanes):
        united = np.empty((block.stop - block.start, steps), dtype=np.uint64)
        unite_rows(words, unit_rows, united)
        counts = np.empty((united.shape[0], chunks, lanes), dtype=np.int64)
        count_by_lane(united, chunk_steps, counts)
        yield group, block, counts


def _pattern(side: Side, offset: IntArray, unit_rows: int, machine: Machine[Keys]) -> Chunks:
    """N of every m lanes: what has more takes several passes, or all of its steps (docs/datapaths/lanes.md)."""
    n, m = machine.datapath.n, machine.datapath.m
    assert n is not None and m is not None, "the architecture refuses n_of_m without n and m"
    chunk_steps = m // math.gcd(n, m)
    steps = np.diff(np.append(np.arange(0, offset.shape[0], chunk_steps), offset.shape[0]))
    fullest = np.empty((side.groups, -(-side.vectors // unit_rows), steps.size), dtype=np.int64)
    for group, block, words in gather_rows(side, offset, unit_rows, WORDS_AT_ONCE):
        fullest_group(words, (m, chunk_steps, unit_rows), fullest[group, block])
    passes = np.maximum(-(-fullest // n), 1)
    return Chunks(cycles=np.minimum(-(-steps * n // m) * passes, steps))


def pair_halves(side: Side, offset: IntArray, per_tile: int, machine: Machine[Keys]) -> Chunks:
    """The halves of the vectors of a tile in pairs, the fullest with the emptiest (Procrustes, MICRO 2020)."""
    middle = -(-offset.shape[0] // 2)
    cycles, values = (np.zeros((side.groups, side.vectors, 2), dtype=np.int64) for _ in range(2))
    for number, half in enumerate((offset[:middle], offset[middle:])):
        if half.size:
            chunks = count_cycles(side, half, 1, machine)
            assert chunks.values is not None, "what is paired has no pattern"
            cycles[..., number], values[..., number] = chunks.cycles.sum(axis=2), chunks.values
    paired = np.empty((side.groups, side.vectors, 1), dtype=np.int64)
    whole = side.vectors // per_tile * per_tile
    for rows in (slice(0, whole), slice(whole, side.vectors)):
        if rows.stop > rows.start:
            in_tiles = (side.groups, -1, 2 * min(per_tile, rows.stop - rows.start))
            order = np.argsort(-values[:, rows].reshape(in_tiles), axis=2, kind="stable")
            sorted_cycles = np.take_along_axis(cycles[:, rows].reshape(in_tiles), order, axis=2)
            pairs = sorted_cycles + sorted_cycles[..., ::-1]
            paired[:, rows, 0] = pairs[..., : order.shape[2] // 2].reshape(side.groups, -1)
    return Chunks(cycles=paired)


def gather_rows(side: Side, offset: IntArray, unit_rows: int, words_at_once: int) -> Iterator[tuple[int, slice, Words]]:
    """Groups, runs of units and their words [vector, step], some at a time."""
    steps, lanes = offset.shape
    runs = list_runs(offset.reshape(-1), np.arange(steps + 1) * lanes)
    for group, block in _units_at_once(side, unit_rows, unit_rows * steps, words_at_once):
        base = side.base[group, block.start * unit_rows : block.stop * unit_rows]
        words = np.empty((base.shape[0], steps), dtype=np.uint64)
        gather_words(side.words, base, *runs, words)
        yield group, block, words


def _units_at_once(side: Side, unit_rows: int, unit_words: int, words_at_once: int) -> Iterator[tuple[int, slice]]:
    """Groups and runs of units, each unit of so many words."""
    units = -(-side.vectors // unit_rows)
    at_once = max(1, words_at_once // unit_words)
    for group in range(side.groups):
        for first in range(0, units, at_once):
            yield group, slice(first, min(first + at_once, units))
