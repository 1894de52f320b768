"""Choose how a pass is cut into blocks, and in which order they come (docs/model.md §3)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.architecture import Architecture
from swatsim.arena import Arena, Pieces, Product, arena_of, only_chosen, sums_always_fit, with_spills
from swatsim.contraction import Contraction
from swatsim.errors import MappingError
from swatsim.held import HeldParts, HeldSide
from swatsim.hierarchy import Hierarchy
from swatsim.kernels.search import (
    CYCLES,
    DRAM_BYTES,
    ENERGY,
    Choice,
    Room,
    result_sizes,
    room_needed,
    search,
)
from swatsim.kernels.totals import BUNDLE_GROUPS
from swatsim.schedule import Schedules, deal_part, dealt_by_split, schedule_part
from swatsim.way import Schedule

IntArray = NDArray[np.int64]

OBJECTIVES = {"cycles": CYCLES, "dram_bytes": DRAM_BYTES, "energy": ENERGY}
# A reduction is cut into so many parts, and twice as many and so on, where cutting it may pay ...
FIRST_PARTS = 2
# ... up to so many; where nothing fits, until something does.
MOST_PARTS = {CYCLES: 4, DRAM_BYTES: 64, ENERGY: 4}
# It may pay where no mapping of the whole reduction comes so near to what no mapping goes below.
NEAR = Fraction(11, 10)
_WORST = (1 << 63) - 1

# The contractions of a pass with their reductions cut into about so many parts: [part][contraction].
Cutter = Callable[[int], Sequence[Sequence[Contraction]]]
Held = tuple[HeldParts, HeldParts]  # rows and columns of a contraction
PartScheduler = Callable[[Contraction, Sequence[Schedule], Architecture], tuple[Schedule, ...]]


class Score(NamedTuple):
    """What mappings are compared by: the objective, then cycles."""

    objective: int
    cycles: int


@dataclass(frozen=True, slots=True)
class Mapped:
    """A contraction with its best mapping, nothing loaded before."""

    arena: Arena
    choice: Choice

    @property
    def schedule(self) -> Schedule:
        """That of the first part of the reduction."""
        return self.arena.pieces.schedules[0]

    def score(self, objective: int) -> Score:
        """What it is compared by."""
        counts = (self.choice.cycles, self.choice.dram_bytes, self.choice.energy)
        return Score(int(counts[objective]), int(self.choice.cycles))


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One pass as the mapper gets it: its contractions, each with the ways in which it can be scheduled."""

    name: str  # layer and pass, for errors
    schedules: Sequence[Schedules]
    tensor: str  # that is made: input, weight or output
    scattered: bool
    cut: Cutter
    dense: bool  # the machine with skipping off

    def ways(self, number: int) -> tuple[Schedule, ...]:
        """Schedules of one contraction, fewest compute cycles first."""
        each = self.schedules[number]
        return tuple(sorted(each.dense if self.dense else each.actual, key=lambda way: way.compute_cycles))

    def product(self, number: int, parts: Sequence[Schedule]) -> Product:
        """What one contraction makes."""
        multiplications = self.schedules[number].multiplications(parts)
        return Product(tensor=self.tensor, scattered=self.scattered, multiplications=multiplications)


def map_pass(work: Work, hierarchy: Hierarchy, objective: str) -> tuple[Mapped, ...]:
    """Map the contractions of a pass, each for itself or with the columns' tensor kept from one to the next.

    Raises MappingError where a contraction fits the buffers in no way.
    """
    goal = OBJECTIVES[objective]
    held = tuple(held_parts([each.contraction], hierarchy) for each in work.schedules)
    apart = tuple(_best(work, number, held[number], hierarchy, goal) for number in range(len(held)))
    if len(held) <= 1:
        return apart
    together = _together(work, held, hierarchy, goal)
    if together is None:
        return apart
    return min(
        apart, together, key=lambda mapped: tuple(map(sum, zip(*(each.score(goal) for each in mapped), strict=True)))
    )


def held_parts(parts: Sequence[Contraction], hierarchy: Hierarchy) -> Held:
    """A contraction's rows and columns in the memory, its reduction in parts (or in one)."""
    value_bytes = hierarchy.architecture.datapath.value_bytes
    return (
        HeldParts([HeldSide(part.rows, value_bytes) for part in parts]),
        HeldParts([HeldSide(part.columns, value_bytes) for part in parts]),
    )


def _pieces(schedules: tuple[Schedule, ...], held: Held) -> Pieces:
    rows, columns = held[::-1] if schedules[0].way.transposed else held
    return Pieces(schedules, rows, columns)


def _best(work: Work, number: int, held: Held, hierarchy: Hierarchy, goal: int) -> Mapped:
    ways = work.ways(number)
    best: Mapped | None = None
    pieces_of_ways = [_pieces((way,), held) for way in ways]
    tried = list(pieces_of_ways)
    for pieces in pieces_of_ways:
        best = _better(best, pieces, (work, number), hierarchy, goal)
    most = min(way.compute_cycles for way in work.schedules[number].dense)
    least = _least(work, number, held, hierarchy, goal)
    parts = FIRST_PARTS
    while best is None or (parts <= MOST_PARTS[goal] and best.score(goal).objective > least):
        cut = work.cut(parts)
        if len(cut) <= len(pieces_of_ways[0].schedules):
            break
        of_parts = [contractions[number] for contractions in cut]
        bounded = goal == CYCLES and best is not None
        if best is not None and bounded:
            # Without skipping the parts of a reduction take no fewer cycles than the whole.
            ways = tuple(each for each in ways if each.way.skips or each.compute_cycles < best.choice.cycles)
        held_of_parts = held_parts(of_parts, hierarchy)
        parts *= 2
        if best is None and dealt_by_split(hierarchy.architecture):
            # Whether anything fits is known without the cycles.
            pieces_of_ways = _in_parts(of_parts, held_of_parts, ways, hierarchy, deal_part)
            if all(_better(None, pieces, (work, number), hierarchy, goal) is None for pieces in pieces_of_ways):
                tried += pieces_of_ways
                continue
        pieces_of_ways = _in_parts(of_parts, held_of_parts, ways, hierarchy, schedule_part)
        tried = tried + pieces_of_ways if best is None else []
        for pieces in pieces_of_ways:
            if not bounded or pieces.compute_cycles <= most:
                best = _better(best, pieces, (work, number), hierarchy, goal)
    if best is None:
        arenas = (_arenas(pieces, work.product(number, pieces.schedules), hierarchy) for pieces in tried)
        raise MappingError(f"{work.name}: {_misfit(itertools.chain.from_iterable(arenas), hierarchy)}")
    return best


def _least(work: Work, number: int, held: Held, hierarchy: Hierarchy, goal: int) -> int:
    """The count that is near enough to what no mapping goes below: cutting the reduction could save no more."""
    loaded, stored = compulsory_bytes(work.schedules[number], held, hierarchy)
    if goal == DRAM_BYTES:
        return loaded + stored
    fewest = work.ways(number)[0].compute_cycles
    width = hierarchy.levels[hierarchy.names[0]].width_bytes_per_cycle
    if width is not None:
        moved = max(loaded, stored) if hierarchy.timing.full_duplex else loaded + stored
        fewest = max(fewest, -(-moved // width))
    if goal == CYCLES:
        return int(fewest * NEAR)
    levels = 8 * (loaded + stored) * int(hierarchy.bit_energy.sum())
    return int(levels * NEAR) + work.product(number, work.ways(number)[:1]).multiplications * hierarchy.mac_energy


def compulsory_bytes(schedules: Schedules, held: Held, hierarchy: Hierarchy) -> tuple[int, int]:
    """Off-chip bytes of a contraction, its reduction in parts: both operands read once, the result written once."""
    contraction, outermost = schedules.contraction, hierarchy.names[0]
    loaded = 0
    for operand in held:
        name = hierarchy.tensor_format("rows", operand.side.role, full=operand.full)[outermost]
        loaded += sum(int(part.line_bytes(name).sum()) for part in operand.parts)
    values = contraction.rows.base.size * contraction.columns.vectors
    return loaded, values * hierarchy.architecture.datapath.value_bytes


def _in_parts(
    parts: Sequence[Contraction], held: Held, ways: Sequence[Schedule], hierarchy: Hierarchy, run: PartScheduler
) -> list[Pieces]:
    """The ways with the reduction cut."""
    scheduled = [run(part, ways, hierarchy.architecture) for part in parts]
    return [_pieces(of_way, held) for of_way in zip(*scheduled, strict=True)]


def _better(
    best: Mapped | None, pieces: Pieces, contraction: tuple[Work, int], hierarchy: Hierarchy, goal: int
) -> Mapped | None:
    """The best mapping so far, or a better one of these pieces of a contraction, which is given by its number."""
    if best is not None and goal == CYCLES and pieces.compute_cycles >= best.choice.cycles:
        return best
    work, number = contraction
    for each in _arenas(pieces, work.product(number, pieces.schedules), hierarchy):
        score = Score(_WORST, _WORST) if best is None else best.score(goal)
        room = Room.empty(each.totals, each.work[1], hierarchy.timing)
        choice = search((each.sides, each.totals), each.work, each.rest, hierarchy.timing, (goal, *score), room)
        if choice.row_cut >= 0:
            best = Mapped(*only_chosen(each, choice))
    return best


def _arenas(pieces: Pieces, product: Product, hierarchy: Hierarchy) -> tuple[Arena, ...]:
    """With partial sums on chip, and with them off chip; sums that wait on chip whatever the blocks are need not go."""
    arena = arena_of(pieces, product, hierarchy)
    spills = len(pieces.schedules) > 1 and not sums_always_fit(arena)
    return (arena, with_spills(arena, hierarchy)) if spills else (arena,)


def _together(work: Work, held: Sequence[Held], hierarchy: Hierarchy, goal: int) -> tuple[Mapped, ...] | None:
    """The contractions with their columns' tensor kept on chip from one to the next; None where it does not fit."""
    found: list[Mapped] = []
    present = np.zeros(held[0][1].parts[0].touched.size, dtype=np.bool_)
    for number, (rows, columns) in enumerate(held):
        best: Mapped | None = None
        kept = HeldParts(columns.parts, present)
        for way in work.ways(number):
            if not way.way.transposed:
                best = _better(best, _pieces((way,), (rows, kept)), (work, number), hierarchy, goal)
        if best is None:
            return None
        found.append(best)
        present = present | columns.parts[0].touched
    return tuple(found)


def _misfit(arenas: Iterable[Arena], hierarchy: Hierarchy) -> str:
    """What the level lacks that lacks most, in the mapping where that is least."""
    lacking, level, needed = min(_lacks(arena, hierarchy) for arena in arenas)
    assert lacking > 0, "what lacks nothing is mapped"
    return (
        f"memory.{hierarchy.names[level]}.capacity_bytes: got {hierarchy.capacity[level]}, expected at least {needed} "
        "for the smallest blocks, the next ones beside them"
    )


def _lacks(arena: Arena, hierarchy: Hierarchy) -> tuple[int, int, int]:
    """Of the cuts, the least of what the level lacks that lacks most: the bytes, the level, and what it needs."""
    rows, columns = arena.totals
    capacity, need = hierarchy.capacity, np.zeros(len(hierarchy.names), dtype=np.int64)
    found = []
    for cuts in np.ndindex(rows.table.shape[0], columns.table.shape[0]):
        if rows.table[cuts[0], BUNDLE_GROUPS] != columns.table[cuts[1], BUNDLE_GROUPS]:
            continue
        room_needed(arena.totals, cuts, result_sizes(arena.totals, cuts, arena.rest), arena.rest, need)
        found.append(max(
            (int(need[level] - capacity[level]), level, int(need[level]))
            for level in range(1, need.size) if capacity[level] >= 0
        ))  # fmt: skip
    return min(found)
