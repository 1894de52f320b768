"""Inner products whose idle multipliers take a later value (docs/datapaths/lanes.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from swatsim.caches import bounded_cache
from swatsim.contraction import Contraction
from swatsim.datapaths.lanes.chunks import count_cycles, pair_halves
from swatsim.datapaths.lanes.keys import RULES, Keys
from swatsim.datapaths.lanes.moves import move_cycles
from swatsim.datapaths.lanes.pairs import Packed, pack, schedule_pairs
from swatsim.datapaths.lanes.units import Units, values_of_a_vector
from swatsim.keys.machine import Machine
from swatsim.mapping import Mapping, extents, map_contraction, splits, transpose
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


@bounded_cache
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
        cycles, after = move_cycles(side, offset, unit_rows, machine)
    else:
        if datapath.balance == "pair":
            chunks = pair_halves(side, offset, per_tile, machine)
        else:
            chunks = count_cycles(side, offset, unit_rows, machine)
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
