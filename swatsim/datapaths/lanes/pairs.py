"""Schedules of the datapath family `lanes` that skip the zeros of both operands (docs/datapaths/lanes.md)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from swatsim.datapaths.lanes.keys import Keys
from swatsim.datapaths.lanes.units import (
    PackedSide,
    Work,
    fewest_cycles,
    losses_between,
    pack_side,
    steps_of_chunk,
)
from swatsim.kernels.gather import ChunkShape
from swatsim.kernels.pairs import PairDealing, PairRule, wait_for_pairs
from swatsim.keys.machine import Machine
from swatsim.mapping import Mapping, extents
from swatsim.presence import count_met
from swatsim.way import Losses, Schedule, Way

IntArray = NDArray[np.int64]
# Of so many cycles at most each round of the columns is kept; of more, their sum over these rounds: 32 MiB.
MOST_CYCLES = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """Both operands, and what a chunk of a pair takes."""

    rows: PackedSide
    columns: PackedSide
    at_once: tuple[int, int]  # row and column units that a tile has at once
    rule: PairRule
    by_chunk: bool
    in_common: int  # multiply positions at which both operands are present
    multiplications: int  # the same of units: what is multiplied


def pack(mapping: Mapping, machine: Machine[Keys]) -> Packed:
    """Read both operands out of their tensors, united where the vectors of a tile advance together."""
    lanes, together = machine.tile.lanes, machine.datapath.lockstep == "tile"
    own_lane = machine.datapath.reach == "own_lane"
    chunk_steps = steps_of_chunk(mapping.steps, machine)
    by_chunk = machine.datapath.barrier in ("step", "chunk")
    if lanes == 1 and not by_chunk and machine.datapath.empty_chunk_cycles == 0:
        # A single lane loses nothing at a chunk's end, so it may as well be the buffer's: counted in longer runs.
        chunk_steps = mapping.steps
    shape = ChunkShape(chunk_steps, 1 if own_lane else 64 // lanes)
    at_once = (1, 1) if together else (machine.tile.rows, machine.tile.columns)
    unit_vectors = (machine.tile.rows, machine.tile.columns) if together else (1, 1)
    rows = pack_side(mapping.rows, mapping.row_offset, shape, unit_vectors[0])
    columns = pack_side(mapping.columns, mapping.column_offset, shape, unit_vectors[1])
    met = count_met(mapping.rows, mapping.columns)
    multiplied = int((rows.by_position() * columns.by_position()).sum()) if together else met
    return Packed(
        rows=rows, columns=columns, at_once=at_once,
        rule=PairRule(lanes, own_lane, fewest_cycles(mapping.steps, chunk_steps, machine)),
        by_chunk=by_chunk, in_common=met, multiplications=multiplied,
    )  # fmt: skip


def schedule_pairs(mapping: Mapping, way: Way, machine: Machine[Keys], packed: Packed) -> Schedule:
    """Let each pair of a row and a column multiply what they have in common."""
    both = extents(machine, way.split)
    rows, columns, tiles = packed.rows, packed.columns, machine.tiles
    tile_slots = packed.at_once[0] * packed.at_once[1]
    free = machine.datapath.barrier == "pass"
    dealing = PairDealing(
        rows=packed.at_once[0], columns=packed.at_once[1],
        row_tiles=way.split.row_tiles, column_tiles=way.split.column_tiles,
        set_slots=1 if free else tile_slots * min(machine.datapath.barrier_tiles, tiles),
        by_chunk=packed.by_chunk and not free, depth=machine.datapath.decouple_depth,
    )  # fmt: skip
    row_rounds = -(-rows.words.shape[1] // (dealing.rows * dealing.row_tiles))
    column_rounds = -(-columns.words.shape[1] // (dealing.columns * dealing.column_tiles))
    sets, outer_rounds = -(-tiles * tile_slots // dealing.set_slots), mapping.groups * row_rounds
    whole = sets * outer_rounds * column_rounds > MOST_CYCLES
    cycles = np.empty((sets, outer_rounds, 1 if whole else column_rounds), dtype=np.int64)
    busy = np.empty(tiles * tile_slots, dtype=np.int64)
    wait_for_pairs(rows.words, columns.words, packed.rule, dealing, cycles, busy)
    pairs = mapping.groups * mapping.rows.vectors * mapping.columns.vectors
    least = Fraction(packed.in_common, pairs * machine.tile.lanes)

    def losses() -> Losses:
        work = Work(
            free=busy, own=busy, shares=1, dealt=_dealt(packed, dealing) * mapping.groups,
            tiles=np.arange(busy.size) // tile_slots,
        )  # fmt: skip
        return losses_between(int(cycles.sum(axis=(1, 2)).max()), work, least)

    return Schedule(
        way=way, rows=mapping.rows, columns=mapping.columns, extents=both, cycles=cycles,
        multiplications=packed.multiplications, losses=losses,
    )  # fmt: skip


def _dealt(packed: Packed, dealing: PairDealing) -> IntArray:
    """Pairs of units of one group that each slot gets."""
    rows, columns = (
        np.bincount(np.arange(side.words.shape[1]) % slots, minlength=slots)
        for side, slots in (
            (packed.rows, dealing.rows * dealing.row_tiles),
            (packed.columns, dealing.columns * dealing.column_tiles),
        )
    )
    by_row = rows.reshape(1, dealing.row_tiles, dealing.rows, 1)
    by_column = columns.reshape(dealing.column_tiles, 1, 1, dealing.columns)
    return np.asarray(by_row * by_column).reshape(-1)
