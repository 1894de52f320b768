"""The ways in which a machine can run a contraction, and what it does in one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.sides import Side


class Split(NamedTuple):
    """How the tiles share the work: row_tiles x column_tiles."""

    row_tiles: int
    column_tiles: int


class Extent(NamedTuple):
    """One side of the machine: vectors handled at once by a tile and by all tiles.

    Vectors are dealt in order, `per_tile` to each tile, `at_once` in each round: as many as the tiles take, or fewer
    where a round ends for another reason.
    """

    per_tile: int
    tiles: int
    at_once: int

    @staticmethod
    def of(per_tile: int, tiles: int) -> Extent:
        """Every tile full in every round but the last."""
        return Extent(per_tile, tiles, per_tile * tiles)

    def rounds(self, vectors: int) -> int:
        """Rounds that `vectors` take."""
        return -(-vectors // self.at_once)


class Way(NamedTuple):
    """One way to run a contraction; `skips` are those of its rows and columns whose zeros are skipped."""

    split: Split
    transposed: bool = False  # the contraction's columns are on the machine's rows
    skips: tuple[str, ...] = ()


class Relaxation(NamedTuple):
    """A value of a key that makes a machine freer, and the losses that this may lessen."""

    key: str
    value: object = None  # None: twice the number that is there
    losses: tuple[str, ...] = ()


class Ways(NamedTuple):
    """What a machine may choose from for a contraction."""

    skipping: tuple[Way, ...]
    dense: tuple[Way, ...]  # with skipping off
    may_turn_off: bool = False  # whether a single contraction may be run with skipping off though that is no faster


class Losses(NamedTuple):
    """Cycles between the ideal and the compute cycles, by cause."""

    reach: int = 0  # multipliers that find no value to take
    rows: int = 0  # rows of a tile with more work than others
    tiles: int = 0
    barriers: int = 0  # waiting more often than once
    edges: int = 0  # the rest: padding, what is idle in the last rounds, and exchanges between tiles

    def plus(self, other: Losses) -> Losses:
        """Cause by cause."""
        return Losses(*map(sum, zip(self, other, strict=True)))

    def within(self, total: int) -> Losses:
        """The same, cut down in order of the causes to `total`; the edges take what is left."""
        found, left = [], total
        for lost in self[:-1]:
            found.append(min(lost, left))
            left -= found[-1]
        return Losses(found[0], found[1], found[2], found[3], left)


NO_LOSSES = Losses()


def waiting(totals: NDArray[np.int64], tasks: NDArray[np.int64], compute_cycles: int) -> tuple[int, int, int]:
    """Cycles lost because places [tile, place] with equally many tasks have unequal work.

    `totals` are the cycles of each place, `tasks` how many it got. Returns what the rows of a tile lose, what the tiles
    lose, and what is lost by waiting more often than once. Places that got fewer tasks than others lose those at the
    average cost of a task, which is in none of the three.
    """
    busy, dealt, free = int(totals.sum()), int(tasks.sum()), int(totals.max())
    absent = (int(tasks.max()) * tasks.size - dealt) * busy // max(1, dealt * tasks.size)
    slowest = int(totals.max(axis=1).sum()) // totals.shape[0]
    between_tiles, within_tiles = free - slowest, slowest - busy // totals.size
    rest = max(0, absent - between_tiles)
    return max(0, within_tiles - rest), max(0, between_tiles - absent), compute_cycles - free


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Compute cycles of one contraction on the machine; memory stalls are `timeline`'s.

    cycles[barrier set, outer round, inner round] are those of the tiles that share barriers. Outer rounds are those of
    the machine's rows, or of its columns where `columns_outer`, numbered group · rounds + round. Of the other side
    there is an entry for each round, or a single one: their sum, spread evenly.
    """

    way: Way
    rows: Side  # the operands on the machine's rows and columns
    columns: Side
    extents: tuple[Extent, Extent]  # likewise
    cycles: NDArray[np.int64]
    columns_outer: bool = False
    multiplications: int | None = None  # carried out; None: at every position that is not skipped
    # Called for the schedule that is taken; where it falls short of what is lost, edges take the rest.
    losses: Callable[[], Losses] = lambda: NO_LOSSES

    @property
    def groups(self) -> int:
        """Groups of the convolution, one after another."""
        return self.rows.groups

    @cached_property
    def set_cycles(self) -> NDArray[np.int64]:
        """[barrier set]: cycles in all."""
        found: NDArray[np.int64] = self.cycles.sum(axis=(1, 2))
        return found

    @cached_property
    def compute_cycles(self) -> int:
        """Cycles until the slowest barrier set has finished."""
        return int(self.set_cycles.max())
