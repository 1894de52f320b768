"""Ways to cut one side of a contraction into blocks of vectors (docs/model.md §3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swatsim.way import Extent

IntArray = NDArray[np.int64]

# Of so many rounds every size of block is tried; of more every number of blocks up to it, then two a doubling.
EVERY_SIZE = 8
# Where a convolution has groups, whose blocks multiply: fewer.
MOST_BLOCKS_OF_A_GROUP = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSizes:
    """One block of each cut, each array [cut]."""

    groups: IntArray
    vectors: IntArray  # of each of its groups
    rounds: IntArray
    tile_rounds: IntArray  # turns of tiles, those that have no vector not counted
    tile_vectors: IntArray  # of the fullest tile, for each of its groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """All cuts of one side. A block is some rounds of one group, or all rounds of a bundle of groups.

    The blocks of a cut are all as the first one, but those that end a group, and the last one (`kernels.cuts`).
    """

    blocks: IntArray  # [cut]: blocks of each bundle
    bundle_groups: IntArray  # [cut]: groups that share a block
    block_rounds: IntArray  # [cut]: of each block's groups
    count: IntArray  # [cut]: blocks of all bundles
    first: BlockSizes
    end: BlockSizes  # the block with which the first bundle ends
    sizes: IntArray  # [kind, 2]: the different sizes of blocks: groups, and vectors of each
    first_kind: IntArray  # [cut]
    last_kind: IntArray  # [cut]: of the last block
    total_rounds: int  # of one group


def cuts_of(groups: int, vectors: int, extent: Extent) -> Cuts:
    """Cut a side of `vectors` in each of `groups` into every number of blocks that is tried.

    What is tried depends on nothing but the shape: where buffers grow, nothing that was possible is lost.
    """
    rounds = extent.rounds(vectors)
    sizes, bundles = _sizes(rounds, groups), _bundles(groups)
    block_rounds = np.array([*sizes, *[rounds] * len(bundles)])
    bundle_groups = np.array([*[1] * len(sizes), *bundles])
    blocks, of_groups = -(-rounds // block_rounds), -(-groups // bundle_groups)
    before = (blocks - 1) * block_rounds
    first = _block_sizes(bundle_groups, 0 * before, block_rounds, vectors, extent)
    end = _block_sizes(bundle_groups, before, rounds - before, vectors, extent)
    last_groups = groups - (of_groups - 1) * bundle_groups
    codes = np.stack([first.groups, last_groups]) * (vectors + 1) + np.stack([first.vectors, end.vectors])
    found, kind = np.unique(codes, return_inverse=True)
    first_kind, last_kind = kind.reshape(codes.shape)
    return Cuts(
        blocks=blocks, bundle_groups=bundle_groups, block_rounds=block_rounds, count=blocks * of_groups,
        first=first, end=end, sizes=np.stack(np.divmod(found, vectors + 1), axis=1),
        first_kind=first_kind, last_kind=last_kind, total_rounds=rounds,
    )  # fmt: skip


def _block_sizes(groups: IntArray, start: IntArray, rounds: IntArray, vectors: int, extent: Extent) -> BlockSizes:
    """Blocks that begin at a round of a group."""
    own = np.minimum((start + rounds) * extent.at_once, vectors) - start * extent.at_once
    # The first tile has most: its share of every round, the last of which may have too few vectors to fill it.
    before = rounds - 1
    in_last = own - before * extent.at_once
    of_first = min(extent.per_tile, extent.at_once)
    return BlockSizes(
        groups=groups, vectors=own, rounds=rounds,
        tile_rounds=before * -(-extent.at_once // extent.per_tile) + -(-in_last // extent.per_tile),
        tile_vectors=before * of_first + np.minimum(in_last, of_first),
    )  # fmt: skip


def _sizes(rounds: int, groups: int) -> list[int]:
    """Rounds of a block, largest first."""
    if rounds <= EVERY_SIZE:
        return list(range(rounds, 0, -1))
    if groups > 1:
        counts = [1 << power for power in range(MOST_BLOCKS_OF_A_GROUP.bit_length())]
    else:
        counts = list(range(1, EVERY_SIZE + 1))
        while counts[-1] < rounds:
            counts += [counts[-1] * 3 // 2, counts[-1] * 2]
    return sorted({-(-rounds // count) for count in counts}, reverse=True)


def _bundles(groups: int) -> list[int]:
    """Groups of a block, where it has several: powers of two, and all."""
    if groups == 1:
        return []
    return [*(1 << power for power in range(1, (groups - 1).bit_length())), groups]
