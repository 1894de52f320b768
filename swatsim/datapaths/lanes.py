"""Inner products whose idle lanes take a later value: by moves, or by a crossbar (docs/model.md §2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from swatsim.contraction import Contraction
from swatsim.kernels.barrier import wait_at_buffers, wait_at_segments
from swatsim.kernels.gather import count_in_chunks, gather_words
from swatsim.kernels.moves import MoveRule, schedule_units
from swatsim.keys.constraints import Choice, Integer, Items
from swatsim.keys.machine import DatapathKeys, Machine
from swatsim.keys.rule import Rule
from swatsim.mapping import Mapping, extents, map_contraction, splits, transpose
from swatsim.sides import Side
from swatsim.way import Extent, Schedule, Way, Ways

KIND = "lanes"
# Words of a block of vectors are held at once: 16 MiB bound the memory of any layer.
WORDS_AT_ONCE = 1 << 21

Move: TypeAlias = Annotated[
    tuple[Annotated[int, Integer(low=1, high=64)], Annotated[int, Integer(low=-63, high=63)]],
    Items(what="integers: steps ahead, lanes aside", fewest=2, most=2),
]


class Keys(DatapathKeys):
    """Inner products whose idle multipliers take a later value: what is skipped, from where, who waits for whom."""

    kind: Annotated[Literal["lanes"], Choice(words=("lanes",))] = Field(
        description="Family of the datapath; the keys beside it belong to the family."
    )
    skip: Annotated[
        Literal["none", "rows", "columns", "sparser"], Choice(words=("none", "rows", "columns", "sparser"))
    ] = Field(
        description="Operand whose zeros are skipped: none (reach and barriers then have no effect), the one on the "
        "rows, the one on the columns, or sparser: "
        "whichever has more zeros is put on the rows and scheduled."
    )
    reach: Annotated[Literal["none", "moves", "crossbar"], Choice(words=("none", "moves", "crossbar"))] = Field(
        description="Where an idle multiplier may take a value from: nowhere (with skip none), along the "
        "listed moves, or anywhere in the chunk of steps."
    )
    moves: Annotated[tuple[Move, ...], Items(what="moves [steps ahead, lanes aside]", fewest=0, most=32)] = Field(
        default=(),
        description="With reach moves: [steps ahead, lanes aside] in order of preference; lane l takes from lane "
        "(l + lanes aside) modulo the lanes. The largest number of steps ahead is the lookahead.",
    )
    order: Annotated[Literal["fixed", "most_candidates"], Choice(words=("fixed", "most_candidates"))] = Field(
        default="fixed",
        description="With reach moves: which idle lane chooses first: by lane_order, or the one with most candidates "
        "(recounted after every choice, the lowest lane on a tie).",
    )
    lane_order: Annotated[
        tuple[Annotated[int, Integer(low=0, high=63)], ...] | None,
        Items(what="lanes", fewest=1, most=64, null="0, 1, 2, …"),
    ] = Field(default=None, description="With order fixed: the lanes in the order in which they choose.")
    chunk_steps: Annotated[int | None, Integer(low=1, high=65536, null="reach is not crossbar")] = Field(
        default=None, description="With reach crossbar: steps among which a multiplier may choose."
    )
    lockstep: Annotated[Literal["row", "tile"], Choice(words=("row", "tile"))] = Field(
        description="Who shares one schedule: row: each row advances by itself and rows wait for each other at the "
        "barrier; tile: the rows of a tile advance together, and a step is dropped only when every row is empty."
    )
    barrier: Annotated[Literal["chunk", "buffer", "pass"], Choice(words=("chunk", "buffer", "pass"))] = Field(
        description="When they wait for each other: after each chunk, after each buffer (the reduction of one group of "
        "windows), or only at the end of the pass."
    )
    barrier_tiles: Annotated[int, Integer(low=1, high=65536)] = Field(
        default=1,
        description="Tiles that wait for each other at the barrier (all, where there are fewer); the others wait only "
        "at the end of the pass.",
    )


RULES: tuple[Rule, ...] = (
    Rule(
        key="datapath.reach",
        others=("datapath.skip",),
        holds=lambda reach, skip: skip == "none" or reach != "none",
        expected="moves or crossbar",
        when="is not none",
        reason="without a reach, a skipped zero leaves its multiplier idle",
    ),
    Rule(
        key="datapath.moves",
        others=("datapath.reach",),
        holds=lambda moves, reach: reach != "moves" or bool(moves),
        expected="at least one move",
        when="is moves",
        reason="the moves are all that a multiplier reaches",
    ),
    Rule(
        key="datapath.moves",
        holds=lambda moves: len({tuple(move) for move in moves}) == len(moves),
        expected="each move once",
        reason="a second look at the same place finds nothing new",
    ),
    Rule(
        key="datapath.moves",
        others=("tile.lanes",),
        holds=lambda moves, lanes: all(abs(move[1]) < lanes for move in moves),
        expected="fewer than {tile.lanes} lanes aside",
        reason="a move further aside comes round to a lane that a shorter one reaches",
    ),
    Rule(
        key="datapath.lane_order",
        others=("tile.lanes",),
        holds=lambda lane_order, lanes: lane_order is None or sorted(lane_order) == list(range(lanes)),
        expected="each of the {tile.lanes} lanes once, from 0",
        reason="every lane gets its turn",
    ),
    Rule(
        key="datapath.chunk_steps",
        others=("datapath.reach",),
        holds=lambda chunk_steps, reach: reach != "crossbar" or chunk_steps is not None,
        expected="an integer",
        when="is crossbar",
        reason="the crossbar selects within a chunk of so many steps",
    ),
    Rule(
        key="datapath.lockstep",
        others=("datapath.reach",),
        holds=lambda lockstep, reach: reach != "crossbar" or lockstep == "row",
        expected="row",
        when="is crossbar",
        reason="each row's crossbar selects by that row's own values, so rows cannot share a schedule",
    ),
    Rule(
        key="datapath.barrier",
        others=("datapath.reach",),
        holds=lambda barrier, reach: barrier != "chunk" or reach == "crossbar",
        expected="buffer or pass",
        when="is not crossbar",
        reason="chunks belong to reach crossbar",
    ),
)


def ways(contraction: Contraction, machine: Machine[Keys]) -> Ways:
    """See `Datapath`: each split of the tiles, with `skip: sparser` in both orientations."""
    skip = machine.datapath.skip
    orientations = (False, True) if skip == "sparser" else (False,)
    dense = tuple(Way(split=split, transposed=turned) for turned in orientations for split in splits(machine))
    if skip == "none":
        return Ways(skipping=(), dense=dense)
    by_columns = skip == "columns" or (skip == "sparser" and _sparser(contraction.columns, contraction.rows))
    skips = ("columns",) if by_columns else ("rows",)
    skipping = tuple(
        Way(split=split, transposed=by_columns and skip == "sparser", skips=skips) for split in splits(machine)
    )
    return Ways(skipping=skipping, dense=dense, may_turn_off=skip == "sparser")


def schedule(contraction: Contraction, machine: Machine[Keys], ways: Sequence[Way]) -> tuple[Schedule, ...]:
    """See `Datapath`: the schedules of single vectors are made only once."""
    mapping = map_contraction(contraction, machine)
    both = {False: mapping, True: transpose(mapping)}
    prepared: dict[bool, MoveSchedules | SegmentSchedules] = {}
    found = []
    for way in ways:
        oriented = both[way.transposed]
        if not way.skips:
            found.append(_dense(oriented, way, machine))
            continue
        if way.transposed not in prepared:
            prepared[way.transposed] = _prepare(oriented, machine)
        found.append(_skipping(oriented, way, prepared[way.transposed], machine))
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


def _skipping(
    mapping: Mapping, way: Way, schedules: MoveSchedules | SegmentSchedules, machine: Machine[Keys]
) -> Schedule:
    both = extents(machine, way.split)
    columns_outer = machine.datapath.skip == "columns"
    own, others = both[::-1] if columns_outer else both
    other = mapping.rows if columns_outer else mapping.columns
    return Schedule(
        way=way, rows=mapping.rows, columns=mapping.columns, extents=both, columns_outer=columns_outer,
        cycles=schedules.set_cycles(own, others.rounds(other.vectors))[:, :, None],
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveSchedules:
    """Buffers [group, unit, run]: cycles after `run` dropped steps, and the run that the buffer ends with."""

    cycles: NDArray[np.int64]
    after: NDArray[np.int64]
    slots_per_tile: int
    set_slots: int

    def set_cycles(self, extent: Extent, repeats: int) -> NDArray[np.int64]:
        """Cycles [barrier set, group·rounds + round] with the vectors dealt to `extent`, each round repeated."""
        slots = extent.tiles * self.slots_per_tile
        out = _empty_sets(self.cycles, slots, self.set_slots)
        wait_at_buffers(self.cycles, self.after, slots, self.set_slots, repeats, out)
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSchedules:
    """Segments [group, unit, segment] at whose ends units wait: chunks, or whole buffers."""

    cycles: NDArray[np.int64]
    slots_per_tile: int
    set_slots: int

    def set_cycles(self, extent: Extent, repeats: int) -> NDArray[np.int64]:
        """Cycles [barrier set, group·rounds + round] with the vectors dealt to `extent`, each round repeated."""
        slots = extent.tiles * self.slots_per_tile
        out = _empty_sets(self.cycles, slots, self.set_slots)
        wait_at_segments(self.cycles, slots, self.set_slots, repeats, out)
        return out


def _prepare(mapping: Mapping, machine: Machine[Keys]) -> MoveSchedules | SegmentSchedules:
    datapath = machine.datapath
    side, offset, per_tile = mapping.rows, mapping.row_offset, machine.tile.rows
    if datapath.skip == "columns":
        side, offset, per_tile = mapping.columns, mapping.column_offset, machine.tile.columns
    slots_per_tile = 1 if datapath.lockstep == "tile" else per_tile
    # Without a barrier before the end every slot is a set of its own.
    set_slots = 1 if datapath.barrier == "pass" else datapath.barrier_tiles * slots_per_tile
    if datapath.reach == "crossbar":
        cycles = _crossbar_cycles(side, offset, machine)
        return SegmentSchedules(cycles=cycles, slots_per_tile=slots_per_tile, set_slots=set_slots)
    cycles, after = _move_cycles(side, offset, per_tile // slots_per_tile, machine)
    return MoveSchedules(cycles=cycles, after=after, slots_per_tile=slots_per_tile, set_slots=set_slots)


def _empty_sets(cycles: NDArray[np.int64], slots: int, set_slots: int) -> NDArray[np.int64]:
    groups, units, _ = cycles.shape
    used = min(slots, units)
    return np.zeros((-(-used // set_slots), groups * -(-units // slots)), dtype=np.int64)


def _crossbar_cycles(side: Side, offset: NDArray[np.int64], machine: Machine[Keys]) -> NDArray[np.int64]:
    chunk_steps = machine.datapath.chunk_steps
    assert chunk_steps is not None, "the architecture refuses a crossbar without chunk_steps"
    steps, lanes = offset.shape
    counts = np.empty((side.base.size, -(-steps // chunk_steps)), dtype=np.int64)
    count_in_chunks(side.present, side.base.reshape(-1), offset, chunk_steps, counts)
    cycles: NDArray[np.int64] = -(-counts // lanes)
    if machine.datapath.barrier != "chunk":
        cycles = cycles.sum(axis=1, keepdims=True)
    return cycles.reshape(side.groups, side.vectors, -1)


def _move_cycles(
    side: Side, offset: NDArray[np.int64], unit_rows: int, machine: Machine[Keys]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rule = _move_rule(machine)
    units = -(-side.vectors // unit_rows)
    shape = (side.groups, units, int(rule.moves[:, 0].max()) + 1)
    cycles, after = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.int64)
    at_once = max(1, WORDS_AT_ONCE // (unit_rows * offset.shape[0]))
    for group in range(side.groups):
        for first in range(0, units, at_once):
            last = min(first + at_once, units)
            base = side.base[group, first * unit_rows : last * unit_rows]
            words = np.empty((base.shape[0], offset.shape[0]), dtype=np.uint64)
            gather_words(side.present, base, offset, words)
            schedule_units(words, rule, unit_rows, cycles[group, first:last], after[group, first:last])
    return cycles, after


def _move_rule(machine: Machine[Keys]) -> MoveRule:
    datapath = machine.datapath
    lane_order = datapath.lane_order or range(machine.tile.lanes)
    return MoveRule(
        moves=np.array(datapath.moves, dtype=np.int64),
        lane_order=np.array(lane_order, dtype=np.int64),
        most_candidates=datapath.order == "most_candidates",
    )
