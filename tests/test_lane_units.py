"""Operands in the words of chunks, against sets of steps and lanes; work in pieces, against the whole."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import twins
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import lane_sets, operands, packed_words, randoms
from test_lanes import SPARTEN, machine_with, rows_against

from swatsim.datapaths.lanes import pairs
from swatsim.datapaths.lanes.units import chunk_runs, pack_side
from swatsim.kernels.gather import ChunkShape
from swatsim.kernels.pairs import PairDealing, PairRule
from swatsim.mapping import count_chunks
from swatsim.schedule import schedule
from swatsim.sides import Reduction, Side, TouchedBy, filter_lines
from swatsim.way import Split


def side_of(present, base, groups):
    words, numbers = packed_words(present.tolist()), np.arange(len(base) // groups)
    return Side(
        role="weight", words=words, base=base.reshape(groups, -1), reduction=Reduction(np.zeros((1, 1), np.int64)),
        positions=len(present), full=False, lines=filter_lines(words, groups, len(numbers), (1, 1)),
        touched_by=TouchedBy(first=numbers, last=numbers),
    )  # fmt: skip


@given(operands(fewest=1), st.integers(1, 9), st.integers(1, 3), st.sampled_from([1, 2]), st.data())
def test_chunks(case, chunk_steps, unit_rows, groups, data):
    present, base, offset = case
    base = np.concatenate([base] * groups)
    lanes = offset.shape[1]
    word_steps = data.draw(st.integers(1, max(1, 64 // lanes)))
    side = side_of(present, base, groups)
    packed = pack_side(side, chunk_runs(offset, ChunkShape(chunk_steps, word_steps)), unit_rows)
    expected = twins.packed_chunks(present.tolist(), base.tolist(), offset.tolist(), chunk_steps, word_steps)
    bits = [[[{step * lanes + lane for step, lane in word} for word in chunk] for chunk in each] for each in expected]
    vectors = side.vectors
    for group in range(groups):
        of_group = bits[group * vectors : (group + 1) * vectors]
        units = [of_group[first : first + unit_rows] for first in range(0, vectors, unit_rows)]
        assert packed.unit_vectors.tolist() == [len(unit) for unit in units]
        for found, unit in zip(packed.words[group], units, strict=True):
            united = [
                [set().union(*words) for words in zip(*chunks, strict=True)] for chunks in zip(*unit, strict=True)
            ]
            assert lane_sets(found) == united
    counts = twins.chunk_counts(present.tolist(), base.tolist(), offset.tolist(), chunk_steps)
    assert count_chunks(side, offset, chunk_steps).reshape(len(base), -1).tolist() == counts


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("depth", [0, 1])
def test_pieces_of_pairs_are_the_whole(monkeypatch, depth, whole):
    """With groups, and with fewer rows in the last round; where slots may be ahead, there is only one piece."""
    random = np.random.default_rng(3)
    rows, columns = (random.integers(0, 1 << 63, shape, np.uint64) for shape in ((2, 13, 2, 1), (2, 2, 1, 9)))
    packed = pairs.Packed(
        rows=rows, columns=columns, at_once=(2, 1), rule=PairRule(4, False, np.zeros(2, np.int64)), by_chunk=True,
        in_common=0, multiplications=0,
    )  # fmt: skip
    dealing = PairDealing(2, 1, 1, 3, 1, by_chunk=True, depth=depth)
    monkeypatch.setattr(pairs, "MOST_CYCLES", 1 if whole else 1 << 20)
    found, calls = {}, []
    for positions in (1 << 40, 15_000, 8000, 1):
        monkeypatch.setattr(pairs, "POSITIONS_AT_ONCE", positions)
        monkeypatch.setattr(pairs, "share", lambda pieces: calls.append(len(pieces)) or [piece() for piece in pieces])
        found[positions] = pairs._wait(packed, dealing)
    assert calls == ([1, 1, 1, 1] if depth else [1, 2, 4, 7])
    assert found[1][0].shape == (3, 14, 1 if whole else 3)
    for cycles, busy in found.values():
        assert np.array_equal(cycles, found[1][0])
        assert np.array_equal(busy, found[1][1])


@given(randoms(), st.tuples(st.integers(5, 17), st.integers(7, 19)), st.sampled_from([None, 1, 2, 4]))
def test_pairs_on_rows_and_columns_of_tiles(random, shape, set_tiles):
    """Cycles of sets, and the levels of losses of docs/datapaths/lanes.md, of 2 x 2 tiles of 2 rows and 3 columns."""
    rows, columns = shape
    keys = SPARTEN | {"tile__rows": 2, "tile__columns": 3, "tiles": 4, "mapping__tile_split": "best"}
    keys |= {"barrier": "pass"} if set_tiles is None else {"barrier_tiles": set_tiles}
    weight, windows = random.random((rows, 40)) < 0.5, random.random((columns, 40)) < np.linspace(0.1, 1, 40)
    ways = schedule(rows_against(weight, windows), machine_with(**keys)).actual
    (found,) = [each for each in ways if each.way.split == Split(row_tiles=2, column_tiles=2)]
    work = weight.astype(int) @ windows.T.astype(int)
    tiles = [
        [[work[row::4, column::6] for row in places for column in others] for places in ((0, 1), (2, 3))]
        for others in ((0, 1, 2), (3, 4, 5))
    ]
    slots = [slot for by_row in tiles for tile in by_row for slot in tile]
    most = max(slot.size for slot in slots)
    means = [
        Fraction(int(sum(map(np.sum, tile)) * max(map(np.size, tile))), sum(map(np.size, tile)))
        for by_row in tiles for tile in by_row if sum(map(np.size, tile))
    ]  # fmt: skip
    levels = [found.compute_cycles]
    for level in (max(map(np.sum, slots)), max(means), Fraction(int(work.sum()) * most, work.size)):
        levels.append(min(levels[-1], math.ceil(level)))
    barriers, of_rows, of_tiles = (high - low for high, low in pairwise(levels))
    assert found.losses()._asdict() == {
        "reach": 0, "rows": of_rows, "tiles": of_tiles, "barriers": barriers, "edges": 0
    }  # fmt: skip
    if set_tiles is None:
        expected = [work[row::4, column::6].sum() for column in range(6) for row in range(4)]
    else:
        padded = np.pad(work, ((0, -rows % 4), (0, -columns % 6))).reshape(-1, 2, 2, -(-columns // 6), 2, 3)
        by_tile = padded.max(axis=(2, 5)).transpose(3, 1, 0, 2).reshape(4 // set_tiles, set_tiles, -1)
        expected = by_tile.max(axis=1).sum(axis=1)
    assert found.set_cycles.tolist() == [int(each) for each in expected]
