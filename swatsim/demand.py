"""What the blocks of one side ask of each level of the memory (docs/model.md §3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from swatsim.cuts import Cuts, cuts_of
from swatsim.dram import transfer_cycles
from swatsim.held import HeldSide
from swatsim.hierarchy import Hierarchy
from swatsim.kernels.blocks import (
    GROUPS,
    KIND,
    ROUNDS,
    SIDE_BUSY,
    SIDE_LEVEL_FIELDS,
    START_ROUND,
    STOP_ROUND,
    TILE_VECTORS,
    VECTORS,
    SideBlocks,
)
from swatsim.kernels.measure import COMING, UNKNOWN, UNLIMITED, Dealing, Residence, measure_side
from swatsim.kernels.search import (
    BLOCK_ROOM,
    BUNDLE_GROUPS,
    BUNDLE_TILE_VECTORS,
    COUNT,
    FIRST,
    FIRST_LOAD,
    LEVEL_COLUMNS,
    OF_BUNDLE,
    OF_LEVEL,
    OFTEN,
    ONCE,
    ROOM,
    ROUNDS_OF_OTHER,
    TILE_ROUNDS,
    TILES,
    SideTotals,
)
from swatsim.kernels.touched import touched_bytes
from swatsim.way import Extent

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an operand is in a machine: on which side, what it is, and in which format each level has it."""

    operand: str  # rows or columns
    formats: Mapping[str, str]  # by level, outermost first
    extent: Extent
    other_tiles: int  # of the other side
    outer: bool  # its rounds are the outer ones of each block
    present: NDArray[np.bool_] | None = None  # [line]: those of its tensor that are on chip, and stay


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One side of the machine: its cuts, and what their blocks ask for in each part of the reduction."""

    cuts: Cuts
    blocks: SideBlocks
    totals: SideTotals


def demand_of(parts: Sequence[HeldSide], place: Place, hierarchy: Hierarchy) -> Demand:
    """Measure what the blocks of a side move, for every cut; parts of the reduction one after another."""
    side = parts[0].side
    cuts = cuts_of(side.groups, side.vectors, place.extent)
    blocks, totals = _shapes(side.groups, side.vectors, place.extent, len(hierarchy.names) - 1)
    table, sums = np.repeat(blocks[None], len(parts), axis=0), totals.copy()
    path, residence = _path(place, hierarchy)
    dealing = Dealing(
        side.groups, side.vectors, place.extent.per_tile, place.extent.at_once, place.extent.rounds(side.vectors)
    )
    outermost = hierarchy.levels[hierarchy.names[0]]
    for part, held in enumerate(parts):
        loaded, runs, more_room = _loads(held, cuts, place)
        channel = transfer_cycles(outermost, hierarchy.clock_hz, loaded[COMING], runs, write=False)
        vector_bytes = np.stack([held.vector_bytes(name) for name in tuple(place.formats.values())[1:]])
        measure_side(
            (vector_bytes, loaded, channel), path, dealing, residence._replace(more_room=more_room), table[part], sums
        )
    # Beside a block the next one has room, in which it is loaded meanwhile.
    sums[:, ROOM] = sums[:, BLOCK_ROOM] * np.where(sums[:, COUNT] * len(parts) > 1, 2, 1)
    return Demand(cuts=cuts, blocks=SideBlocks(table), totals=SideTotals(sums, hierarchy.resident(place.operand)))


@lru_cache(maxsize=256)
def _shapes(groups: int, vectors: int, extent: Extent, levels: int) -> tuple[IntArray, IntArray]:
    """What of SideBlocks [block, ...] and of SideTotals follows from the cuts alone; the rest is not counted yet."""
    cuts = cuts_of(groups, vectors, extent)
    blocks = np.zeros((cuts.start.size, SIDE_BUSY + SIDE_LEVEL_FIELDS * levels), dtype=np.int64)
    for field, values in (
        (START_ROUND, cuts.start_round), (STOP_ROUND, cuts.stop_round), (ROUNDS, cuts.rounds),
        (TILE_VECTORS, cuts.tile_vectors), (VECTORS, cuts.vectors), (GROUPS, cuts.groups), (KIND, cuts.kind),
    ):  # fmt: skip
        blocks[:, field] = values
    first, count = cuts.first[:-1], np.diff(cuts.first)
    in_first_bundle = np.arange(cuts.start.size) - np.repeat(first, count) < np.repeat(cuts.blocks, count)

    def of_bundle(values: IntArray) -> IntArray:
        return np.add.reduceat(values * in_first_bundle, first)

    totals = np.zeros((first.size, OF_LEVEL + LEVEL_COLUMNS * levels), dtype=np.int64)
    for column, values in (
        (FIRST, first), (COUNT, count), (OF_BUNDLE, cuts.blocks), (BUNDLE_GROUPS, cuts.bundle_groups),
        (OFTEN + TILE_ROUNDS, of_bundle(cuts.tile_rounds)), (OFTEN + ROUNDS_OF_OTHER, of_bundle(cuts.rounds)),
        (OFTEN + TILES, of_bundle(np.minimum(cuts.tile_rounds, extent.tiles))), (OFTEN + ONCE, cuts.blocks),
        (BUNDLE_TILE_VECTORS, of_bundle(cuts.tile_vectors)),
    ):  # fmt: skip
        totals[:, column] = values
    totals[:, FIRST_LOAD] = UNKNOWN
    blocks.setflags(write=False)
    totals.setflags(write=False)
    return blocks, totals


def _path(place: Place, hierarchy: Hierarchy) -> tuple[IntArray, Residence]:
    """The on-chip levels that hold an operand, outermost first, and where its blocks are kept."""
    levels = [hierarchy.levels[name] for name in tuple(place.formats)[1:]]
    rows = [
        (hierarchy.index[name] - 1, level.per == "tile",
         UNLIMITED if level.capacity_bytes is None else level.capacity_bytes // len(level.holds))
        for name, level in zip(tuple(place.formats)[1:], levels, strict=True)
    ]  # fmt: skip
    resident = levels[0]
    residence = Residence(
        level=rows[0][0] + 1, in_tiles=resident.per == "tile", width=resident.width_bytes_per_cycle or 0,
        fill_width=resident.fill_bytes_per_cycle or 0, other_tiles=place.other_tiles, outer=place.outer, more_room=0,
    )  # fmt: skip
    return np.array(rows, dtype=np.int64), residence


def _loads(held: HeldSide, cuts: Cuts, place: Place) -> tuple[IntArray, IntArray, int]:
    """Bytes [COMING ..., block] that each block loads, their runs of consecutive lines, and room taken besides."""
    outermost, resident = tuple(place.formats.values())[:2]
    coming, kept = held.line_bytes(outermost), held.line_bytes(resident)
    missing, more_room = kept, 0
    if place.present is not None:
        there = place.present[held.touched]
        coming, missing = np.where(there, 0, coming), np.where(there, 0, kept)
        more_room = int(held.all_line_bytes(resident)[place.present & ~held.touched].sum())
    stored = np.empty((3, cuts.start.size), dtype=np.int64)
    runs = np.empty(cuts.start.size, dtype=np.int64)
    first, last = held.interval_of_vector[cuts.start], held.interval_of_vector[cuts.stop - 1]
    touched_bytes(
        (held.interval_start, held.interval_stop), np.stack([coming, kept, missing]), first, last, stored, runs
    )
    return stored, np.maximum(runs, 1), more_room
