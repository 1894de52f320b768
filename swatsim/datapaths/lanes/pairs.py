"""Schedules of the datapath family `lanes` that skip the zeros of both operands (docs/datapaths/lanes.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

import numpy as np
from numpy.typing import NDArray

from swatsim.bits import WORD_BITS
from swatsim.datapaths.lanes.chunks import WORDS_AT_ONCE
from swatsim.datapaths.lanes.keys import Keys
from swatsim.datapaths.lanes.units import Work, chunk_runs, fewest_cycles, losses_between, pack_side, steps_of_chunk
from swatsim.kernels.gather import ChunkShape
from swatsim.kernels.pairs import PairDealing, PairRule, wait_for_pairs
from swatsim.keys.machine import Machine
from swatsim.mapping import Mapping, extents
from swatsim.presence import count_met
from swatsim.sharing import share
from swatsim.way import Losses, Schedule, Way

IntArray = NDArray[np.int64]
# Of so many cycles at most each round of the columns is kept; of more, their sum over these rounds: 32 MiB.
MOST_CYCLES = 1 << 22
# Of a piece of work: about 50 ms.
POSITIONS_AT_ONCE = 1 << 33


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """Both operands for the kernel, and what a chunk of a pair takes."""

    rows: NDArray[np.uint64]  # [group, unit, chunk, word]
    columns: NDArray[np.uint64]  # [group, chunk, word, unit]
    at_once: tuple[int, int]  # row and column units that a tile has at once
    rule: PairRule
    by_chunk: bool
    in_common: int  # multiply positions at which both operands are present
    multiplications: int  # the same of units: what is multiplied

    @property
    def units(self) -> tuple[int, int]:
        """Rows and columns of a group."""
        return self.rows.shape[1], self.columns.shape[3]


def pack(mapping: Mapping, machine: Machine[Keys]) -> Packed:
    """Read both operands out of their tensors, united where the vectors of a tile advance together."""
    lanes, together = machine.tile.lanes, machine.datapath.lockstep == "tile"
    # All that there is to take is a single lane's own.
    own_lane = machine.datapath.reach == "own_lane" and lanes > 1
    chunk_steps = steps_of_chunk(mapping.steps, machine)
    by_chunk = machine.datapath.barrier in ("step", "chunk")
    if lanes == 1 and not by_chunk and machine.datapath.empty_chunk_cycles == 0:
        # A single lane loses nothing at a chunk's end, so it may as well be the buffer's: counted in longer runs.
        chunk_steps = mapping.steps
    shape = ChunkShape(chunk_steps, 1 if own_lane else 64 // lanes)
    at_once = (1, 1) if together else (machine.tile.rows, machine.tile.columns)
    unit_vectors = (machine.tile.rows, machine.tile.columns) if together else (1, 1)
    rows = pack_side(mapping.rows, chunk_runs(mapping.row_offset, shape), unit_vectors[0])
    columns, by_position = _pack_columns(mapping, shape, unit_vectors[1], together=together)
    met = count_met(mapping.rows, mapping.columns)
    multiplied = int((rows.by_position() * by_position).sum()) if together else met
    return Packed(
        rows=rows.words, columns=columns, at_once=at_once,
        rule=PairRule(lanes, own_lane, fewest_cycles(mapping.steps, chunk_steps, machine)),
        by_chunk=by_chunk, in_common=met, multiplications=multiplied,
    )  # fmt: skip


def _pack_columns(
    mapping: Mapping, shape: ChunkShape, unit_vectors: int, *, together: bool
) -> tuple[NDArray[np.uint64], IntArray]:
    """The columns' words [group, chunk, word, unit], and with `together` their vectors by position: some at a time."""
    side, runs = mapping.columns, chunk_runs(mapping.column_offset, shape)
    units = -(-side.vectors // unit_vectors)
    chunks, words = runs.inside
    found = np.empty((side.groups, chunks, words, units), dtype=np.uint64)
    at_once = max(1, WORDS_AT_ONCE // (chunks * words))
    by_position = np.zeros((side.groups, chunks * words * WORD_BITS), dtype=np.int64)
    for first in range(0, units, at_once):
        chosen = slice(first * unit_vectors, (first + at_once) * unit_vectors)
        packed = pack_side(replace(side, base=np.ascontiguousarray(side.base[:, chosen])), runs, unit_vectors)
        found[..., first : first + at_once] = packed.words.transpose(0, 2, 3, 1)
        if together:
            by_position += packed.by_position()
    return found, by_position


def schedule_pairs(mapping: Mapping, way: Way, machine: Machine[Keys], packed: Packed) -> Schedule:
    """Let each pair of a row and a column multiply what they have in common."""
    both, split = extents(machine, way.split), way.split
    tile_rows, tile_columns = packed.at_once
    slots = (split.row_tiles * tile_rows, split.column_tiles * tile_columns)
    set_tiles = min(machine.datapath.barrier_tiles, machine.tiles)
    dealing = PairDealing(
        rows=tile_rows, columns=tile_columns, row_tiles=split.row_tiles, column_tiles=split.column_tiles,
        set_tiles=set_tiles, by_chunk=packed.by_chunk, depth=machine.datapath.decouple_depth,
    )  # fmt: skip
    if machine.datapath.barrier == "pass":
        # Each slot is as a tile that waits for no other.
        dealing = PairDealing(
            rows=1, columns=1, row_tiles=slots[0], column_tiles=slots[1], set_tiles=1, by_chunk=False, depth=0
        )
    cycles, busy = _wait(packed, dealing)
    pairs = mapping.groups * mapping.rows.vectors * mapping.columns.vectors
    least, counts, groups = Fraction(packed.in_common, pairs * machine.tile.lanes), packed.units, mapping.groups

    def losses() -> Losses:
        row, column = np.arange(slots[0])[:, None], np.arange(slots[1])
        # Of the packed operands nothing is left here: schedules of all parts of a reduction are there together.
        units = zip(counts, slots, strict=True)
        rows, columns = (np.bincount(np.arange(count) % at_once, minlength=at_once) for count, at_once in units)
        work = Work(
            free=busy.reshape(-1), own=busy.reshape(-1), shares=1,
            dealt=np.outer(rows, columns).reshape(-1) * groups,
            tiles=(column // tile_columns * split.row_tiles + row // tile_rows).reshape(-1),
        )  # fmt: skip
        return losses_between(int(cycles.sum(axis=(1, 2)).max()), work, least)

    return Schedule(
        way=way, rows=mapping.rows, columns=mapping.columns, extents=both, cycles=cycles,
        multiplications=packed.multiplications, losses=losses,
    )  # fmt: skip


def _wait(packed: Packed, dealing: PairDealing) -> tuple[IntArray, IntArray]:
    """Cycles [set, group · row rounds + row round, column round] and those of each slot's own work [row, column].

    Where nobody is ahead, row rounds have nothing to do with each other: they are pieces of work.
    """
    slots = (dealing.rows * dealing.row_tiles, dealing.columns * dealing.column_tiles)
    row_rounds, column_rounds = (-(-units // at_once) for units, at_once in zip(packed.units, slots, strict=True))
    sets, groups = -(-dealing.row_tiles * dealing.column_tiles // dealing.set_tiles), packed.rows.shape[0]
    whole = sets * groups * row_rounds * column_rounds > MOST_CYCLES
    inner = 1 if whole else column_rounds
    positions = packed.rows.size * 64 * packed.units[1]
    pieces = 1 if dealing.depth > 0 else min(row_rounds, -(-positions // POSITIONS_AT_ONCE))
    rounds = -(-row_rounds // pieces)

    def piece(first: int) -> tuple[IntArray, IntArray]:
        rows = np.ascontiguousarray(packed.rows[:, first * slots[0] : (first + rounds) * slots[0]])
        outer = groups * min(rounds, row_rounds - first)
        cycles, busy = np.zeros((sets, outer, inner), dtype=np.int64), np.zeros(slots, dtype=np.int64)
        wait_for_pairs(rows, packed.columns, packed.rule, dealing, cycles, busy)
        return cycles.reshape(sets, groups, -1, inner), busy

    found = share([partial(piece, first) for first in range(0, row_rounds, rounds)])
    cycles = found[0][0] if len(found) == 1 else np.concatenate([cycles for cycles, _ in found], axis=2)
    return cycles.reshape(sets, -1, inner), np.sum([busy for _, busy in found], axis=0)
