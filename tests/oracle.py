"""The machine of docs/model.md, written a second time: plain, slow, and working on values.

Each cycle, each multiplier takes a value and its partner and adds their product to the result that its row and column
stand for; what comes out must be the convolution and its gradients. Nothing here is shared with swatsim.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from oracle_vectors import (
    PASS_OPERANDS,
    Contraction,
    OracleLayer,
    Order,
    contractions,
    convolution_of,
    definition,
    layer_result,
)

EIGHT_INPUTS = ((1, -1), (1, 0), (1, 1), (1, 3), (2, -2), (2, 0), (2, 2))
TENSORDASH_LANE_ORDER = (0, 5, 10, 1, 6, 11, 2, 7, 12, 3, 8, 13, 4, 9, 14, 15)

Source = tuple[int, int]  # (step, lane) of a value in its vector
Take = tuple[int, int, Source]  # row of a schedule, its lane, where the lane's value comes from


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The keys of an architecture that decide its cycles, by their own names."""

    tiles: int = 1
    rows: int = 4
    columns: int = 4
    lanes: int = 16
    skip: str = "sparser"
    reach: str = "moves"
    moves: tuple[tuple[int, int], ...] = EIGHT_INPUTS
    order: str = "fixed"
    lane_order: tuple[int, ...] | None = None  # None: 0, 1, 2, ...
    chunk_steps: int | None = None
    lockstep: str = "tile"
    barrier: str = "buffer"
    barrier_tiles: int = 1
    tile_split: str = "rows"
    flatten: str = "never"
    step_order: str = "src"
    window_order: str = "nqp"

    @property
    def splits(self) -> list[tuple[int, int]]:
        """The (row tiles, column tiles) that the mapping may choose from."""
        divisors = [rows for rows in range(1, self.tiles + 1) if self.tiles % rows == 0]
        choices = {"rows": [self.tiles], "columns": [1], "best": divisors}[self.tile_split]
        return [(rows, self.tiles // rows) for rows in choices]

    @property
    def longest(self) -> int:
        """The largest number of steps ahead, which is also how many empty steps in a row cost nothing."""
        return max(ahead for ahead, _ in self.moves)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassCounts:
    """What a pass costs; `result` is the tensor it computed, if values were executed."""

    compute_cycles: int
    dense_compute_cycles: int
    ideal_cycles: int
    macs: int
    effectual_macs: int
    scheduled: tuple[str, ...]  # of each contraction: "rows", "columns" or "nothing"
    result: np.ndarray | None


# ----------------------------------------------------------------------------------------------- schedules of buffers


def candidates(left: set[Source], step: int, lane: int, machine: Machine, steps: int) -> list[Source]:
    """What the moves of an idle lane find, in their order of preference."""
    sources = [(step + ahead, (lane + aside) % machine.lanes) for ahead, aside in machine.moves]
    return [source for source in sources if source[0] < steps and source in left]


def fill(left: set[Source], step: int, machine: Machine, steps: int) -> dict[int, Source]:
    """What each lane of one row multiplies in a step; takes it out of `left`."""
    chosen = {lane: (step, lane) for lane in range(machine.lanes) if (step, lane) in left}
    left.difference_update(chosen.values())
    if machine.order == "fixed":
        for lane in machine.lane_order or range(machine.lanes):
            found = [] if lane in chosen else candidates(left, step, lane, machine, steps)
            if found:
                chosen[lane] = found[0]
                left.remove(found[0])
        return chosen
    while True:
        options = {
            lane: candidates(left, step, lane, machine, steps) for lane in range(machine.lanes) if lane not in chosen
        }
        lane = max(options, key=lambda lane: (len(options[lane]), -lane), default=None)
        if lane is None or not options[lane]:
            return chosen
        chosen[lane] = options[lane][0]
        left.remove(chosen[lane])


def schedule_moves(buffer: np.ndarray, machine: Machine) -> list[list[Take]]:
    """What the rows that share a schedule ([row, step, lane] values) do in each step; an empty list: nothing."""
    steps = buffer.shape[1]
    left = [{(int(step), int(lane)) for step, lane in np.argwhere(row)} for row in buffer]
    plan: list[list[Take]] = []
    passed = 0
    for step in range(steps):
        empty = not any((step, lane) in row for row in left for lane in range(machine.lanes))
        if empty and passed < machine.longest:
            passed += 1
            plan.append([])
            continue
        passed = 0
        filled = [fill(row, step, machine, steps) for row in left]
        plan.append([(row, lane, source) for row, lanes in enumerate(filled) for lane, source in lanes.items()])
    return plan


def schedule_crossbar(row: np.ndarray, machine: Machine) -> list[list[list[Take]]]:
    """Of each chunk the packed cycles of one row ([step, lane] values)."""
    chunks = []
    for start in range(0, len(row), machine.chunk_steps):
        chunk = np.argwhere(row[start : start + machine.chunk_steps])
        sources = [(start + int(step), int(lane)) for step, lane in chunk]
        cycles = [sources[first : first + machine.lanes] for first in range(0, len(sources), machine.lanes)]
        chunks.append([[(0, lane, source) for lane, source in enumerate(cycle)] for cycle in cycles])
    return chunks


# ---------------------------------------------------------------------------------------------- tiles, on their clocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One buffer of the rows that share a schedule: for each segment, which a barrier may end, what each step does."""

    tile: int
    vectors: list[int]
    segments: list[list[list[Take]]]


class Side:
    """The tiles along the scheduled side of the machine: a clock for each of their rows, and what was multiplied."""

    def __init__(self, machine: Machine, scheduled: np.ndarray, other: np.ndarray, *, tiles: int, height: int) -> None:
        self.machine, self.scheduled, self.other = machine, scheduled, other  # values: [group, vector, step, lane]
        self.tiles, self.height = tiles, height
        self.clock = np.zeros((tiles, height), np.int64)  # the cycle at which each row is free
        self.dropped: dict[tuple[int, int], int] = {}  # by (tile, first row of a schedule): steps dropped just before
        self.multiply = False
        self.busy: set[tuple[int, int, int, int]] = set()  # (tile, row, cycle, lane)
        self.sums = np.zeros((len(scheduled), scheduled.shape[1], other.shape[1]), np.int64)
        self.taken = np.zeros(scheduled.shape, np.int64)  # with how many vectors of the other side a value met
        self.products = 0

    def run(self, slots: int, *, multiply: bool) -> int:
        """Execute everything, `slots` vectors of the other side at a time, and return the cycles it takes."""
        self.multiply = multiply
        for group in range(len(self.scheduled)):
            for first in range(0, self.scheduled.shape[1], self.height * self.tiles):
                schedules = list(self.schedules(group, first))
                for other in range(0, self.other.shape[1], slots):
                    self.run_round(schedules, group, slice(other, min(other + slots, self.other.shape[1])))
        if multiply:
            expected = (self.scheduled != 0) * self.other.shape[1]
            assert np.array_equal(self.taken, expected), "a value met a vector twice or never"
        return int(self.clock.max())

    def schedules(self, group: int, first: int) -> Iterator[Schedule]:
        """Of each tile in one round, from vector `first` on; a tile or a row without a vector has nothing to do."""
        last = self.scheduled.shape[1]
        for tile in range(self.tiles):
            start = first + tile * self.height
            members = list(range(start, min(start + self.height, last)))
            together = [members] if self.machine.lockstep == "tile" else [[member] for member in members]
            for vectors in filter(None, together):
                values = self.scheduled[group, vectors]
                if self.machine.reach == "crossbar":
                    segments = schedule_crossbar(values[0], self.machine)
                else:
                    segments = [schedule_moves(values, self.machine)]
                yield Schedule(tile=tile, vectors=vectors, segments=segments)

    def run_round(self, schedules: list[Schedule], group: int, others: slice) -> None:
        """One buffer of each row against one round of the other side, and the barriers in it."""
        for segment in range(len(schedules[0].segments)):
            for schedule in schedules:
                for takes in schedule.segments[segment]:
                    if self.machine.reach == "moves" and self.drops(schedule, takes):
                        continue
                    self.run_cycle(schedule, takes, group, others)
            if self.machine.barrier == "chunk":
                self.wait()
        if self.machine.barrier == "buffer":
            self.wait()

    def drops(self, schedule: Schedule, takes: list[Take]) -> bool:
        """Whether a step costs no cycle: it is empty, and not too many before it were."""
        key = (schedule.tile, schedule.vectors[0] % self.height)
        run = self.dropped.get(key, 0)
        drop = not takes and run < self.machine.longest
        self.dropped[key] = run + 1 if drop else 0
        return drop

    def run_cycle(self, schedule: Schedule, takes: list[Take], group: int, others: slice) -> None:
        """One cycle of the rows that share a schedule; a lane multiplies its value by that of each column."""
        tile, first_row = schedule.tile, schedule.vectors[0] % self.height
        rows = slice(None) if self.machine.lockstep == "tile" else slice(first_row, first_row + 1)
        now = int(self.clock[tile, first_row])
        assert (self.clock[tile, rows] == now).all(), "rows in lockstep fell out of step"
        for member, lane, (step, source_lane) in takes if self.multiply else ():
            vector = schedule.vectors[member]
            multiplier = (tile, vector % self.height, now, lane)
            assert multiplier not in self.busy, f"used twice in a cycle: (tile, row, cycle, lane) {multiplier}"
            self.busy.add(multiplier)
            products = self.scheduled[group, vector, step, source_lane] * self.other[group, others, step, source_lane]
            self.sums[group, vector, others] += products
            self.taken[group, vector, step, source_lane] += len(products)
            self.products += int(np.count_nonzero(products))
        self.clock[tile, rows] += 1

    def wait(self) -> None:
        """The rows of each set of tiles wait for the slowest of them."""
        for first in range(0, self.tiles, self.machine.barrier_tiles):
            together = self.clock[first : first + self.machine.barrier_tiles]
            together[:] = together.max()


# ------------------------------------------------------------------------------------------------------------- counts


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractionCounts:
    """What a contraction costs; `sums` are its results, [group, row, column]."""

    cycles: int
    dense_cycles: int
    ideal_macs: int
    macs: int
    effectual_macs: int
    scheduled: str
    sums: np.ndarray | None


def rounds(vectors: int, slots: int) -> int:
    """How many turns `vectors` take in `slots` places."""
    return len(range(0, vectors, slots))


def dense_cycles(rows: np.ndarray, columns: np.ndarray, machine: Machine) -> int:
    """Every step of every round, in the best of the splits."""
    groups, _, steps, _ = rows.shape
    return min(
        groups
        * rounds(columns.shape[1], machine.columns * column_tiles)
        * rounds(rows.shape[1], machine.rows * row_tiles)
        * steps
        for row_tiles, column_tiles in machine.splits
    )


def run_dense(contraction: Contraction) -> np.ndarray:
    """Results with skipping off: every step, every lane."""
    rows, columns = contraction.rows, contraction.columns
    sums = np.zeros((len(rows), rows.shape[1], columns.shape[1]), np.int64)
    for step, lane in np.argwhere(contraction.real):
        sums += rows[:, :, None, step, lane] * columns[:, None, :, step, lane]
    return sums


def run_scheduled(scheduled: np.ndarray, other: np.ndarray, machine: Machine, *, multiply: bool) -> tuple[int, Side]:
    """Cycles in the best of the splits, and the tiles that executed it."""
    outcomes = []
    for row_tiles, column_tiles in machine.splits:
        tiles, height, slots = row_tiles, machine.rows, machine.columns * column_tiles
        if machine.skip == "columns":
            tiles, height, slots = column_tiles, machine.columns, machine.rows * row_tiles
        side = Side(machine, scheduled, other, tiles=tiles, height=height)
        outcomes.append((side.run(slots, multiply=multiply), side))
    return min(outcomes, key=lambda outcome: outcome[0])


def run_contraction(contraction: Contraction, machine: Machine, *, multiply: bool) -> ContractionCounts:
    """Schedule and execute one contraction, or run it with skipping off where that is faster."""
    rows, columns = contraction.rows, contraction.columns
    macs = rows.shape[0] * rows.shape[1] * columns.shape[1] * int(contraction.real.sum())
    effectual = int(((rows != 0).sum(axis=1) * (columns != 0).sum(axis=1)).sum())
    dense = dense_cycles(rows, columns, machine)
    by_columns = machine.skip == "columns"
    ideal = macs
    if machine.skip == "sparser":
        dense = min(dense, dense_cycles(columns, rows, machine))
        by_columns = contraction.column_zeros > contraction.row_zeros
    if machine.skip != "none":
        scheduled, other = (columns, rows) if by_columns else (rows, columns)
        cycles, side = run_scheduled(scheduled, other, machine, multiply=multiply)
        ideal = int(np.count_nonzero(scheduled)) * other.shape[1]
        if multiply:
            assert side.products == effectual, "not every effectual product was computed once"
        if machine.skip != "sparser" or cycles <= dense:
            return ContractionCounts(
                cycles=cycles, dense_cycles=dense, macs=macs, effectual_macs=effectual,
                ideal_macs=ideal,
                scheduled="columns" if by_columns else "rows",
                sums=side.sums.transpose(0, 2, 1) if by_columns else side.sums,
            )  # fmt: skip
    return ContractionCounts(
        cycles=dense, dense_cycles=dense, macs=macs, effectual_macs=effectual, ideal_macs=ideal,
        scheduled="nothing", sums=run_dense(contraction) if multiply else None,
    )  # fmt: skip


def run_pass(layer: OracleLayer, pass_name: str, machine: Machine, *, multiply: bool = True) -> PassCounts:
    """One pass; with `multiply` its result is computed as well, and must be what `definition` says."""
    conv = convolution_of(layer, pass_name)
    order = Order(
        lanes=machine.lanes, flatten=machine.flatten,
        step_order=machine.step_order, window_order=machine.window_order,
    )  # fmt: skip
    result = np.zeros(conv.result_shape, np.int64)
    parts = []
    for contraction in contractions(conv, order):
        part = run_contraction(contraction, machine, multiply=multiply)
        parts.append(part)
        for index in np.ndindex(part.sums.shape) if multiply else ():
            result[contraction.place(*index)] += part.sums[index]
    result = layer_result(layer, pass_name, result)
    if multiply:
        assert np.array_equal(result, definition(layer, pass_name)), (
            f"{pass_name}: the schedule computes another tensor"
        )
    multipliers = machine.tiles * machine.rows * machine.columns * machine.lanes
    return PassCounts(
        compute_cycles=sum(part.cycles for part in parts),
        dense_compute_cycles=sum(part.dense_cycles for part in parts),
        ideal_cycles=math.ceil(Fraction(sum(part.ideal_macs for part in parts), multipliers)),
        macs=sum(part.macs for part in parts),
        effectual_macs=sum(part.effectual_macs for part in parts),
        scheduled=tuple(part.scheduled for part in parts),
        result=result if multiply else None,
    )


def run_layer(layer: OracleLayer, machine: Machine, *, multiply: bool = True) -> dict[str, PassCounts]:
    """All passes that a training step makes through the layer."""
    names = [name for name in PASS_OPERANDS if layer.needs_input_grad or name != "input_grad"]
    return {name: run_pass(layer, name, machine, multiply=multiply) for name in names}
