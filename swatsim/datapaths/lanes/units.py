"""Schedules of one operand of the datapath family `lanes`, once they are dealt to the rows of the machine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.caches import bounded_cache
from swatsim.datapaths.lanes.keys import Keys
from swatsim.kernels.barrier import wait_at_buffers, wait_at_segments
from swatsim.kernels.elastic import Waiting, wait_elastically
from swatsim.kernels.gather import ChunkShape, gather_words, list_runs
from swatsim.kernels.streams import unite_rows
from swatsim.keys.machine import Machine
from swatsim.sides import Side
from swatsim.way import Extent, Losses

IntArray = NDArray[np.int64]
UNITS_AT_ONCE = 256  # whose bits are unpacked together


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedSide:
    """One operand for the kernel: words[group, unit, chunk, word]."""

    words: NDArray[np.uint64]
    unit_vectors: IntArray  # [unit]: vectors that advance together

    def by_position(self) -> IntArray:
        """Vectors whose unit has the position [group, position]."""
        groups, units = self.words.shape[:2]
        found = np.zeros((groups, self.words[0, 0].size * 64), dtype=np.int64)
        for group, first in np.ndindex(groups, -(-units // UNITS_AT_ONCE)):
            block = slice(first * UNITS_AT_ONCE, (first + 1) * UNITS_AT_ONCE)
            words = self.words[group, block]
            bits = np.unpackbits(words.reshape(words.shape[0], -1).view(np.uint8), axis=1)
            found[group] += self.unit_vectors[block] @ bits
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What has a schedule of its own (a vector, or all that a tile has at once), and who waits for whom.

    cycles[group, unit, segment, run] are those of each segment, at whose end units wait, after `run` dropped steps;
    after[group, unit, run] is the run that a buffer ends with. Without moves there is no run but 0.
    """

    cycles: IntArray
    after: IntArray
    lane_cycles: IntArray | None  # [group, unit]: sum over the lanes, where each has a schedule of its own
    lanes: int
    multiplications: int | None  # with one vector of the other side; None: as many as there are values
    slots_per_tile: int
    set_slots: int
    depth: int

    def set_cycles(self, extent: Extent, repeats: int) -> IntArray:
        """Cycles [barrier set, group·rounds + round] with the vectors dealt to `extent`, each round repeated."""
        return self._waiting(extent, repeats, self.set_slots, self.depth)

    def losses(self, extent: Extent, repeats: int, actual: int, values: Fraction) -> Losses:
        """What the `actual` cycles are lost to; `values` are those of a vector, on average."""
        groups, units = self.cycles.shape[:2]
        free = self._waiting(extent, repeats, 1, 0).sum(axis=1)
        slot_of_unit = np.arange(units) % (extent.tiles * self.slots_per_tile)
        own, shares = free, 1
        if self.lane_cycles is not None:
            own, shares = np.zeros(free.size, dtype=np.int64), self.lanes
            np.add.at(own, slot_of_unit, self.lane_cycles.sum(axis=0) * repeats)
        work = Work(
            free=free, own=own, shares=shares, dealt=np.bincount(slot_of_unit) * groups,
            tiles=np.arange(free.size) // self.slots_per_tile,
        )  # fmt: skip
        return losses_between(actual, work, values * repeats / self.lanes)

    def _waiting(self, extent: Extent, repeats: int, set_slots: int, depth: int) -> IntArray:
        groups, units, segments, runs = self.cycles.shape
        slots = extent.tiles * self.slots_per_tile
        set_slots = min(set_slots, slots)
        shape = (-(-min(slots, units) // set_slots), groups * -(-units // slots))
        found = np.zeros(shape, dtype=np.int64)
        if depth > 0:
            wait_elastically(self.cycles, self.after, Waiting(slots, set_slots, depth), repeats, found)
        elif runs > 1:
            wait_at_buffers(self.cycles.reshape(groups, units, runs), self.after, slots, set_slots, repeats, found)
        else:
            wait_at_segments(self.cycles.reshape(groups, units, segments), slots, set_slots, repeats, found)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What each slot does if nobody waits."""

    free: IntArray  # [slot]: cycles until it has done what it was dealt
    own: IntArray  # [slot]: the same, where each lane has a schedule of its own: the sum over the lanes
    shares: int  # that are summed up in `own`
    dealt: IntArray  # [slot]: units
    tiles: IntArray  # [slot]: the tile that it is in


def losses_between(actual: int, work: Work, least: Fraction) -> Losses:
    """What is lost between the compute cycles and those that a perfect reach would leave (docs/datapaths/lanes.md).

    `least` are the cycles of a unit, on average, if its values filled all lanes.
    """
    own, dealt, most = (np.zeros(work.tiles.max() + 1, dtype=np.int64) for _ in range(3))
    np.add.at(own, work.tiles, work.own)
    np.add.at(dealt, work.tiles, work.dealt)
    np.maximum.at(most, work.tiles, work.dealt)
    means = [
        Fraction(int(cycles) * int(rounds), int(units) * work.shares)
        for cycles, rounds, units in zip(own, most, dealt, strict=True)
        if units
    ]
    rounds = int(work.dealt.max())
    mean = Fraction(int(work.own.sum()) * rounds, int(work.dealt.sum()) * work.shares)
    levels = [actual]
    for level in (int(work.free.max()), max(means), mean, least * rounds):
        levels.append(min(levels[-1], math.ceil(level)))
    barriers, rows, tiles, reach = (high - low for high, low in pairwise(levels))
    return Losses(reach=reach, rows=rows, tiles=tiles, barriers=barriers)


def fewest_cycles(steps: int, chunk_steps: int, machine: Machine[Keys]) -> IntArray:
    """Cycles that each chunk takes at least."""
    return _fewest_cycles(steps, chunk_steps, machine.datapath.empty_chunk_cycles)


@bounded_cache
def _fewest_cycles(steps: int, chunk_steps: int, empty_chunk_cycles: int) -> IntArray:
    ends = np.minimum(np.arange(chunk_steps, steps + chunk_steps, chunk_steps), steps)
    return np.minimum(np.diff(ends, prepend=0), empty_chunk_cycles)


def steps_of_chunk(steps: int, machine: Machine[Keys]) -> int:
    """Steps of a chunk: as many as the file says, but not more than there are; one where all wait after each step."""
    return 1 if machine.datapath.barrier == "step" else min(machine.datapath.chunk_steps or steps, steps)


def vectors_of_units(vectors: int, unit_rows: int) -> IntArray:
    """Vectors of each unit: `unit_rows`, the last one may have fewer."""
    starts = np.arange(0, vectors, unit_rows)
    return np.minimum(vectors - starts, unit_rows)


class ChunkRuns(NamedTuple):
    """Where the words of chunks lie in a vector, whatever vector it is."""

    inside: tuple[int, int]  # chunks, and words of a chunk
    runs: tuple[IntArray, IntArray]  # of `kernels.gather`


def chunk_runs(offset: IntArray, shape: ChunkShape) -> ChunkRuns:
    """Those of steps offset[step, lane]."""
    steps, lanes = offset.shape
    first = np.arange(0, steps, shape.chunk_steps)[:, None]
    word = np.arange(0, shape.chunk_steps, shape.word_steps)
    # Words that the last chunk has no steps for are empty.
    edges = np.minimum(first + word, steps).reshape(-1)
    return ChunkRuns((first.size, word.size), list_runs(offset.reshape(-1), np.append(edges, steps) * lanes))


def pack_side(side: Side, chunks: ChunkRuns, unit_rows: int) -> PackedSide:
    """Read an operand out of its tensor; the vectors of a unit are united."""
    words = np.empty((side.base.size, math.prod(chunks.inside)), dtype=np.uint64)
    gather_words(side.words, side.base.reshape(-1), *chunks.runs, words)
    unit_vectors = vectors_of_units(side.vectors, unit_rows)
    if unit_rows > 1:
        apart = words.reshape(side.groups, side.vectors, -1)
        words = np.empty((side.groups, unit_vectors.size, apart.shape[2]), dtype=np.uint64)
        for group in range(side.groups):
            unite_rows(apart[group], unit_rows, words[group])
    return PackedSide(words=words.reshape(side.groups, -1, *chunks.inside), unit_vectors=unit_vectors)


def values_of_a_vector(side: Side) -> Fraction:
    """Values of one vector, on average."""
    return Fraction(side.values, side.base.size)
