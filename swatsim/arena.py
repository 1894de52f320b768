"""All that a search needs to know of one way to schedule a contraction (docs/model.md §3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from swatsim.demand import Demand, Place, demand_of
from swatsim.dram import transfer_cycles
from swatsim.held import HeldSide
from swatsim.hierarchy import Hierarchy
from swatsim.kernels.blocks import Computation, Results, SideBlocks
from swatsim.kernels.search import ROOM, Rest, SideTotals
from swatsim.way import Extent, Schedule

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One part of a contraction's reduction (or all of it): its schedule and its operands, as the machine has them."""

    schedule: Schedule
    rows: HeldSide  # the operand on the machine's rows
    columns: HeldSide


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What a contraction makes, and the multiplications that this takes."""

    tensor: str  # input, weight or output
    scattered: bool  # no two positions of it are neighbours: a phase of a strided input gradient
    multiplications: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """What `kernels.search` takes: the blocks of every cut, their sums, results, computation, and the rest."""

    pieces: tuple[Piece, ...]
    sides: tuple[SideBlocks, SideBlocks]  # rows, columns
    totals: tuple[SideTotals, SideTotals]
    work: tuple[Results, Computation]
    rest: Rest
    block_values: IntArray  # [kind of row block, kind of column block]: results


def arena_of(
    pieces: Sequence[Piece], product: Product, hierarchy: Hierarchy, present: BoolArray | None = None
) -> Arena:
    """Measure every cut of both sides; partial sums stay on chip.

    Parameters
    ----------
    pieces : parts of the reduction, in order, all in one orientation and split.
    present : lines of the columns' tensor that are on chip already and stay there, with all others once they come: the
        columns are a single block.
    """
    schedule = pieces[0].schedule
    both = schedule.extents
    rows = _demand("rows", [piece.rows for piece in pieces], both, hierarchy, outer=not schedule.columns_outer)
    columns = _demand(
        "columns", [piece.columns for piece in pieces], both[::-1], hierarchy, outer=schedule.columns_outer,
        present=present,
    )  # fmt: skip
    inner = rows if schedule.columns_outer else columns
    computation = Computation(
        sums=_sums(np.stack([piece.schedule.cycles for piece in pieces])),
        columns_outer=schedule.columns_outer, inner_rounds=inner.cuts.total_rounds,
    )  # fmt: skip
    return Arena(
        pieces=tuple(pieces),
        sides=(rows.blocks, columns.blocks),
        totals=(rows.totals, columns.totals),
        work=(_results(rows, columns, schedule, product, hierarchy), computation),
        rest=_rest(schedule, computation, product, hierarchy, whole_columns=present is not None),
        block_values=_block_values(rows, columns),
    )  # fmt: skip


def sums_always_fit(arena: Arena) -> bool:
    """Whether all partial sums have room on chip beside the largest blocks of both sides."""
    rows, columns, rest = *arena.totals, arena.rest
    for level in {rows.resident, columns.resident, rest.result_level}:
        need = rest.values * rest.result_bytes if level == rest.result_level else 0
        need += sum(int(side.of(ROOM).max()) for side in (rows, columns) if side.resident == level)
        if 0 <= rest.capacity[level] < need:
            return False
    return True


def with_spills(arena: Arena, hierarchy: Hierarchy) -> Arena:
    """The same, with the partial sums off chip between the parts of the reduction, block by block as they come."""
    sum_bytes = hierarchy.architecture.datapath.accumulator_bytes
    channel, results, rest = hierarchy.levels[hierarchy.names[0]], arena.work[0], arena.rest
    spill, one_run = arena.block_values * sum_bytes, np.ones_like(arena.block_values)
    store, load = results.store.copy(), results.load.copy()
    store[0] = transfer_cycles(channel, hierarchy.clock_hz, spill, one_run, write=True)
    load[0] = transfer_cycles(channel, hierarchy.clock_hz, spill, one_run, write=False)
    per_value = _result_bytes(hierarchy, spilled=True)
    spilled = sum_bytes * (rest.parts - 1)
    return replace(
        arena,
        work=(results._replace(store=store, load=load, per_value=per_value), arena.work[1]),
        rest=rest._replace(
            spilled=True, stored=rest.stored + spilled, results_moved=_over_parts(per_value, rest.parts)
        ),
    )  # fmt: skip


def _demand(
    operand: str,
    held: Sequence[HeldSide],
    both: Sequence[Extent],
    hierarchy: Hierarchy,
    *,
    outer: bool,
    present: BoolArray | None = None,
) -> Demand:
    own, other = both
    formats = hierarchy.tensor_format(operand, held[0].side.role, full=all(each.side.full for each in held))
    place = Place(
        operand=operand, formats=formats, extent=own, other_tiles=other.tiles, outer=outer, present=present
    )  # fmt: skip
    return demand_of(held, place, hierarchy)


def _sums(cycles: IntArray) -> IntArray:
    """Sums from the first rounds on, of cycles[part, set, outer round, inner round]."""
    parts, sets, outer, inner = cycles.shape
    sums = np.zeros((parts, sets, outer + 1, inner + 1), dtype=np.int64)
    np.cumsum(cycles, axis=2, out=sums[:, :, 1:, 1:])
    np.cumsum(sums, axis=3, out=sums)
    return sums


def _block_values(rows: Demand, columns: Demand) -> IntArray:
    """Results of a block; kinds of other groups do not meet."""
    return np.asarray((rows.cuts.sizes[:, 0] * rows.cuts.sizes[:, 1])[:, None] * columns.cuts.sizes[:, 1])


def _results(rows: Demand, columns: Demand, schedule: Schedule, product: Product, hierarchy: Hierarchy) -> Results:
    channel = hierarchy.levels[hierarchy.names[0]]
    finished = _block_values(rows, columns) * hierarchy.architecture.datapath.value_bytes
    runs = _runs(rows, columns, schedule, product)
    store, load = (np.zeros((2, *finished.shape), dtype=np.int64) for _ in range(2))
    store[1] = transfer_cycles(channel, hierarchy.clock_hz, finished, runs, write=True)
    return Results(
        store=store, load=load, per_value=_result_bytes(hierarchy, spilled=False),
        in_tiles=hierarchy.in_tiles,
    )  # fmt: skip


def _runs(rows: Demand, columns: Demand, schedule: Schedule, product: Product) -> IntArray:
    """Contiguous runs off chip of a block's results [kind of row block, kind of column block].

    Weights lie filter by filter; images position by position, with all channels of a position together.
    """
    groups, row_vectors = rows.cuts.sizes[:, :1], rows.cuts.sizes[:, 1:]
    column_vectors = columns.cuts.sizes[None, :, 1]
    # Of a contraction, the columns lie together in weights and the rows in images; the machine may exchange them.
    if (product.tensor == "weight") == schedule.way.transposed:
        whole, apart = row_vectors == schedule.rows.vectors, column_vectors
    else:
        whole, apart = column_vectors == schedule.columns.vectors, row_vectors
    if product.tensor != "weight":
        whole = whole & (groups == schedule.groups)
    if product.scattered:
        whole = whole & False
    return np.broadcast_to(np.where(whole, 1, apart), (rows.cuts.sizes.shape[0], columns.cuts.sizes.shape[0]))


@lru_cache(maxsize=64)
def _bytes_per_value(path: tuple[int, ...], levels: int, value_bytes: tuple[int, int], spilled: bool) -> IntArray:
    """Bytes read and written for each result at each on-chip level [first part, last part, level, read or write].

    The innermost level has accumulators. A finished sum leaves it as a value, an unfinished one as it is: as far as the
    outermost on-chip level, or off chip where sums are spilled. A later part fetches it back.
    """
    finished_bytes, sum_bytes = value_bytes
    found = np.zeros((2, 2, levels, 2), dtype=np.int64)
    for first, last in np.ndindex(2, 2):
        for depth, level in enumerate(path):
            inner = depth == len(path) - 1
            size = sum_bytes if inner or not last else finished_bytes
            goes_on, comes = depth > 0 or last or spilled, depth > 0 or spilled
            read, write = size * goes_on, size
            if not first:
                read, write = read + sum_bytes, write + sum_bytes * comes
            found[first, last, level - 1] = read, write
    found.setflags(write=False)
    return found


def _result_bytes(hierarchy: Hierarchy, *, spilled: bool) -> IntArray:
    datapath = hierarchy.architecture.datapath
    path = tuple(hierarchy.index[name] for name in hierarchy.paths["results"][1:])
    return _bytes_per_value(path, len(hierarchy.names) - 1, (datapath.value_bytes, datapath.accumulator_bytes), spilled)


def _over_parts(per_value: IntArray, parts: int) -> IntArray:
    """Bytes for each result over all parts [level, read or write]."""
    if parts == 1:
        alone: IntArray = per_value[1, 1].copy()  # the table itself is read-only: a type of its own to the kernels
        return alone
    middle = (parts - 2) * per_value[0, 0]
    return np.asarray(per_value[1, 0] + middle + per_value[0, 1])


def _rest(
    schedule: Schedule, computation: Computation, product: Product, hierarchy: Hierarchy, *, whole_columns: bool
) -> Rest:
    datapath = hierarchy.architecture.datapath
    parts = computation.sums.shape[0]
    resident, innermost = hierarchy.resident("results"), hierarchy.paths["results"][-1]
    waits_as_sum = parts > 1 or hierarchy.index[innermost] == resident
    return Rest(
        groups=schedule.groups, parts=parts, compute=int(computation.sums[:, :, -1, -1].sum(axis=0).max()),
        values=schedule.groups * schedule.rows.vectors * schedule.columns.vectors,
        whole_columns=whole_columns, spilled=False,
        result_level=resident, result_in_tiles=hierarchy.levels[hierarchy.names[resident]].per == "tile",
        result_bytes=datapath.accumulator_bytes if waits_as_sum else datapath.value_bytes,
        stored=np.array([datapath.value_bytes, 0]),
        results_moved=_over_parts(_result_bytes(hierarchy, spilled=False), parts),
        capacity=hierarchy.capacity, bit_energy=hierarchy.bit_energy,
        mac_energy=product.multiplications * hierarchy.mac_energy,
    )  # fmt: skip
