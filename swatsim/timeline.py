"""The passes of a step one after another, each through load, compute and store (docs/model.md §3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from swatsim.hierarchy import Hierarchy
from swatsim.kernels.engines import (
    PERIOD,
    REFRESH,
    Spans,
    occupied_cycles,
    run_blocks,
    served,
    served_before,
)
from swatsim.plan import Plan

__all__ = ["PlacedPass", "Spans", "place_passes"]

# Why the multipliers wait, beside the levels themselves.
CAUSES = ("conflict", "refresh", "latency")
COMPUTE = "compute"
NO_SPANS = Spans.empty(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPass:
    """A pass in its place in the step. Cycles of spans count from its start; what was loaded ahead is before it."""

    layer: str
    pass_name: str
    start_cycle: int  # of the step
    cycles: int
    compute_cycles: int
    stalls: Mapping[str, int]  # cause (a level, conflict, refresh or latency) -> cycles; they sum to the stalls
    bound_by: str  # compute, or the level that is occupied longest
    spans: Spans  # of no block where they are not kept
    ahead: tuple[int, int]  # start and end of the load that ran under the pass before; (0, 0): none

    @property
    def prefetched_cycles(self) -> int:
        """Cycles of the first load that ran under the pass before."""
        return self.ahead[1] - self.ahead[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """A pass of the step and its plan."""

    layer: str
    pass_name: str
    plan: Plan
    made_before: frozenset[str]  # tensors of the first load that are there before the pass before begins


def place_passes(passes: Sequence[Scheduled], hierarchy: Hierarchy, *, keep_spans: bool = True) -> Iterator[PlacedPass]:
    """Run passes in order. With `mapping.overlap: prefetch`, first loads use the rest of the channel before them.

    What is prefetched was made before the pass before, and has room beside that one's last blocks. Spans that nobody
    looks at are not kept: those of all blocks of all passes take as much room as what they follow from.
    """
    start, before, rest, room = 0, 0, (0, 0), np.zeros(len(hierarchy.names), dtype=np.int64)
    refresh = int(hierarchy.timing.levels[0, PERIOD]), int(hierarchy.timing.levels[0, REFRESH])
    prefetch = hierarchy.architecture.mapping.overlap == "prefetch"
    for each in passes:
        free = served_before(rest[1], *refresh) - served_before(rest[0], *refresh)
        credit = min(_prefetchable(each, room, hierarchy), free) if prefetch else 0
        waits = np.zeros(len(hierarchy.names) + len(CAUSES), dtype=np.int64)
        cycles, after, spans = _run(each.plan, credit, hierarchy, waits)
        causes = (*hierarchy.names, *CAUSES)
        yield PlacedPass(
            layer=each.layer, pass_name=each.pass_name, start_cycle=start, cycles=cycles,
            compute_cycles=each.plan.compute_cycles,
            stalls={cause: int(count) for cause, count in zip(causes, waits, strict=True) if count},
            bound_by=_bound_by(each.plan, hierarchy), spans=spans if keep_spans else NO_SPANS,
            ahead=(rest[0] - before, served(rest[0], credit, *refresh) - before) if credit else (0, 0),
        )  # fmt: skip
        start += cycles
        before, rest, room = cycles, after, each.plan.room_bytes


def _run(
    plan: Plan, credit: int, hierarchy: Hierarchy, waits: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> tuple[int, tuple[int, int], Spans]:
    """Run a plan: cycles, from when to when the channel rests at the end, and when each engine works on each block."""
    table = plan.table
    spans, first, cycles, rest = Spans.empty(table.shape[0]), 0, 0, (0, 0)
    for count in plan.runs:
        part = slice(first, first + count)
        own, blocks = Spans(spans.table[part]), table[part]
        # A kernel that is not compiled gives NumPy's integers, which JSON does not know.
        taken, rest_start, rest_end = map(
            int, run_blocks(blocks, credit if first == 0 else 0, hierarchy.timing, own.table, waits)
        )
        if cycles:
            for engine in (own.load, own.compute, own.store):
                np.add(engine, cycles, out=engine)
            np.add(own.arrived, cycles, out=own.arrived, where=own.arrived > 0)
        rest = (cycles + rest_start, cycles + rest_end)
        first, cycles = first + count, cycles + taken
    return cycles, rest, spans


def _prefetchable(each: Scheduled, room: np.ndarray[tuple[int], np.dtype[np.int64]], hierarchy: Hierarchy) -> int:
    """Cycles of the first load that may run under the pass before."""
    capacity, taken, cycles = hierarchy.capacity, room.copy(), 0
    for load in each.plan.first_loads:
        if load.tensor not in each.made_before:
            continue
        taken[load.level] += load.room_bytes
        if capacity[load.level] >= 0 and taken[load.level] > capacity[load.level]:
            taken[load.level] -= load.room_bytes
            continue
        cycles += load.cycles
    return cycles


def _bound_by(plan: Plan, hierarchy: Hierarchy) -> str:
    occupied = np.zeros(len(hierarchy.names) + 1, dtype=np.int64)
    occupied_cycles(plan.table, hierarchy.timing, occupied)
    names = (COMPUTE, *hierarchy.names)
    cycles = (occupied[-1], *occupied[:-1])
    return names[int(np.argmax(cycles))]
