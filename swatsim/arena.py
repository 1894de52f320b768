"""All that a search needs to know of one way to schedule a contraction (docs/model.md §3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.caches import bounded_cache
from swatsim.demand import Place, Shape, demand_of
from swatsim.dram import transfer_cycles
from swatsim.held import HeldParts
from swatsim.hierarchy import Hierarchy
from swatsim.kernels.blocks import Computation, Results, SideBlocks, sum_cycles
from swatsim.kernels.measure import SideMeasures
from swatsim.kernels.search import Choice, Rest
from swatsim.kernels.totals import COUNT, FIRST, ROOM, SideTotals
from swatsim.way import Schedule

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Pieces:
    """A contraction with its reduction in parts, or in one: all in one orientation and split, in order."""

    schedules: tuple[Schedule, ...]
    rows: HeldParts  # the operand on the machine's rows
    columns: HeldParts

    @cached_property
    def compute_cycles(self) -> int:
        """Cycles until the slowest barrier set has finished."""
        first, *others = self.schedules
        if not others:
            return first.compute_cycles
        return int(sum((each.set_cycles for each in others), first.set_cycles).max())


class Product(NamedTuple):
    """What a contraction makes, and the multiplications that this takes."""

    tensor: str  # input, weight or output
    scattered: bool  # no two positions of it are neighbours: a phase of a strided input gradient
    multiplications: int


class Arena(NamedTuple):
    """What `kernels.search` takes: what blocks follow from, sums of every cut, results, computation, and the rest."""

    pieces: Pieces
    sides: tuple[SideMeasures, SideMeasures]  # rows, columns
    totals: tuple[SideTotals, SideTotals]
    work: tuple[Results, Computation]
    rest: Rest
    shapes: tuple[Shape, Shape]

    @property
    def blocks(self) -> tuple[SideBlocks, SideBlocks]:
        """Those of both sides, of the cuts that are filled."""
        return SideBlocks(self.sides[0].table), SideBlocks(self.sides[1].table)


def arena_of(pieces: Pieces, product: Product, hierarchy: Hierarchy) -> Arena:
    """Measure every cut of both sides; partial sums stay on chip.

    Where lines of the columns' tensor are present already, all others stay too once they come: the columns are a single
    block.
    """
    schedule = pieces.schedules[0]
    row_extent, column_extent = schedule.extents
    row_place = Place(
        operand="rows", formats=_formats("rows", pieces.rows, hierarchy), extent=row_extent,
        other_tiles=column_extent.tiles, outer=not schedule.columns_outer,
    )  # fmt: skip
    column_place = Place(
        operand="columns", formats=_formats("columns", pieces.columns, hierarchy), extent=column_extent,
        other_tiles=row_extent.tiles, outer=schedule.columns_outer,
    )  # fmt: skip
    rows, columns = demand_of(pieces.rows, row_place, hierarchy), demand_of(pieces.columns, column_place, hierarchy)
    inner = rows if schedule.columns_outer else columns
    computation = Computation(
        sums=_sums([each.cycles for each in pieces.schedules]),
        columns_outer=schedule.columns_outer, inner_rounds=inner.shape.total_rounds,
    )  # fmt: skip
    return Arena(
        pieces=pieces,
        sides=(rows.measures, columns.measures),
        totals=(rows.totals, columns.totals),
        work=(_results(rows.shape, columns.shape, _layout(schedule, product), hierarchy), computation),
        rest=_rest(pieces, product, hierarchy),
        shapes=(rows.shape, columns.shape),
    )


def only_chosen(arena: Arena, choice: Choice) -> tuple[Arena, Choice]:
    """The same with the chosen cuts alone: the others' blocks take room."""
    cuts = choice.row_cut, choice.column_cut
    sides, totals = [], []
    for side, total, cut in zip(arena.sides, arena.totals, cuts, strict=True):
        of_cut = total.table[cut : cut + 1].copy()
        first = of_cut[0, FIRST]
        sides.append(_filled(side.table[:, first : first + of_cut[0, COUNT]].copy(), side))
        of_cut[0, FIRST] = 0
        totals.append(total._replace(table=of_cut))
    return (
        arena._replace(sides=(sides[0], sides[1]), totals=(totals[0], totals[1])),
        choice._replace(row_cut=0, column_cut=0),
    )


def _filled(table: IntArray, side: SideMeasures) -> SideMeasures:
    """A single cut, whose blocks follow from nothing any more."""
    loads, sums = (np.empty((0,) * array.ndim, dtype=array.dtype) for array in (side.loads, side.largest))
    return side._replace(table=table, filled=np.ones(1, dtype=np.int64), loads=loads, largest=sums, total=sums)


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
    results, rest = arena.work[0], arena.rest
    spill = _block_values(*arena.shapes) * sum_bytes
    one_run = np.ones_like(spill)
    store, load = results.store.copy(), results.load.copy()
    store[0] = transfer_cycles(hierarchy.writing, spill, one_run)
    load[0] = transfer_cycles(hierarchy.reading, spill, one_run)
    per_value = _result_bytes(hierarchy, spilled=True)
    spilled = sum_bytes * (rest.parts - 1)
    return arena._replace(
        work=(results._replace(store=store, load=load, per_value=per_value), arena.work[1]),
        rest=rest._replace(
            spilled=True, stored=rest.stored + spilled, results_moved=_over_parts(per_value, rest.parts)
        ),
    )  # fmt: skip


def _formats(operand: str, held: HeldParts, hierarchy: Hierarchy) -> tuple[str, ...]:
    return tuple(hierarchy.tensor_format(operand, held.side.role, full=held.full).values())


def _sums(cycles: Sequence[IntArray]) -> IntArray:
    """Sums from the first rounds on, of each part's cycles[set, outer round, inner round]."""
    sets, outer, inner = cycles[0].shape
    sums = np.empty((len(cycles), sets, outer + 1, inner + 1), dtype=np.int64)
    for part, of_part in zip(sums, cycles, strict=True):
        # One kind of array: each is compiled for by itself.
        sum_cycles(np.array(of_part, order="C"), part)
    return sums


def _block_values(rows: Shape, columns: Shape) -> IntArray:
    """Results of a block; kinds of other groups do not meet."""
    return np.asarray((rows.sizes[:, 0] * rows.sizes[:, 1])[:, None] * columns.sizes[:, 1])


def _layout(schedule: Schedule, product: Product) -> tuple[bool, int, bool]:
    """How results lie off chip, for `_results`."""
    # Of a contraction, the columns lie together in weights and the rows in images; the machine may exchange them.
    rows_together = (product.tensor == "weight") == schedule.way.transposed
    return rows_together, 0 if product.tensor == "weight" else schedule.groups, product.scattered


@bounded_cache
def _results(rows: Shape, columns: Shape, layout: tuple[bool, int, bool], hierarchy: Hierarchy) -> Results:
    """What results take; nothing of it is changed.

    layout: whether the vectors of the rows lie together (else the columns'), how many groups lie together with them
    (0: those of a block), and whether no two results do. Weights lie filter by filter; images position by position,
    with all channels of a position together.
    """
    rows_together, whole_groups, scattered = layout
    # The largest block has all vectors of its group.
    groups, row_vectors = rows.sizes[:, :1], rows.sizes[:, 1:]
    column_vectors = columns.sizes[None, :, 1]
    if rows_together:
        whole, apart = row_vectors == rows.sizes[:, 1].max(), column_vectors
    else:
        whole, apart = column_vectors == columns.sizes[:, 1].max(), row_vectors
    if whole_groups:
        whole = whole & (groups == whole_groups)
    if scattered:
        whole = whole & False
    finished = _block_values(rows, columns) * hierarchy.architecture.datapath.value_bytes
    runs = np.array(np.broadcast_to(np.where(whole, 1, apart), finished.shape))
    store = np.zeros((2, *finished.shape), dtype=np.int64)
    # Parts of the reduction before the last one store nothing.
    store[1] = transfer_cycles(hierarchy.writing, finished, runs)
    return Results(
        store=store, load=np.zeros_like(store), per_value=_result_bytes(hierarchy, spilled=False),
        in_tiles=hierarchy.in_tiles,
    )  # fmt: skip


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


def _rest(pieces: Pieces, product: Product, hierarchy: Hierarchy) -> Rest:
    schedule = pieces.schedules[0]
    return _rest_of(len(pieces.schedules), hierarchy)._replace(
        groups=schedule.groups, compute=pieces.compute_cycles,
        values=schedule.groups * schedule.rows.vectors * schedule.columns.vectors,
        whole_columns=pieces.columns.present is not None, mac_energy=product.multiplications * hierarchy.mac_energy,
    )  # fmt: skip


@lru_cache(maxsize=64)
def _rest_of(parts: int, hierarchy: Hierarchy) -> Rest:
    """What is the same for all contractions whose reduction has so many parts."""
    datapath = hierarchy.architecture.datapath
    resident, innermost = hierarchy.resident("results"), hierarchy.paths["results"][-1]
    waits_as_sum = parts > 1 or hierarchy.index[innermost] == resident
    return Rest(
        groups=0, parts=parts, compute=0, values=0, whole_columns=False, spilled=False, mac_energy=0,
        result_level=resident, result_in_tiles=hierarchy.levels[hierarchy.names[resident]].per == "tile",
        result_bytes=datapath.accumulator_bytes if waits_as_sum else datapath.value_bytes,
        stored=np.array([datapath.value_bytes, 0]),
        results_moved=_over_parts(_result_bytes(hierarchy, spilled=False), parts),
        capacity=hierarchy.capacity, bit_energy=hierarchy.bit_energy,
    )  # fmt: skip
