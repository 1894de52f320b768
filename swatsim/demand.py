"""What the blocks of one side ask of each level of the memory (docs/model.md §3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.caches import bounded_cache
from swatsim.cuts import cuts_of
from swatsim.dram import known_of
from swatsim.held import HeldParts, on_chip_formats
from swatsim.hierarchy import Hierarchy
from swatsim.kernels.cuts import Dealing
from swatsim.kernels.measure import UNKNOWN, UNLIMITED, Residence, Room, SideMeasures, measure_side
from swatsim.kernels.totals import (
    BLOCK_ROUNDS,
    BUNDLE_GROUPS,
    BUNDLE_TILE_VECTORS,
    COUNT,
    FIRST,
    FIRST_GROUPS,
    FIRST_KIND,
    FIRST_LOAD,
    FIRST_TILE_VECTORS,
    FIRST_VECTORS,
    LAST_KIND,
    LEVEL_COLUMNS,
    OF_BUNDLE,
    OF_LEVEL,
    OFTEN,
    ONCE,
    ROUNDS_OF_OTHER,
    TILE_ROUNDS,
    TILES,
    SideTotals,
)
from swatsim.way import Extent

IntArray = NDArray[np.int64]


class Place(NamedTuple):
    """Where an operand is in a machine: on which side, what it is, and in which format each level has it."""

    operand: str  # rows or columns
    formats: tuple[str, ...]  # of each level of its path, outermost first
    extent: Extent
    other_tiles: int  # of the other side
    outer: bool  # its rounds are the outer ones of each block


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape:
    """What follows from the cuts of a side alone; nothing of it is changed."""

    sizes: IntArray  # see `Cuts`
    total_rounds: int
    totals: IntArray  # [cut, ...]: SideTotals, bytes and cycles not counted yet


class Demand(NamedTuple):
    """One side of the machine: what the blocks of its cuts ask for in each part of the reduction."""

    shape: Shape
    measures: SideMeasures
    totals: SideTotals


def demand_of(parts: HeldParts, place: Place, hierarchy: Hierarchy) -> Demand:
    """Measure what the blocks of a side move, for every cut; parts of the reduction one after another."""
    shape, dealing, residence, path = _dealt(parts.side.groups, parts.side.vectors, place, hierarchy)
    if parts.present is not None:
        residence = residence._replace(more_room=parts.more_room(place.formats[1]))
    totals, held = shape.totals.copy(), parts.bytes_of(place.formats)
    measures = SideMeasures.empty(held, (dealing, residence, path), totals)
    measure_side(held, (*hierarchy.reading, known_of(hierarchy.reading)), totals, measures, Room.empty(held))
    return Demand(shape, measures, SideTotals(totals, residence.level))


@bounded_cache
def _dealt(groups: int, vectors: int, place: Place, hierarchy: Hierarchy) -> tuple[Shape, Dealing, Residence, IntArray]:
    """All that is the same for the operands of a shape, with their path."""
    extent = place.extent
    shape = _shape(groups, vectors, extent, len(hierarchy.names) - 1)
    residence, path = _path(place.operand, place.formats, hierarchy)
    residence = residence._replace(other_tiles=place.other_tiles, outer=place.outer)
    return shape, Dealing(groups, vectors, extent.per_tile, extent.at_once, extent.rounds(vectors)), residence, path


@bounded_cache
def _shape(groups: int, vectors: int, extent: Extent, levels: int) -> Shape:
    cuts = cuts_of(groups, vectors, extent)
    first, end, count = cuts.first, cuts.end, cuts.count

    def of_bundle(of_first: IntArray, of_end: IntArray) -> IntArray:
        return (cuts.blocks - 1) * of_first + of_end

    tiles = (np.minimum(each.tile_rounds, extent.tiles) for each in (first, end))
    totals = np.zeros((count.size, OF_LEVEL + LEVEL_COLUMNS * levels), dtype=np.int64)
    for column, values in (
        (FIRST, np.cumsum(count) - count), (COUNT, count), (OF_BUNDLE, cuts.blocks),
        (BUNDLE_GROUPS, cuts.bundle_groups), (BLOCK_ROUNDS, cuts.block_rounds),
        (OFTEN + TILE_ROUNDS, of_bundle(first.tile_rounds, end.tile_rounds)),
        (OFTEN + ROUNDS_OF_OTHER, of_bundle(first.rounds, end.rounds)),
        (OFTEN + TILES, of_bundle(*tiles)), (OFTEN + ONCE, cuts.blocks),
        (BUNDLE_TILE_VECTORS, of_bundle(first.tile_vectors, end.tile_vectors)), (FIRST_KIND, cuts.first_kind),
        (LAST_KIND, cuts.last_kind), (FIRST_GROUPS, first.groups),
        (FIRST_TILE_VECTORS, first.tile_vectors), (FIRST_VECTORS, first.vectors),
    ):  # fmt: skip
        totals[:, column] = values
    totals[:, FIRST_LOAD] = UNKNOWN
    return Shape(sizes=cuts.sizes, total_rounds=cuts.total_rounds, totals=totals)


@lru_cache(maxsize=64)
def _path(operand: str, formats: tuple[str, ...], hierarchy: Hierarchy) -> tuple[Residence, IntArray]:
    """Where an operand's blocks are kept, and the on-chip levels that hold it, outermost first."""
    names = hierarchy.paths[operand][1:]
    levels = [hierarchy.levels[name] for name in names]
    rows = [
        (hierarchy.index[name] - 1, level.per == "tile",
         UNLIMITED if level.capacity_bytes is None else level.capacity_bytes // len(level.holds),
         on_chip_formats(formats).index(form))
        for name, level, form in zip(names, levels, formats[1:], strict=True)
    ]  # fmt: skip
    resident = levels[0]
    residence = Residence(
        level=rows[0][0] + 1, in_tiles=resident.per == "tile", width=resident.width_bytes_per_cycle or 0,
        fill_width=resident.fill_bytes_per_cycle or 0, other_tiles=1, outer=False, more_room=0,
    )  # fmt: skip
    path = np.array(rows, dtype=np.int64)
    path.setflags(write=False)
    return residence, path
