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
class Cuts:
    """All cuts of one side, their blocks one after another.

    A block is some rounds of one group, or all rounds of a bundle of groups. Vectors are numbered group by group.
    """

    blocks: IntArray  # [cut]: blocks of each bundle
    bundle_groups: IntArray  # [cut]: groups that share a block
    first: IntArray  # [cut]: where its blocks begin, and the end of the last cut's
    start: IntArray  # [block]: first vector, and the one after the last
    stop: IntArray
    start_round: IntArray  # [block]: likewise, rounds numbered group by group
    stop_round: IntArray
    groups: IntArray  # [block]
    vectors: IntArray  # [block]: of each of its groups
    rounds: IntArray
    tile_rounds: IntArray  # [block]: turns of tiles, those that have no vector not counted
    tile_vectors: IntArray  # [block]: of the fullest tile, for each of its groups
    sizes: IntArray  # [kind, 2]: the different sizes of blocks: groups, and vectors of each
    kind: IntArray  # [block]
    total_rounds: int  # of one group

    def of(self, cut: int) -> slice:
        """The blocks of one cut, of all bundles."""
        return slice(int(self.first[cut]), int(self.first[cut + 1]))


def cuts_of(groups: int, vectors: int, extent: Extent) -> Cuts:
    """Cut a side of `vectors` in each of `groups` into every number of blocks that is tried.

    What is tried depends on nothing but the shape: where buffers grow, nothing that was possible is lost.
    """
    rounds = extent.rounds(vectors)
    sizes = _sizes(rounds, groups)
    found = [_rounds_cut(groups, rounds, size) for size in sizes]
    blocks = [-(-rounds // size) for size in sizes]
    bundles = [1] * len(sizes)
    bundle = 2
    while groups > 1:
        bundle = min(bundle, groups)
        found.append(_bundle_cut(groups, rounds, bundle))
        blocks.append(1)
        bundles.append(bundle)
        if bundle == groups:
            break
        bundle *= 2
    return _collect(found, np.array(blocks), np.array(bundles), vectors, extent)


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


def _rounds_cut(groups: int, rounds: int, size: int) -> tuple[IntArray, IntArray]:
    """Rounds [group · rounds + round] at which each block begins and ends."""
    edges = np.arange(0, rounds, size)
    start = (np.arange(groups)[:, None] * rounds + edges).reshape(-1)
    stop = (np.arange(groups)[:, None] * rounds + np.minimum(edges + size, rounds)).reshape(-1)
    return start, stop


def _bundle_cut(groups: int, rounds: int, bundle: int) -> tuple[IntArray, IntArray]:
    edges = np.arange(0, groups, bundle)
    return edges * rounds, np.minimum(edges + bundle, groups) * rounds


def _collect(
    found: list[tuple[IntArray, IntArray]], blocks: IntArray, bundles: IntArray, vectors: int, extent: Extent
) -> Cuts:
    rounds = extent.rounds(vectors)
    start_round, stop_round = (np.concatenate(edges) for edges in zip(*found, strict=True))
    group, start = start_round // rounds, start_round % rounds
    last_group = (stop_round - 1) // rounds
    stop = stop_round - last_group * rounds
    in_groups = last_group - group + 1
    count = np.where(in_groups > 1, rounds, stop - start)
    start_vector = start * extent.at_once
    stop_vector = np.minimum(stop * extent.at_once, vectors)
    own = np.where(in_groups > 1, vectors, stop_vector - start_vector)
    codes, kind = np.unique(in_groups * (vectors + 1) + own, return_inverse=True)
    # The first tile has most: its share of every round, the last of which may have too few vectors to fill it.
    before = count - 1
    in_last = own - before * extent.at_once
    of_first = min(extent.per_tile, extent.at_once)
    fullest = before * of_first + np.minimum(in_last, of_first)
    turns = before * -(-extent.at_once // extent.per_tile) + -(-in_last // extent.per_tile)
    return Cuts(
        blocks=blocks, bundle_groups=bundles,
        first=np.cumsum([0, *(start.size for start, _ in found)]),
        start=group * vectors + start_vector, stop=last_group * vectors + stop_vector,
        start_round=start_round, stop_round=stop_round,
        groups=in_groups, vectors=own, rounds=count,
        tile_rounds=turns, tile_vectors=fullest,
        sizes=np.stack(np.divmod(codes, vectors + 1), axis=1), kind=kind.reshape(-1), total_rounds=rounds,
    )  # fmt: skip
