"""What the blocks of one side ask of each level of the memory (docs/model.md §3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swatsim.architecture import Level
from swatsim.cuts import Cuts
from swatsim.dram import transfer_cycles
from swatsim.held import HeldSide
from swatsim.hierarchy import Hierarchy
from swatsim.kernels.search import ONCE, ROUNDS_OF_OTHER, TILE_ROUNDS, TILES
from swatsim.kernels.touched import touched_bytes
from swatsim.way import Extent

IntArray = NDArray[np.int64]

READ, WRITE, FILL = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One operand's bytes, for every block of every cut of its side; levels are the on-chip ones, outermost first.

    `busy[level, direction, 0, block]` are the bytes that the busiest instance of a level reads, writes or is filled
    with in each round of the other side, `busy[…, 1, block]` those once in the block. `moved[level, direction, how
    often, cut]` are the bytes of all instances, summed over the blocks of a cut.
    """

    load_bytes: IntArray  # [block]: from off chip
    load_cycles: IntArray
    load_level: IntArray  # [block]: the level that takes longest, 0 for off chip
    resident_bytes: IntArray  # [block]: room that it takes in one instance of the resident level
    resident_written: IntArray  # [block]: into all instances, for each tile of the other side where each tile has one
    busy: IntArray
    moved: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an operand is in a machine: on which side, what it is, and in which format each level has it."""

    operand: str  # rows or columns
    formats: Mapping[str, str]  # by level, outermost first
    extent: Extent
    other_tiles: int  # of the other side
    outer: bool  # its rounds are the outer ones of each block
    present: NDArray[np.bool_] | None = None  # [line]: those of its tensor that are on chip, and stay


def demand_of(held: HeldSide, cuts: Cuts, place: Place, hierarchy: Hierarchy) -> Demand:
    """Measure what the blocks of a side move."""
    levels = hierarchy.levels
    path = tuple(place.formats)
    rounds = {name: _by_round(held.vector_bytes(place.formats[name]), held, place.extent) for name in path[1:]}
    busy = np.zeros((len(levels) - 1, 3, 2, cuts.start.size), dtype=np.int64)
    moved = np.zeros((len(levels) - 1, 2, 4, cuts.start.size), dtype=np.int64)
    stays = np.zeros(cuts.start.size, dtype=np.bool_)  # what is beneath keeps the data: no more is asked for
    beneath: int | None = None
    for depth in range(len(path) - 1, 0, -1):
        name = path[depth]
        level, index = levels[name], hierarchy.index[name] - 1
        read = _amounts(rounds[name], level, cuts)
        _add(busy[index, READ], moved[index, READ], read, level, stays)
        if beneath is not None and level.per == "node":
            np.copyto(busy[beneath, FILL], busy[index, READ])
        if depth > 1:
            # What once is in a level that keeps it need not come again.
            of_instance = rounds[name].total if level.per == "node" else rounds[name].largest
            stays = stays | _kept(of_instance, level, cuts, outer=place.outer)
            _add(busy[index, WRITE], moved[index, WRITE], read, level, stays)
        beneath = index
    loads = _loads(held, cuts, place, hierarchy, rounds[path[1]])
    resident = levels[path[1]]
    channel = transfer_cycles(levels[path[0]], hierarchy.clock_hz, loads.coming, loads.runs, write=False)
    filling = np.maximum(_cycles(loads.arriving, resident.width_bytes_per_cycle), _fill_cycles(loads.written, resident))
    return Demand(
        load_bytes=loads.coming, load_cycles=np.maximum(channel, filling),
        load_level=np.where(filling > channel, hierarchy.index[path[1]], 0), resident_bytes=loads.room,
        resident_written=loads.written * (place.other_tiles if resident.per == "tile" else 1),
        busy=busy, moved=np.add.reduceat(moved, cuts.first[:-1], axis=-1),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Rounds:
    """Bytes of the vectors of each round [group · rounds + round], summed from the first one."""

    largest: IntArray  # of the tile that has most
    total: IntArray


def _by_round(vector_bytes: IntArray, held: HeldSide, extent: Extent) -> _Rounds:
    groups, vectors = held.side.base.shape
    rounds = extent.rounds(vectors)
    padded = np.zeros((groups, rounds * extent.at_once), dtype=np.int64)
    padded[:, :vectors] = vector_bytes.reshape(groups, vectors)
    of_round = padded.reshape(groups * rounds, extent.at_once)
    by_tile = np.add.reduceat(of_round, range(0, extent.at_once, extent.per_tile), axis=1)
    return _Rounds(_sums(by_tile.max(axis=1)), _sums(by_tile.sum(axis=1)))


def _sums(values: IntArray) -> IntArray:
    return np.concatenate(([0], np.cumsum(values)))


@dataclass(frozen=True, slots=True)
class _Amounts:
    busy: IntArray  # [block]
    moved: IntArray


def _amounts(rounds: _Rounds, level: Level, cuts: Cuts) -> _Amounts:
    total = rounds.total[cuts.stop_round] - rounds.total[cuts.start_round]
    if level.per == "node":
        return _Amounts(total, total)
    return _Amounts(rounds.largest[cuts.stop_round] - rounds.largest[cuts.start_round], total)


def _add(busy: IntArray, moved: IntArray, amounts: _Amounts, level: Level, stays: NDArray[np.bool_]) -> None:
    """Count bytes for each round of the other side, or once where they stay."""
    busy[0] += np.where(stays, 0, amounts.busy)
    busy[1] += np.where(stays, amounts.busy, 0)
    often, once = (TILE_ROUNDS, TILES) if level.per == "tile" else (ROUNDS_OF_OTHER, ONCE)
    moved[often] += np.where(stays, 0, amounts.moved)
    moved[once] += np.where(stays, amounts.moved, 0)


def _kept(sums: IntArray, level: Level, cuts: Cuts, *, outer: bool) -> NDArray[np.bool_]:
    """Whether a level keeps what it was filled with while the rounds of the other side pass.

    An outer side's round stays if two of them have room (the next one comes meanwhile), an inner one's if all have.
    """
    if level.capacity_bytes is None:
        return np.ones(cuts.start.size, dtype=np.bool_)
    room = level.capacity_bytes // len(level.holds)
    if outer:
        return 2 * _largest_step(sums, cuts) <= room
    return np.asarray(sums[cuts.stop_round] - sums[cuts.start_round] <= room)


def _largest_step(sums: IntArray, cuts: Cuts) -> IntArray:
    steps = np.append(np.diff(sums), 0)
    edges = np.stack([cuts.start_round, cuts.stop_round], axis=1).reshape(-1)
    return np.maximum.reduceat(steps, edges)[::2]


@dataclass(frozen=True, slots=True)
class _Loads:
    """Bytes of each block's load."""

    coming: IntArray  # off chip
    runs: IntArray  # of consecutive lines
    room: IntArray  # in one instance of the resident level, with what is there already
    arriving: IntArray  # into one instance
    written: IntArray  # into all instances, each vector once


def _loads(held: HeldSide, cuts: Cuts, place: Place, hierarchy: Hierarchy, rounds: _Rounds) -> _Loads:
    outermost, resident = tuple(place.formats)[:2]
    coming, kept = held.line_bytes(place.formats[outermost]), held.line_bytes(place.formats[resident])
    missing = np.ones(kept.size, dtype=np.bool_) if place.present is None else ~place.present[held.touched]
    lines = np.stack([np.where(missing, coming, 0), kept, np.where(missing, kept, 0)])
    stored = np.empty((3, cuts.start.size), dtype=np.int64)
    runs = np.empty(cuts.start.size, dtype=np.int64)
    first, last = held.interval_of_vector[cuts.start], held.interval_of_vector[cuts.stop - 1]
    touched_bytes((held.interval_start, held.interval_stop), lines, first, last, stored, runs)
    runs = np.maximum(runs, 1)
    if hierarchy.levels[resident].per == "tile":
        largest = rounds.largest[cuts.stop_round] - rounds.largest[cuts.start_round]
        total = rounds.total[cuts.stop_round] - rounds.total[cuts.start_round]
        return _Loads(stored[0], runs, largest, largest, total)
    room = stored[1]
    if place.present is not None:
        room = room + held.all_line_bytes(place.formats[resident])[place.present & ~held.touched].sum()
    return _Loads(stored[0], runs, room, stored[2], stored[2])


def _cycles(count: IntArray, width: int | None) -> IntArray:
    return np.zeros_like(count) if width is None else -(-count // width)


def _fill_cycles(count: IntArray, level: Level) -> IntArray:
    return _cycles(count, None if level.width_bytes_per_cycle is None else level.fill_bytes_per_cycle)
