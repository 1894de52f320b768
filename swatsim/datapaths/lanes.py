"""Inner products whose idle lanes take a later value: by moves, or by a crossbar (docs/model.md §2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swatsim.architecture import Architecture
from swatsim.kernels.barrier import wait_at_buffers, wait_at_segments
from swatsim.kernels.gather import count_in_chunks, gather_words
from swatsim.kernels.moves import MoveRule, schedule_units
from swatsim.mapping import Extent
from swatsim.sides import Side

KIND = "lanes"
# Words of a block of vectors are held at once: 16 MiB bound the memory of any layer.
WORDS_AT_ONCE = 1 << 21


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveSchedules:
    """Buffers [group, unit, run]: cycles after `run` dropped steps, and the run that the buffer ends with."""

    cycles: NDArray[np.int64]
    after: NDArray[np.int64]
    slots_per_tile: int
    set_slots: int

    def set_cycles(self, extent: Extent, repeats: int) -> NDArray[np.int64]:
        """See `Schedules`."""
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
        """See `Schedules`."""
        slots = extent.tiles * self.slots_per_tile
        out = _empty_sets(self.cycles, slots, self.set_slots)
        wait_at_segments(self.cycles, slots, self.set_slots, repeats, out)
        return out


def prepare(
    side: Side, offset: NDArray[np.int64], per_tile: int, architecture: Architecture
) -> MoveSchedules | SegmentSchedules:
    """See `Datapath`."""
    datapath = architecture.datapath
    slots_per_tile = 1 if datapath.lockstep == "tile" else per_tile
    # Without a barrier before the end every slot is a set of its own.
    set_slots = 1 if datapath.barrier == "pass" else datapath.barrier_tiles * slots_per_tile
    if datapath.reach == "crossbar":
        cycles = _crossbar_cycles(side, offset, architecture)
        return SegmentSchedules(cycles=cycles, slots_per_tile=slots_per_tile, set_slots=set_slots)
    cycles, after = _move_cycles(side, offset, per_tile // slots_per_tile, architecture)
    return MoveSchedules(cycles=cycles, after=after, slots_per_tile=slots_per_tile, set_slots=set_slots)


def _empty_sets(cycles: NDArray[np.int64], slots: int, set_slots: int) -> NDArray[np.int64]:
    groups, units, _ = cycles.shape
    used = min(slots, units)
    return np.zeros((-(-used // set_slots), groups * -(-units // slots)), dtype=np.int64)


def _crossbar_cycles(side: Side, offset: NDArray[np.int64], architecture: Architecture) -> NDArray[np.int64]:
    chunk_steps = architecture.datapath.chunk_steps
    assert chunk_steps is not None, "the architecture refuses a crossbar without chunk_steps"
    steps, lanes = offset.shape
    counts = np.empty((side.base.size, -(-steps // chunk_steps)), dtype=np.int64)
    count_in_chunks(side.present, side.base.reshape(-1), offset, chunk_steps, counts)
    cycles: NDArray[np.int64] = -(-counts // lanes)
    if architecture.datapath.barrier != "chunk":
        cycles = cycles.sum(axis=1, keepdims=True)
    return cycles.reshape(side.groups, side.vectors, -1)


def _move_cycles(
    side: Side, offset: NDArray[np.int64], unit_rows: int, architecture: Architecture
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rule = _move_rule(architecture)
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


def _move_rule(architecture: Architecture) -> MoveRule:
    datapath = architecture.datapath
    lane_order = datapath.lane_order or range(architecture.tile.lanes)
    return MoveRule(
        moves=np.array(datapath.moves, dtype=np.int64),
        lane_order=np.array(lane_order, dtype=np.int64),
        most_candidates=datapath.order == "most_candidates",
    )
