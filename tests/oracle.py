"""The machine of docs/model.md, written a second time: plain, slow, and working on values.

Each cycle, each multiplier takes a value and its partner and adds their product to the result that its row and column
stand for; what comes out must be the convolution and its gradients. Nothing here is shared with swatsim.
"""

from __future__ import annotations

import itertools
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
Place = tuple[int, tuple[int, ...]]  # a tile, and what in it has a clock of its own
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
    empty_chunk_cycles: int = 0
    n: int | None = None
    m: int | None = None
    lockstep: str = "tile"
    barrier: str = "buffer"
    barrier_tiles: int = 1
    decouple_depth: int = 0
    balance: str = "none"
    tile_split: str = "rows"
    flatten: str = "never"
    step_order: str = "src"
    window_order: str = "nqp"
    lane_channels: str = "interleaved"

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
    multiplications: int  # that are carried out, if values were
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


def chunks_of(steps: range, machine: Machine) -> list[range]:
    """The steps of each chunk."""
    length = {"own_lane": machine.chunk_steps, "crossbar": machine.chunk_steps, "moves": None}.get(machine.reach)
    if machine.reach == "n_of_m":
        length = machine.m // math.gcd(machine.n, machine.m)
    if machine.barrier == "step":
        length = 1
    return [steps[first : first + length] for first in range(0, len(steps), length)]


def select(present: np.ndarray, chunk: range, machine: Machine) -> list[dict[int, Source]]:
    """Of each cycle of a chunk what the lanes take, from all places where present[step, lane]."""
    sources = [(step, lane) for step in chunk for lane in range(machine.lanes) if present[step, lane]]
    if machine.reach == "crossbar":
        cycles = [sources[first : first + machine.lanes] for first in range(0, len(sources), machine.lanes)]
        plan = [dict(enumerate(cycle)) for cycle in cycles]
    else:
        own = [[source for source in sources if source[1] == lane] for lane in range(machine.lanes)]
        plan = [
            {lane: stream[turn] for lane, stream in enumerate(own) if turn < len(stream)}
            for turn in range(max(map(len, own)))
        ]
    return plan + [{}] * (min(machine.empty_chunk_cycles, len(chunk)) - len(plan))


def select_pattern(rows: np.ndarray, chunk: range, machine: Machine) -> list[list[Take]]:
    """Rows ([row, step, lane] values) that keep n of every m lanes; what has more takes several passes."""
    groups: dict[tuple[int, int, int], list[Source]] = {}
    for row, step, lane in itertools.product(range(len(rows)), chunk, range(machine.lanes)):
        if rows[row, step, lane]:
            groups.setdefault((row, step, lane // machine.m), []).append((step, lane))
    passes = max([1, *(math.ceil(len(group) / machine.n) for group in groups.values())])
    of_a_pass = math.ceil(len(chunk) * machine.n / machine.m)
    if of_a_pass * passes >= len(chunk):
        return [
            [(row, source[1], source) for (row, at, _), group in groups.items() if at == step for source in group]
            for step in chunk
        ]
    plan: list[list[Take]] = []
    for turn in range(passes):
        kept = [
            [source for (own, _, _), group in groups.items() if own == row
             for source in group[turn * machine.n : (turn + 1) * machine.n]]
            for row in range(len(rows))
        ]  # fmt: skip
        assert all(len(values) <= of_a_pass * machine.lanes for values in kept)
        plan += [
            [(row, lane, source) for row, values in enumerate(kept)
             for lane, source in enumerate(values[cycle * machine.lanes : (cycle + 1) * machine.lanes])]
            for cycle in range(of_a_pass)
        ]  # fmt: skip
    return plan


def plan_together(values: np.ndarray, machine: Machine) -> list[list[list[Take]]]:
    """Of each segment what rows that share a schedule ([row, step, lane] values) do in each cycle."""
    if machine.reach == "moves":
        return [schedule_moves(values, machine)]
    chunks = chunks_of(range(values.shape[1]), machine)
    if machine.reach == "n_of_m":
        plans = [select_pattern(values, chunk, machine) for chunk in chunks]
    else:
        any_row = (values != 0).any(axis=0)
        plans = [
            [[(row, lane, source) for row in range(len(values)) for lane, source in cycle.items()] for cycle in cycles]
            for cycles in (select(any_row, chunk, machine) for chunk in chunks)
        ]
    return segments_of(plans, machine)


def segments_of(plans: list[list[list[Take]]], machine: Machine) -> list[list[list[Take]]]:
    """The chunks themselves where all wait after each of them; else all as one."""
    return plans if machine.barrier in ("step", "chunk") else [[cycle for plan in plans for cycle in plan]]


# ---------------------------------------------------------------------------------------------- tiles, on their clocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What has a schedule of its own in a round, and the hardware that runs it."""

    tile: int
    place: tuple[int, ...]  # in the tile
    rows: list[int]  # of the tile, for each of the vectors: the multipliers that work on it
    vectors: list[int]
    segments: list[list[list[Take]]]  # of each the cycles; which a barrier may end
    others: list[int] | None = None  # vectors of the other side, where it meets only these
    columns: list[int] | None = None  # of the tile, for each of them


class Side:
    """The tiles, a clock for each schedule that they run, and what was multiplied."""

    def __init__(self, machine: Machine, scheduled: np.ndarray, other: np.ndarray) -> None:
        self.machine, self.scheduled, self.other = machine, scheduled, other  # values: [group, vector, step, lane]
        self.clock: dict[Place, int] = {}  # the cycle at which it is free
        self.dropped: dict[Place, int] = {}  # steps dropped just before
        self.ended: dict[Place | int, list[int]] = {}  # by set: when its segments had ended in all of its places
        self.multiply = False
        self.busy: set[tuple[int, ...]] = set()  # (tile, row, column or -1 for all, cycle, lane)
        self.sums = np.zeros((len(scheduled), scheduled.shape[1], other.shape[1]), np.int64)
        self.met = np.zeros(scheduled.shape, np.int64)  # with how many vectors of the other side a value met
        self.products = 0
        self.multiplications = 0

    def run_rounds(self, rounds: Iterator[tuple[int, list[Unit], list[list[int]]]], *, multiply: bool) -> int:
        """Execute rounds of units of a group, each once for every list of vectors of the other side."""
        self.multiply = multiply
        for group, units, all_others in rounds:
            for others in all_others:
                self.run_round(units, group, others)
        return max(self.clock.values(), default=0)

    def run_round(self, units: list[Unit], group: int, others: list[int]) -> None:
        """One buffer of each unit, and the barriers in it."""
        for segment in range(max((len(unit.segments) for unit in units), default=0)):
            times: dict[Place | int, list[int]] = {}
            for unit in units:
                key: Place = (unit.tile, unit.place)
                together = key if self.machine.barrier == "pass" else unit.tile // self.machine.barrier_tiles
                ended = self.ended.setdefault(together, [])
                behind = len(ended) - 1 - self.machine.decouple_depth
                now = max(self.clock.get(key, 0), ended[behind] if behind >= 0 else 0)
                for takes in unit.segments[segment]:
                    if not (self.machine.reach == "moves" and self.drops(key, takes)):
                        self.run_cycle(unit, takes, (group, now), others)
                        now += 1
                self.clock[key] = now
                times.setdefault(together, []).append(now)
            # A set that has no unit in this round has ended its segment at once.
            for together, ended in self.ended.items():
                ended.append(max([*times.get(together, []), *ended[-1:]]))

    def drops(self, key: Place, takes: list[Take]) -> bool:
        """Whether a step costs no cycle: it is empty, and not too many before it were."""
        run = self.dropped.get(key, 0)
        drop = not takes and run < self.machine.longest
        self.dropped[key] = run + 1 if drop else 0
        return drop

    def run_cycle(self, unit: Unit, takes: list[Take], now: tuple[int, int], others: list[int]) -> None:
        """One cycle of a unit; a lane multiplies its value by that of each column."""
        group, cycle = now
        others = others if unit.others is None else unit.others
        for member, lane, (step, source_lane) in takes if self.multiply else ():
            vector = unit.vectors[member]
            for column in [-1] if unit.columns is None else unit.columns:
                multiplier = (unit.tile, unit.rows[member], column, cycle, lane)
                assert multiplier not in self.busy, (
                    f"used twice in a cycle: (tile, row, column, cycle, lane) {multiplier}"
                )
                self.busy.add(multiplier)
            value = self.scheduled[group, vector, step, source_lane]
            products = value * self.other[group, others, step, source_lane]
            self.sums[group, vector, others] += products
            one_sided = unit.others is None
            self.met[group, vector, step, source_lane] += (
                len(others) if one_sided and value else np.count_nonzero(products)
            )
            self.products += int(np.count_nonzero(products))
            self.multiplications += len(products)


def one_sided_rounds(
    scheduled: np.ndarray, other: np.ndarray, machine: Machine, shape: tuple[int, int, int]
) -> Iterator[tuple[int, list[Unit], list[list[int]]]]:
    """Rounds of the scheduled vectors; shape: tiles, vectors of each, and vectors of the other side at once."""
    tiles, height, slots = shape
    others = [list(range(first, min(first + slots, other.shape[1]))) for first in range(0, other.shape[1], slots)]
    for group in range(len(scheduled)):
        for first in range(0, scheduled.shape[1], height * tiles):
            units = []
            for tile in range(tiles):
                start = first + tile * height
                members = list(range(start, min(start + height, scheduled.shape[1])))
                units += units_of_tile(scheduled[group], members, tile, machine) if members else []
            yield group, units, others


def units_of_tile(values: np.ndarray, members: list[int], tile: int, machine: Machine) -> list[Unit]:
    """Schedules of the vectors that a tile has in a round; a row without a vector has nothing to do."""
    rows = list(range(len(members)))
    if machine.balance == "pair":
        return paired_units(values, members, tile, machine)
    if machine.lockstep == "tile":
        return [Unit(tile=tile, place=(), rows=rows, vectors=members, segments=plan_together(values[members], machine))]
    if machine.lockstep == "row":
        return [
            Unit(
                tile=tile, place=(row,), rows=[row], vectors=[vector], segments=plan_together(values[[vector]], machine)
            )
            for row, vector in enumerate(members)
        ]
    units = []
    for (row, vector), lane in itertools.product(enumerate(members), range(machine.lanes)):
        own = np.zeros_like(values[[vector]])
        own[..., lane] = values[vector, :, lane]
        units.append(
            Unit(tile=tile, place=(row, lane), rows=[row], vectors=[vector], segments=plan_together(own, machine))
        )
    return units


def paired_units(values: np.ndarray, members: list[int], tile: int, machine: Machine) -> list[Unit]:
    """The fullest half of a vector with the emptiest, and so on; the first of two that are as full."""
    middle = math.ceil(values.shape[1] / 2)
    halves = []
    for number, vector in enumerate(members):
        for half, steps in enumerate((range(middle), range(middle, values.shape[1]))):
            full = int(np.count_nonzero(values[vector, steps.start : steps.stop]))
            halves.append((-full, number, half, vector, steps))
    halves.sort(key=lambda half: half[:3])
    units = []
    for row in range(len(members)):
        two = (halves[row], halves[len(halves) - 1 - row])
        cycles = [
            [(member, lane, source) for lane, source in cycle.items()]
            for member, (_, _, _, vector, steps) in enumerate(two)
            for chunk in chunks_of(steps, machine)
            for cycle in select(values[vector] != 0, chunk, machine)
        ]
        vectors = [half[3] for half in two]
        units.append(Unit(tile=tile, place=(row,), rows=[row, row], vectors=vectors, segments=[cycles]))
    return units


def two_sided_rounds(
    rows: np.ndarray, columns: np.ndarray, machine: Machine, split: tuple[int, int]
) -> Iterator[tuple[int, list[Unit], list[list[int]]]]:
    """Rounds of rows, in each those of the columns; tiles are numbered with row tiles fastest."""
    high, wide = machine.rows * split[0], machine.columns * split[1]
    for group in range(len(rows)):
        for first_row in range(0, rows.shape[1], high):
            for first_column in range(0, columns.shape[1], wide):
                units = []
                for column_tile, row_tile in itertools.product(range(split[1]), range(split[0])):
                    start = first_row + row_tile * machine.rows, first_column + column_tile * machine.columns
                    own_rows = range(start[0], min(start[0] + machine.rows, rows.shape[1]))
                    own_columns = range(start[1], min(start[1] + machine.columns, columns.shape[1]))
                    if own_rows and own_columns:
                        tile = column_tile * split[0] + row_tile
                        units += units_of_pairs(rows[group], columns[group], (own_rows, own_columns), tile, machine)
                yield group, units, [[]]


def units_of_pairs(
    rows: np.ndarray, columns: np.ndarray, own: tuple[range, range], tile: int, machine: Machine
) -> list[Unit]:
    """Schedules of the pairs of rows and columns of a tile, or of all of them together."""
    together = [(list(own[0]), list(own[1]))]
    if machine.lockstep == "row":
        together = [([row], [column]) for row, column in itertools.product(*own)]
    units = []
    for own_rows, own_columns in together:
        common = (rows[own_rows] != 0).any(axis=0) & (columns[own_columns] != 0).any(axis=0)
        plans = [
            [
                [(row, lane, source) for row in range(len(own_rows)) for lane, source in cycle.items()]
                for cycle in cycles
            ]
            for cycles in (select(common, chunk, machine) for chunk in chunks_of(range(rows.shape[1]), machine))
        ]
        places = [row - own[0].start for row in own_rows], [column - own[1].start for column in own_columns]
        units.append(Unit(
            tile=tile, place=(places[0][0], places[1][0]), rows=places[0], vectors=own_rows, columns=places[1],
            others=own_columns, segments=segments_of(plans, machine),
        ))  # fmt: skip
    return units


# ------------------------------------------------------------------------------------------------------------- counts


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractionCounts:
    """What a contraction costs; `sums` are its results, [group, row, column]."""

    cycles: int
    dense_cycles: int
    ideal_macs: int
    macs: int
    effectual_macs: int
    multiplications: int  # that are carried out, if values were
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
        side = Side(machine, scheduled, other)
        shape = (row_tiles, machine.rows, machine.columns * column_tiles)
        if machine.skip == "columns":
            shape = (column_tiles, machine.columns, machine.rows * row_tiles)
        if machine.skip == "both":
            rounds = two_sided_rounds(scheduled, other, machine, (row_tiles, column_tiles))
        else:
            rounds = one_sided_rounds(scheduled, other, machine, shape)
        outcomes.append((side.run_rounds(rounds, multiply=multiply), side))
        if multiply:
            partners = (other != 0).sum(axis=1, keepdims=True) if machine.skip == "both" else other.shape[1]
            expected = (scheduled != 0) * partners
            assert np.array_equal(side.met, expected), "a value met a vector twice or never"
    return min(outcomes, key=lambda outcome: outcome[0])


def fullest_first(contraction: Contraction, *, by_columns: bool) -> np.ndarray:
    """Where each vector of each group was before the fullest came first: rows, or columns channel by channel."""
    vectors = contraction.columns if by_columns else contraction.rows
    order = []
    for group, values in enumerate(vectors):
        own = range(len(values))
        if not by_columns:
            order.append(sorted(own, key=lambda row: -np.count_nonzero(values[row])))
        elif contraction.column_channel is None:
            order.append(list(own))  # windows stay where they are
        else:
            channels = [contraction.column_channel(group, column) for column in own]
            order.append(sorted(own, key=lambda column: (-channels[column][0], channels[column][1])))
    return np.array(order)


def reordered(vectors: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The vectors of each group in an order."""
    return np.stack([values[own] for values, own in zip(vectors, order, strict=True)])


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
        sorts_columns = by_columns and machine.skip == "sparser"
        order = None
        if machine.balance == "greedy":
            order = fullest_first(contraction, by_columns=sorts_columns)
            if sorts_columns:
                columns = reordered(columns, order)
            else:
                rows = reordered(rows, order)
        scheduled, other = (columns, rows) if by_columns else (rows, columns)
        cycles, side = run_scheduled(scheduled, other, machine, multiply=multiply)
        ideal = effectual if machine.skip == "both" else int(np.count_nonzero(scheduled)) * other.shape[1]
        if multiply:
            assert side.products == effectual, "not every effectual product was computed once"
        if cycles <= dense:
            sums = side.sums.transpose(0, 2, 1) if by_columns else side.sums
            placed = sums.copy()
            for group, own in enumerate(order if order is not None else ()):
                placed[group][(slice(None), own) if sorts_columns else own] = sums[group]
            return ContractionCounts(
                cycles=cycles, dense_cycles=dense, macs=macs, effectual_macs=effectual,
                ideal_macs=ideal, multiplications=side.multiplications,
                scheduled="columns" if by_columns else "rows", sums=placed,
            )  # fmt: skip
    return ContractionCounts(
        cycles=dense, dense_cycles=dense, macs=macs, effectual_macs=effectual, ideal_macs=ideal, multiplications=macs,
        scheduled="nothing", sums=run_dense(contraction) if multiply else None,
    )  # fmt: skip


def run_pass(layer: OracleLayer, pass_name: str, machine: Machine, *, multiply: bool = True) -> PassCounts:
    """One pass; with `multiply` its result is computed as well, and must be what `definition` says."""
    conv = convolution_of(layer, pass_name)
    order = Order(
        lanes=machine.lanes, flatten=machine.flatten,
        step_order=machine.step_order, window_order=machine.window_order, lane_channels=machine.lane_channels,
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
        multiplications=sum(part.multiplications for part in parts),
        scheduled=tuple(part.scheduled for part in parts),
        result=result if multiply else None,
    )


def run_layer(layer: OracleLayer, machine: Machine, *, multiply: bool = True) -> dict[str, PassCounts]:
    """All passes that a training step makes through the layer."""
    names = [name for name in PASS_OPERANDS if layer.needs_input_grad or name != "input_grad"]
    return {name: run_pass(layer, name, machine, multiply=multiply) for name in names}
