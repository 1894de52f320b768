"""The blocks of a cut of one side: some rounds of one group each, or all rounds of some groups (docs/model.md §3)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.blocks import GROUPS, KIND, ROUNDS, START_ROUND, STOP_ROUND, TILE_VECTORS, VECTORS
from swatsim.kernels.compile import kernel
from swatsim.kernels.totals import BLOCK_ROUNDS, BUNDLE_GROUPS, FIRST_KIND, LAST_KIND, OF_BUNDLE

IntArray = NDArray[np.int64]


class Dealing(NamedTuple):
    """How vectors are dealt to the rounds of a side; groups are dealt one after another."""

    groups: int
    vectors: int  # of a group
    per_tile: int
    at_once: int
    rounds: int  # of a group


@kernel
def cut_block(dealing: Dealing, of_cut: IntArray, number: int, row: IntArray) -> tuple[int, int]:
    """Set a block's fields of SideBlocks, but those of bytes and cycles; return its first vector, and the last's next.

    of_cut: the cut's row of SideTotals; number: of the block, in the cut. Vectors are numbered group by group.
    """
    bundle, blocks = of_cut[BUNDLE_GROUPS], of_cut[OF_BUNDLE]
    group, turn, groups, last = number * bundle, np.int64(0), bundle, False
    if bundle == 1:
        group, turn = number // blocks, number % blocks
        last = turn == blocks - 1
        turn *= of_cut[BLOCK_ROUNDS]
    elif group + bundle >= dealing.groups:
        groups, last = dealing.groups - group, True
    rounds = min(of_cut[BLOCK_ROUNDS], dealing.rounds - turn)
    first = turn * dealing.at_once
    after = min(first + rounds * dealing.at_once, dealing.vectors)
    row[START_ROUND] = group * dealing.rounds + turn
    row[STOP_ROUND] = (group + groups - 1) * dealing.rounds + turn + rounds
    row[ROUNDS], row[VECTORS], row[GROUPS] = rounds, after - first, groups
    # The first tile has most: its share of every round, the last of which may have too few vectors to fill it.
    of_first, in_last = min(dealing.per_tile, dealing.at_once), after - first - (rounds - 1) * dealing.at_once
    row[TILE_VECTORS] = (rounds - 1) * of_first + min(in_last, of_first)
    row[KIND] = of_cut[LAST_KIND] if last else of_cut[FIRST_KIND]
    return group * dealing.vectors + first, (group + groups - 1) * dealing.vectors + after
