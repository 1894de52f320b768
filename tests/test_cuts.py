"""Cuts of a side into blocks: against loops over groups, rounds, tiles and vectors."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swatsim.cuts import cuts_of
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
    assert len(cuts.first) == len(expected) + 1
    for cut, (size, bundle) in enumerate(expected):
        blocks = expected_blocks(groups, rounds, size, bundle)
        places = range(int(cuts.first[cut]), int(cuts.first[cut + 1]))
        assert len(places) == len(blocks)
        assert int(cuts.blocks[cut]) == (1 if bundle > 1 else -(-rounds // size))
        for place, block in zip(places, blocks, strict=True):
            found = {name: int(getattr(cuts, name)[place]) for name in NAMES}
            assert found == described(block, dealt, vectors)


NAMES = ("start", "stop", "start_round", "stop_round", "groups", "vectors", "rounds", "tile_rounds", "tile_vectors")


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
    cuts = cuts_of(groups, vectors, Extent.of(2, tiles))
    for cut in range(cuts.blocks.size):
        place, edges = cuts.of(cut), [0, groups * vectors]
        assert [*cuts.start[place], edges[1]] == [edges[0], *cuts.stop[place]]
        assert int((cuts.groups * cuts.vectors)[place].sum()) == groups * vectors
