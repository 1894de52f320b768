"""The kernels of pairs that multiply where both have a value, against their twins."""

from __future__ import annotations

import numpy as np
import twins
from hypothesis import event, given
from hypothesis import strategies as st
from kernel_cases import DENSITIES, randoms

from swatsim.kernels.pairs import PLANES, PairDealing, PairRule, fullest_lane, in_common, pair_chunks, wait_for_pairs

LANES = st.sampled_from([1, 2, 3, 5, 16, 64])


def packed(units, shape, word_steps, lanes):
    """[..., chunk, step] sets of lanes as words of `word_steps` steps."""
    words = np.zeros(shape, np.uint64)
    for index in np.ndindex(shape[:-1]):
        chunk = units
        for number in index:
            chunk = chunk[number]
        for step, present in enumerate(chunk):
            first = step % word_steps * lanes
            words[(*index, step // word_steps)] |= np.uint64(sum(1 << first + lane for lane in present))
    return words


@st.composite
def units(draw, counts, chunks, chunk_steps, lanes):
    """[group][unit][chunk][step] sets of lanes."""
    random = draw(randoms())
    table = random.random((*counts, chunks, chunk_steps, lanes)) < draw(DENSITIES)

    def sets(array):
        return set(np.flatnonzero(array).tolist()) if array.ndim == 1 else [sets(each) for each in array]

    return sets(table)


@st.composite
def chunks_of_a_pair(draw):
    """(row, column, lanes, steps): [chunk][step] sets."""
    lanes, steps, chunks = draw(LANES), draw(st.integers(1, 70)), draw(st.integers(1, 3))
    row, column = (draw(units((1, 1), chunks, steps, lanes))[0][0] for _ in range(2))
    return row, column, lanes, steps


def commons(row, column):
    return [[first & second for first, second in zip(*chunks, strict=True)] for chunks in zip(row, column, strict=True)]


@given(chunks_of_a_pair())
def test_in_common(case):
    row, column, lanes, steps = case
    word_steps = 64 // lanes
    shape = (len(row), -(-steps // word_steps))
    words = [packed(each, shape, word_steps, lanes) for each in (row, column)]
    found = [in_common(*words, chunk) for chunk in range(len(row))]
    assert found == [sum(map(len, chunk)) for chunk in commons(row, column)]


@given(chunks_of_a_pair())
def test_fullest_lane(case):
    row, column, lanes, steps = case
    words = [packed(each, (len(row), steps), 1, lanes) for each in (row, column)]
    found = [fullest_lane(*words, chunk, np.full(PLANES, 0xDEAD, np.uint64)) for chunk in range(len(row))]
    assert found == [max(twins.lane_counts(chunk, steps, lanes)[0]) for chunk in commons(row, column)]


def test_counts_of_the_longest_chunk():
    """All 65536 steps: the count needs every plane."""
    words = np.full((1, 1 << 16), 0b10, np.uint64)
    assert fullest_lane(words, words, 0, np.empty(PLANES, np.uint64)) == 1 << 16


@given(chunks_of_a_pair(), st.booleans(), st.booleans(), st.data())
def test_pair_chunks(case, own_lane, by_chunk, data):
    row, column, lanes, steps = case
    fewest = data.draw(st.lists(st.integers(0, 3), min_size=len(row), max_size=len(row)))
    word_steps = 1 if own_lane else 64 // lanes
    words = [packed(each, (len(row), -(-steps // word_steps)), word_steps, lanes) for each in (row, column)]
    work = np.full(len(row) if by_chunk else 1, -7)
    pair_chunks(*words, PairRule(lanes, own_lane, np.array(fewest)), np.empty(PLANES, np.uint64), work)
    expected = [
        twins.chunk_cycles(chunk, lanes, own_lane, least)
        for chunk, least in zip(commons(row, column), fewest, strict=True)
    ]
    assert work.tolist() == (expected if by_chunk else [sum(expected)])


@st.composite
def dealt_pairs(draw):
    """(rows, columns, rule, dealing, chunk steps): all small."""
    small = st.integers(1, 3)
    lanes, groups, chunks, steps = draw(st.sampled_from([1, 2, 5])), draw(st.integers(1, 2)), draw(small), draw(small)
    rows, columns = (draw(units((groups, draw(st.integers(1, 7))), chunks, steps, lanes)) for _ in range(2))
    rule = (lanes, draw(st.booleans()), draw(st.lists(st.integers(0, 1), min_size=chunks, max_size=chunks)))
    dealing = {
        "rows": draw(small), "columns": draw(small), "row_tiles": draw(small), "column_tiles": draw(small),
        "set_slots": 1, "by_chunk": draw(st.booleans()), "depth": draw(st.integers(0, 2)),
    }  # fmt: skip
    if draw(st.booleans()):
        dealing["set_slots"] = dealing["rows"] * dealing["columns"] * draw(st.integers(1, 4))
    return rows, columns, rule, dealing, steps


@given(dealt_pairs(), st.booleans())
def test_wait_for_pairs(case, whole):
    rows, columns, rule, dealing, steps = case
    lanes, own_lane, fewest = rule
    word_steps = 1 if own_lane else 64 // lanes
    words = [
        packed(side, (len(side), len(side[0]), len(side[0][0]), -(-steps // word_steps)), word_steps, lanes)
        for side in (rows, columns)
    ]
    tiles = dealing["row_tiles"] * dealing["column_tiles"]
    slots = tiles * dealing["rows"] * dealing["columns"]
    row_rounds = len(range(0, len(rows[0]), dealing["rows"] * dealing["row_tiles"]))
    column_rounds = len(range(0, len(columns[0]), dealing["columns"] * dealing["column_tiles"]))
    sets = len(range(0, slots, dealing["set_slots"]))
    cycles = np.full((sets, len(rows) * row_rounds, 1 if whole else column_rounds), -7)
    busy = np.full(slots, -7)
    wait_for_pairs(*words, PairRule(lanes, own_lane, np.array(fewest)), PairDealing(**dealing), cycles, busy)
    expected, own = twins.pair_cycles(rows, columns, rule, dealing)
    table = np.zeros((sets, len(rows) * row_rounds, column_rounds), np.int64)
    for (barrier_set, group, row_round, column_round), taken in expected.items():
        table[barrier_set, group * row_rounds + row_round, column_round] = taken
    assert np.array_equal(cycles, table.sum(axis=2, keepdims=True) if whole else table)
    assert busy.tolist() == [own.get(slot, 0) for slot in range(slots)]
    event("several sets" if sets > 1 else "one set")
