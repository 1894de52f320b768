"""Inner products whose idle multipliers take a later value (docs/datapaths/lanes.md)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from swatsim.contraction import Contraction
from swatsim.datapaths.lanes.keys import RULES, Keys
from swatsim.datapaths.lanes.moves import make_moves
from swatsim.datapaths.lanes.pairs import Packed, pack, schedule_pairs
from swatsim.datapaths.lanes.units import (
    Units,
    fewest_cycles,
    pack_side,
    steps_of_chunk,
    values_of_a_vector,
    vectors_of_units,
)
from swatsim.kernels.gather import ChunkShape, gather_words, list_runs
from swatsim.kernels.streams import count_by_lane, fullest_group, unite_rows
from swatsim.keys.machine import Machine
from swatsim.mapping import Mapping, count_chunks, extents, map_contraction, splits, transpose
from swatsim.sides import Side, TouchedBy
from swatsim.way import Relaxation, Schedule, Way, Ways

KIND = "lanes"
# What `swatsim explain` tries.
RELAXATIONS = (
    Relaxation("datapath.barrier", "pass", ("rows", "tiles", "barriers")),
    Relaxation("datapath.barrier_tiles", 1, ("tiles", "barriers")),
    Relaxation("datapath.lockstep", "row", ("reach", "rows")),
    Relaxation("datapath.balance", "greedy", ("rows", "tiles", "barriers")),
    Relaxation("datapath.chunk_steps", losses=("reach", "rows", "barriers")),
    Relaxation("datapath.empty_chunk_cycles", 0, ("reach",)),
)
__all__ = ["KIND", "RULES", "Keys", "arrange", "schedule", "ways"]

IntArray = NDArray[np.int64]
# Words of a block of vectors are held at once: 16 MiB bound the memory of any layer.
WORDS_AT_ONCE = 1 << 21
ROWS_AT_ONCE = 512


def arrange(contraction: Contraction, machine: Machine[Keys]) -> Contraction:
    """See `Datapath`: with `balance: greedy` the vectors with most values come first (SparTen, MICRO 2019).

    Those are the filters or channels that are scheduled; windows stay in their order.
    """
    datapath = machine.datapath
    if datapath.balance != "greedy" or datapath.skip == "none":
        return contraction
    if datapath.skip != "sparser" or not _sparser(contraction.columns, contraction.rows):
        return replace(contraction, rows=_fullest_first(contraction.rows))
    if contraction.taps is None:
        return replace(contraction, columns=_fullest_first(contraction.columns))
    return contraction


def _fullest_first(side: Side) -> Side:
    """The vectors of the fullest lines first, and the lines stored in this order: filters, or channels of a tensor."""
    lines = side.lines
    groups, count = lines.nonzeros.shape
    line_order = np.argsort(-lines.nonzeros, axis=1, kind="stable")
    of_line, touched_by = _line_by_line(side.touched_by, count)
    group = np.arange(groups)[:, None]
    base = side.base[group, of_line[line_order].reshape(groups, -1)]
    return replace(side, base=base, touched_by=touched_by, lines=replace(lines, start=lines.start[group, line_order]))


@lru_cache(maxsize=64)
def _line_by_line(touched_by: TouchedBy, count: int) -> tuple[IntArray, TouchedBy]:
    """The vectors of each line (kernel positions of a shifted channel), and what they touch in the order of lines."""
    of_line = np.argsort(touched_by.first, kind="stable").reshape(count, -1)
    rank = np.repeat(np.arange(count), of_line.shape[1])
    return of_line, TouchedBy(first=rank, last=rank)


def ways(contraction: Contraction, machine: Machine[Keys]) -> Ways:
    """See `Datapath`: each split of the tiles, with `skip: sparser` in both orientations."""
    skip = machine.datapath.skip
    orientations = (False, True) if skip == "sparser" else (False,)
    dense = tuple(Way(split=split, transposed=turned) for turned in orientations for split in splits(machine))
    if skip == "none":
        return Ways(skipping=(), dense=dense)
    skips: tuple[str, ...] = ("rows", "columns")
    turned = skip == "sparser" and _sparser(contraction.columns, contraction.rows)
    if skip != "both":
        skips = ("columns",) if turned or skip == "columns" else ("rows",)
    skipping = tuple(Way(split=split, transposed=turned, skips=skips) for split in splits(machine))
    return Ways(skipping=skipping, dense=dense, may_turn_off=skip == "sparser")


def schedule(contraction: Contraction, machine: Machine[Keys], ways: Sequence[Way]) -> tuple[Schedule, ...]:
    """See `Datapath`: the schedules of single vectors are made only once."""
    mapping = map_contraction(contraction, machine)
    both = {False: mapping, True: transpose(mapping)}
    units: dict[bool, Units] = {}
    packed: Packed | None = None
    found = []
    for way in ways:
        oriented = both[way.transposed]
        if not way.skips:
            found.append(_dense(oriented, way, machine))
        elif machine.datapath.skip == "both":
            packed = packed or pack(oriented, machine)
            found.append(schedule_pairs(oriented, way, machine, packed))
        else:
            if way.transposed not in units:
                units[way.transposed] = _units(oriented, machine)
            found.append(_skipping(oriented, way, units[way.transposed], machine))
    return tuple(found)


def _sparser(candidate: Side, other: Side) -> bool:
    """Whether `candidate` has the larger fraction of zeros, compared exactly."""
    return candidate.nonzeros * other.positions < other.nonzeros * candidate.positions


def _dense(mapping: Mapping, way: Way, machine: Machine[Keys]) -> Schedule:
    rows, columns = extents(machine, way.split)
    cycles = columns.rounds(mapping.columns.vectors) * mapping.steps
    rounds = mapping.groups * rows.rounds(mapping.rows.vectors)
    return Schedule(
        way=way, rows=mapping.rows, columns=mapping.columns, extents=(rows, columns),
        cycles=np.full((1, rounds, 1), cycles, dtype=np.int64),
    )  # fmt: skip


def _skipping(mapping: Mapping, way: Way, units: Units, machine: Machine[Keys]) -> Schedule:
    both = extents(machine, way.split)
    columns_outer = machine.datapath.skip == "columns"
    own, others = both[::-1] if columns_outer else both
    side, other = (mapping.columns, mapping.rows) if columns_outer else (mapping.rows, mapping.columns)
    repeats = others.rounds(other.vectors)
    cycles = units.set_cycles(own, repeats)
    actual = int(cycles.sum(axis=1).max())
    return Schedule(
        way=way, rows=mapping.rows, columns=mapping.columns, extents=both, columns_outer=columns_outer,
        cycles=cycles[:, :, None],
        multiplications=None if units.multiplications is None else units.multiplications * other.vectors,
        losses=lambda: units.losses(own, repeats, actual, values_of_a_vector(side)),
    )  # fmt: skip


def _units(mapping: Mapping, machine: Machine[Keys]) -> Units:
    """Schedule every vector of the operand whose zeros are skipped, or those of a tile together."""
    datapath, tile = machine.datapath, machine.tile
    side, offset, per_tile = mapping.rows, mapping.row_offset, tile.rows
    if datapath.skip == "columns":
        side, offset, per_tile = mapping.columns, mapping.column_offset, tile.columns
    unit_rows = per_tile if datapath.lockstep == "tile" else 1
    slots_per_tile = per_tile // unit_rows
    lane_cycles: IntArray | None = None
    multiplications: int | None = None
    if datapath.reach == "moves":
        cycles, after = _move_cycles(side, offset, unit_rows, machine)
    else:
        if datapath.balance == "pair":
            chunks = _paired(side, offset, per_tile, machine)
        else:
            chunks = _chunks(side, offset, unit_rows, machine)
            lane_cycles, multiplications = chunks.lane_cycles, chunks.multiplications
        waits = datapath.barrier in ("step", "chunk")
        cycles = (chunks.cycles if waits else chunks.cycles.sum(axis=2, keepdims=True))[..., None]
        after = np.zeros((*cycles.shape[:2], 1), dtype=np.int64)
    return Units(
        cycles=cycles, after=after, lane_cycles=lane_cycles, lanes=tile.lanes,
        multiplications=multiplications, slots_per_tile=slots_per_tile,
        # Without a barrier before the end every slot is a set of its own.
        set_slots=1 if datapath.barrier == "pass" else datapath.barrier_tiles * slots_per_tile,
        depth=datapath.decouple_depth,
    )  # fmt: skip


def _move_cycles(side: Side, offset: IntArray, unit_rows: int, machine: Machine[Keys]) -> tuple[IntArray, IntArray]:
    datapath = machine.datapath
    moves = make_moves(
        datapath.moves, datapath.lane_order or tuple(range(machine.tile.lanes)),
        datapath.order == "most_candidates", unit_rows,
    )  # fmt: skip
    shape = (side.groups, -(-side.vectors // unit_rows), moves.lookahead + 1)
    cycles, after = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.int64)
    for group, units, words in _blocks(side, offset, unit_rows, ROWS_AT_ONCE * offset.shape[0]):
        moves.schedule(words, cycles[group, units], after[group, units])
    return cycles[:, :, None], after


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunks:
    cycles: IntArray  # [group, unit, chunk]
    lane_cycles: IntArray | None = None  # [group, unit], summed over the lanes, where each has its own schedule
    multiplications: int | None = None  # with one vector of the other side, where more than the values are multiplied


def _chunks(side: Side, offset: IntArray, unit_rows: int, machine: Machine[Keys]) -> _Chunks:
    """Cycles of the chunks of each unit."""
    if machine.datapath.reach == "n_of_m":
        return _pattern(side, offset, unit_rows, machine)
    chunk_steps = steps_of_chunk(offset.shape[0], machine)
    fewest = fewest_cycles(offset.shape[0], chunk_steps, machine)
    if machine.datapath.reach == "own_lane":
        return _own_lane(side, offset, unit_rows, (chunk_steps, fewest, machine.datapath))
    if unit_rows == 1:
        counts = count_chunks(side, offset, chunk_steps)
        return _Chunks(cycles=np.maximum(-(-counts // offset.shape[1]), fewest))
    packed = pack_side(side, offset, ChunkShape(chunk_steps, 64 // offset.shape[1]), unit_rows)
    counts = np.bitwise_count(packed.words).sum(axis=3, dtype=np.int64)
    return _Chunks(
        cycles=np.maximum(-(-counts // offset.shape[1]), fewest),
        multiplications=int(counts.sum(axis=(0, 2)) @ packed.unit_vectors),
    )


def _own_lane(side: Side, offset: IntArray, unit_rows: int, rule: tuple[int, IntArray, Keys]) -> _Chunks:
    chunk_steps, fewest, datapath = rule
    units, lanes = -(-side.vectors // unit_rows), offset.shape[1]
    lanes_apart = datapath.lockstep == "lane" and datapath.barrier == "buffer"
    cycles = np.empty((side.groups, units, 1 if lanes_apart else fewest.size), dtype=np.int64)
    lane_cycles = np.empty((side.groups, units), dtype=np.int64)
    unit_vectors = vectors_of_units(side.vectors, unit_rows)
    multiplications = 0
    for group, block, words in _blocks(side, offset, unit_rows, WORDS_AT_ONCE // lanes):
        united = np.empty((block.stop - block.start, offset.shape[0]), dtype=np.uint64)
        unite_rows(words, unit_rows, united)
        counts = np.empty((united.shape[0], fewest.size, lanes), dtype=np.int64)
        count_by_lane(united, chunk_steps, counts)
        multiplications += int(counts.sum(axis=(1, 2)) @ unit_vectors[block])
        of_lanes = np.maximum(counts, fewest[:, None])
        lane_cycles[group, block] = of_lanes.sum(axis=(1, 2))
        # The lanes of a row wait for each other at the end of each chunk, or only of the buffer.
        cycles[group, block] = (of_lanes.sum(axis=1, keepdims=True) if lanes_apart else of_lanes).max(axis=2)
    return _Chunks(
        cycles=cycles, lane_cycles=lane_cycles if datapath.lockstep == "lane" else None, multiplications=multiplications
    )


def _pattern(side: Side, offset: IntArray, unit_rows: int, machine: Machine[Keys]) -> _Chunks:
    """N of every m lanes: what has more takes several passes, or all of its steps (docs/datapaths/lanes.md)."""
    n, m = machine.datapath.n, machine.datapath.m
    assert n is not None and m is not None, "the architecture refuses n_of_m without n and m"
    chunk_steps = m // math.gcd(n, m)
    steps = np.diff(np.append(np.arange(0, offset.shape[0], chunk_steps), offset.shape[0]))
    units = -(-side.vectors // unit_rows)
    cycles = np.empty((side.groups, units, steps.size), dtype=np.int64)
    for group, block, words in _blocks(side, offset, unit_rows, WORDS_AT_ONCE):
        fullest = np.empty((words.shape[0], steps.size), dtype=np.int64)
        fullest_group(words, m, chunk_steps, fullest)
        passes = np.maximum.reduceat(np.maximum(-(-fullest // n), 1), np.arange(0, words.shape[0], unit_rows), axis=0)
        cycles[group, block] = np.minimum(-(-steps * n // m) * passes, steps)
    return _Chunks(cycles=cycles)


def _paired(side: Side, offset: IntArray, per_tile: int, machine: Machine[Keys]) -> _Chunks:
    """The halves of the vectors of a tile in pairs, the fullest with the emptiest (Procrustes, MICRO 2020)."""
    middle = -(-offset.shape[0] // 2)
    halves = [half for half in (offset[:middle], offset[middle:]) if half.size]
    cycles, values = (np.zeros((side.groups, side.vectors, 2), dtype=np.int64) for _ in range(2))
    values[..., : len(halves)] = count_chunks(side, offset, middle)
    for number, half in enumerate(halves):
        cycles[..., number] = _chunks(side, half, 1, machine).cycles.sum(axis=2)
    paired = np.empty((side.groups, side.vectors, 1), dtype=np.int64)
    for group, first in np.ndindex(side.groups, -(-side.vectors // per_tile)):
        tile = slice(first * per_tile, (first + 1) * per_tile)
        order = np.argsort(-values[group, tile].reshape(-1), kind="stable")
        sorted_cycles = cycles[group, tile].reshape(-1)[order]
        rows = order.size // 2
        paired[group, tile, 0] = sorted_cycles[:rows] + sorted_cycles[: rows - 1 : -1]
    return _Chunks(cycles=paired)


def _blocks(
    side: Side, offset: IntArray, unit_rows: int, words_at_once: int
) -> Iterator[tuple[int, slice, NDArray[np.uint64]]]:
    """Groups, runs of units and their words [vector, step], some at a time."""
    steps, lanes = offset.shape
    units = -(-side.vectors // unit_rows)
    at_once = max(1, words_at_once // (unit_rows * steps))
    runs = list_runs(offset.reshape(-1), np.arange(steps + 1) * lanes)
    for group in range(side.groups):
        for first in range(0, units, at_once):
            last = min(first + at_once, units)
            base = side.base[group, first * unit_rows : last * unit_rows]
            words = np.empty((base.shape[0], steps), dtype=np.uint64)
            gather_words(side.words, base, *runs, words)
            yield group, slice(first, last), words
