"""Cuts of a side into blocks: against loops over groups, rounds, tiles and vectors."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from swatsim.cuts import cuts_of
from swatsim.kernels.blocks import GROUPS, KIND, ROUNDS, SIDE_BUSY, START_ROUND, STOP_ROUND, TILE_VECTORS, VECTORS
from swatsim.kernels.cuts import Dealing, cut_block
from swatsim.kernels.totals import BLOCK_ROUNDS, BUNDLE_GROUPS, FIRST_KIND, LAST_KIND, OF_BUNDLE, OF_LEVEL
from swatsim.way import Extent


def rounds_of(vectors, extent):
    """[round][tile]: the vectors of a group that it works on."""
    found = []
    for first in range(0, vectors, extent.at_once):
        mine = range(first, min(first + extent.at_once, vectors))
        found.append([
            [v for v in mine if (v - first) // extent.per_tile == tile] for tile in range(extent.tiles)
        ])  # fmt: skip
    return found


def sizes_of(rounds, groups):
    """Rounds of a block that are tried (docs/model.md, 3: Blocks)."""
    if rounds <= 8:
        return set(range(1, rounds + 1))
    numbers = [1, 2, 4, 8, 16] if groups > 1 else [1, 2, 3, 4, 5, 6, 7, 8]
    if groups == 1:
        while numbers[-1] < rounds:
            numbers += [numbers[-1] * 3 // 2, numbers[-1] * 2]
    return {-(-rounds // number) for number in numbers}


def bundles_of(groups):
    found, size = [], 2
    while size < groups:
        found.append(size)
        size *= 2
    return [*found, groups] if groups > 1 else []


def expected_blocks(groups, rounds, size, bundle):
    """[block]: (group, round) of all that it has."""
    if bundle > 1:
        return [
            [(g, r) for g in range(first, min(first + bundle, groups)) for r in range(rounds)]
            for first in range(0, groups, bundle)
        ]
    return [
        [(g, r) for r in range(first, min(first + size, rounds))]
        for g in range(groups) for first in range(0, rounds, size)
    ]  # fmt: skip


@given(
    groups=st.integers(1, 9),
    vectors=st.integers(1, 70),
    per_tile=st.integers(1, 4),
    tiles=st.sampled_from([1, 2, 3, 8]),
    missing=st.integers(0, 3),
)
def test_every_cut_and_every_block(groups, vectors, per_tile, tiles, missing):
    extent = Extent(per_tile, tiles, max(1, per_tile * tiles - missing))
    cuts, dealt = cuts_of(groups, vectors, extent), rounds_of(vectors, extent)
    rounds = len(dealt)
    expected = [(size, 1) for size in sorted(sizes_of(rounds, groups), reverse=True)]
    expected += [(rounds, bundle) for bundle in bundles_of(groups)]
    assert cuts.total_rounds == rounds
    assert cuts.bundle_groups.tolist() == [bundle for _, bundle in expected]
    assert len(cuts.count) == len(expected)
    sizes = set()
    for cut, (size, bundle) in enumerate(expected):
        blocks = expected_blocks(groups, rounds, size, bundle)
        described_blocks = [described(block, dealt, vectors) for block in blocks]
        assert int(cuts.blocks[cut]) == (1 if bundle > 1 else -(-rounds // size))
        assert blocks_of(cuts, cut, (groups, vectors, extent)) == [
            {name: each[name] for name in BY_BLOCK} for each in described_blocks
        ]
        for sized, block in ((cuts.first, 0), (cuts.end, int(cuts.blocks[cut]) - 1)):
            found = {name: int(getattr(sized, name)[cut]) for name in BY_CUT}
            assert found == {name: described_blocks[block][name] for name in BY_CUT}
        sizes |= {(each["groups"], each["vectors"]) for each in described_blocks}
    assert [tuple(size) for size in cuts.sizes.tolist()] == sorted(sizes)


BY_CUT = ("groups", "vectors", "rounds", "tile_rounds", "tile_vectors")
BY_BLOCK = ("start", "stop", "start_round", "stop_round", "groups", "vectors", "rounds", "tile_vectors")
FIELDS = {
    "start_round": START_ROUND, "stop_round": STOP_ROUND, "groups": GROUPS, "vectors": VECTORS, "rounds": ROUNDS,
    "tile_vectors": TILE_VECTORS,
}  # fmt: skip


def blocks_of(cuts, cut, side):
    """The blocks of one cut as the kernels see them; their kinds are the sizes that they have."""
    groups, vectors, extent = side
    of_cut = np.zeros(OF_LEVEL, dtype=np.int64)
    for column, name in (
        (OF_BUNDLE, "blocks"), (BUNDLE_GROUPS, "bundle_groups"), (BLOCK_ROUNDS, "block_rounds"),
        (FIRST_KIND, "first_kind"), (LAST_KIND, "last_kind"),
    ):  # fmt: skip
        of_cut[column] = getattr(cuts, name)[cut]
    dealing = Dealing(groups, vectors, extent.per_tile, extent.at_once, cuts.total_rounds)
    found = []
    for number in range(int(cuts.count[cut])):
        row = np.zeros(SIDE_BUSY, dtype=np.int64)
        start, stop = cut_block(dealing, of_cut, number, row)
        assert cuts.sizes[row[KIND]].tolist() == row[[GROUPS, VECTORS]].tolist()
        found.append({"start": start, "stop": stop} | {name: int(row[field]) for name, field in FIELDS.items()})
    return found


def described(block, dealt, vectors):
    rounds = len(dealt)
    own = sorted({turn for _, turn in block})
    each = [v for turn in own for tile in dealt[turn] for v in tile]
    (first_group, first), (last_group, last) = block[0], block[-1]
    return {
        "start": first_group * vectors + min(v for tile in dealt[first] for v in tile),
        "stop": last_group * vectors + max(v for tile in dealt[last] for v in tile) + 1,
        "start_round": first_group * rounds + first, "stop_round": last_group * rounds + last + 1,
        "groups": len({group for group, _ in block}), "vectors": len(each), "rounds": len(own),
        "tile_rounds": sum(bool(tile) for turn in own for tile in dealt[turn]),
        "tile_vectors": max(sum(len(dealt[turn][tile]) for turn in own) for tile in range(len(dealt[0]))),
    }  # fmt: skip


@given(groups=st.integers(1, 5), vectors=st.integers(1, 300), tiles=st.sampled_from([1, 4]))
def test_every_cut_covers_every_vector_once(groups, vectors, tiles):
    extent = Extent.of(2, tiles)
    cuts = cuts_of(groups, vectors, extent)
    for cut in range(cuts.blocks.size):
        blocks = blocks_of(cuts, cut, (groups, vectors, extent))
        assert [*(each["start"] for each in blocks), groups * vectors] == [0, *(each["stop"] for each in blocks)]
        assert sum(each["groups"] * each["vectors"] for each in blocks) == groups * vectors
