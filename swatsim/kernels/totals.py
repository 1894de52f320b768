"""Sums over the blocks of each cut of one side, which mappings are bounded by (docs/model.md §3)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.blocks import SIDE_LEVEL_FIELDS

IntArray = NDArray[np.int64]

# Columns of SideTotals.table. The four of OFTEN are what the other side's `moved` is multiplied by. Of on-chip level l
# there are 6 of `busy`, as in SideBlocks, and 8 of `moved`: OF_LEVEL + 14 · (l - 1) + 6 + 4 · direction + how often.
(
    FIRST, COUNT, OF_BUNDLE, BUNDLE_GROUPS, LOAD_BYTES, LOAD_CYCLES, FIRST_LOAD, BLOCK_ROOM, ROOM, WRITTEN
) = range(10)  # fmt: skip
OFTEN = 10
BUNDLE_TILE_VECTORS = 14
LOADED = 15
# Of the first block and of the last one.
FIRST_KIND, LAST_KIND, FIRST_GROUPS, FIRST_TILE_VECTORS, FIRST_VECTORS, BLOCK_ROUNDS = range(16, 22)
OF_LEVEL = 22
MOVED, LEVEL_COLUMNS = SIDE_LEVEL_FIELDS, SIDE_LEVEL_FIELDS + 8
# How often something happens in a block, in terms of the other side of it.
TILE_ROUNDS, ROUNDS_OF_OTHER, TILES, ONCE = range(4)


class SideTotals(NamedTuple):
    """Sums over the blocks of each cut of one side, parts of the reduction included."""

    # [cut, ...]: its first block and how many it has, in all and in a bundle; groups of a bundle; bytes and cycles to
    # load each block once; cycles of the first block; bytes in the resident level of the largest block, and with the
    # block that comes meanwhile; bytes written there, each block once; how often the other side's bytes move; vectors
    # of the fullest tile, over a bundle's blocks; blocks that take cycles to load; fields of the first and the last
    # block; by level the bytes of the busiest instance, and of all.
    table: IntArray
    resident: int  # the level where blocks are kept, counted from off chip

    def of(self, field: int) -> IntArray:
        """One column, [cut]."""
        return self.table[:, field]

    @property
    def often(self) -> IntArray:
        """[how often, cut]: what the other side's `moved` is multiplied by."""
        return self.table[:, OFTEN : OFTEN + 4].T

    @property
    def moved(self) -> IntArray:
        """[level, direction, how often, cut]: bytes of all instances."""
        levels = self.table[:, OF_LEVEL:].reshape(self.table.shape[0], -1, LEVEL_COLUMNS)
        return levels[:, :, MOVED:].reshape(*levels.shape[:2], 2, 4).transpose(1, 2, 3, 0)
