"""The kernels of pairs that multiply where both have a value, against their twins."""

from __future__ import annotations

import numpy as np
import pytest
import twins
from hypothesis import event, given
from hypothesis import strategies as st
from kernel_cases import DENSITIES, randoms

from swatsim.kernels.pairs import (
    MOST_COLUMNS,
    PLANES,
    PairDealing,
    PairRule,
    count_in_common,
    fullest_lane,
    pair_row,
    wait_for_pairs,
)

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
def chunks_of_pairs(draw):
    """(row, columns, lanes, steps): [chunk][step] and [column][chunk][step] sets."""
    lanes, steps, chunks = draw(LANES), draw(st.integers(1, 70)), draw(st.integers(1, 3))
    (row,), columns = (draw(units((count,), chunks, steps, lanes)) for count in (1, draw(st.integers(1, 9))))
    return row, columns, lanes, steps


def side_by_side(words):
    """[..., chunk, word, unit] of [..., unit, chunk, word]."""
    return np.ascontiguousarray(np.moveaxis(words, -3, -1))


def commons(row, column):
    return [[first & second for first, second in zip(*chunks, strict=True)] for chunks in zip(row, column, strict=True)]


@given(chunks_of_pairs(), st.data())
def test_count_in_common(case, data):
    row, columns, lanes, steps = case
    word_steps = 64 // lanes
    shape = (len(row), -(-steps // word_steps))
    words = packed(row, shape, word_steps, lanes)
    of_columns = side_by_side(packed(columns, (len(columns), *shape), word_steps, lanes))
    first = data.draw(st.integers(0, len(columns) - 1))
    for chunk in range(len(row)):
        counts = np.arange(len(columns) - first)
        count_in_common(words[chunk], of_columns[chunk], first, counts)
        both = [commons(row, column)[chunk] for column in columns[first:]]
        assert counts.tolist() == [number + sum(map(len, each)) for number, each in enumerate(both)]


@given(chunks_of_pairs())
def test_fullest_lane(case):
    row, columns, lanes, steps = case
    words = packed(row, (len(row), steps), 1, lanes)
    of_columns = side_by_side(packed(columns, (len(columns), len(row), steps), 1, lanes))
    for number, column in enumerate(columns):
        planes = np.full(PLANES, 0xDEAD, np.uint64)
        found = [fullest_lane(words[chunk], of_columns[chunk], number, planes) for chunk in range(len(row))]
        assert found == [max(twins.lane_counts(chunk, steps, lanes)[0]) for chunk in commons(row, column)]


def test_counts_of_the_longest_chunk():
    """All 65536 steps: the count needs every plane."""
    words = np.full(1 << 16, 0b10, np.uint64)
    assert fullest_lane(words, words[:, None].copy(), 0, np.empty(PLANES, np.uint64)) == 1 << 16


@given(chunks_of_pairs(), st.booleans(), st.data())
def test_pair_row(case, own_lane, data):
    row, columns, lanes, steps = case
    fewest = data.draw(st.lists(st.integers(0, 3), min_size=len(row), max_size=len(row)))
    word_steps = 1 if own_lane else 64 // lanes
    shape = (len(row), -(-steps // word_steps))
    words = packed(row, shape, word_steps, lanes)
    of_columns = side_by_side(packed(columns, (len(columns), *shape), word_steps, lanes))
    first = data.draw(st.integers(0, len(columns) - 1))
    work = np.full((2, len(columns) + 1), -7)
    rule = PairRule(lanes, own_lane, np.array(fewest))
    pair_row(words, of_columns, (first, len(columns)), rule, np.empty(PLANES, np.uint64), work)
    expected = [
        sum(
            twins.chunk_cycles(chunk, lanes, own_lane, least)
            for chunk, least in zip(commons(row, column), fewest, strict=True)
        )
        for column in columns[first:]
    ]
    assert work[0].tolist() == expected + [-7] * (first + 1)


@pytest.mark.parametrize("lanes", [2, 7, 63])
def test_shares_of_the_fullest_chunk(lanes):
    """Nearly 65536 steps of values in all lanes, less a few: a quotient that is rounded wrongly would be seen."""
    word_steps = 64 // lanes
    words = (1 << 16) // word_steps
    column = np.full((1, words), ~np.uint64(0) >> np.uint64(64 - lanes * word_steps))
    for less in (1, lanes - 1, lanes):
        row = column.copy()
        row[0, 0] ^= np.uint64((1 << less) - 1)
        work, rule = np.empty((2, 1), np.int64), PairRule(lanes, False, np.zeros(1, np.int64))
        pair_row(row, column[:, :, None].copy(), (0, 1), rule, np.empty(PLANES, np.uint64), work)
        assert work[0, 0] == words * word_steps - less // lanes


@st.composite
def dealt_pairs(draw):
    """(rows, columns, rule, dealing, chunk steps): all small."""
    small = st.integers(1, 3)
    lanes, groups, chunks, steps = draw(st.sampled_from([1, 2, 5])), draw(st.integers(1, 2)), draw(small), draw(small)
    rows, columns = (draw(units((groups, draw(st.integers(1, 7))), chunks, steps, lanes)) for _ in range(2))
    rule = (lanes, draw(st.booleans()), draw(st.lists(st.integers(0, 1), min_size=chunks, max_size=chunks)))
    dealing = {
        "rows": draw(small), "columns": draw(small), "row_tiles": draw(small), "column_tiles": draw(small),
        "set_tiles": draw(st.integers(1, 4)), "by_chunk": draw(st.booleans()), "depth": draw(st.integers(0, 2)),
    }  # fmt: skip
    return rows, columns, rule, dealing, steps


def check_waiting(rows, columns, rule, dealing, steps, *, whole):
    """The kernel's cycles and work against the twin's; returns how many sets there are."""
    lanes, own_lane, fewest = rule
    word_steps = 1 if own_lane else 64 // lanes
    of_rows, of_columns = (
        packed(side, (len(side), len(side[0]), len(side[0][0]), -(-steps // word_steps)), word_steps, lanes)
        for side in (rows, columns)
    )
    slots = (dealing["rows"] * dealing["row_tiles"], dealing["columns"] * dealing["column_tiles"])
    row_rounds, column_rounds = len(range(0, len(rows[0]), slots[0])), len(range(0, len(columns[0]), slots[1]))
    sets = len(range(0, dealing["row_tiles"] * dealing["column_tiles"], dealing["set_tiles"]))
    cycles = np.zeros((sets, len(rows) * row_rounds, 1 if whole else column_rounds), np.int64)
    busy = np.zeros(slots, np.int64)
    rule_of_kernel = PairRule(lanes, own_lane, np.array(fewest))
    wait_for_pairs(of_rows, side_by_side(of_columns), rule_of_kernel, PairDealing(**dealing), cycles, busy)
    expected, own = twins.pair_cycles(rows, columns, rule, dealing)
    table = np.zeros((sets, len(rows) * row_rounds, column_rounds), np.int64)
    for (barrier_set, group, row_round, column_round), taken in expected.items():
        table[barrier_set, group * row_rounds + row_round, column_round] = taken
    assert np.array_equal(cycles, table.sum(axis=2, keepdims=True) if whole else table)
    assert busy.tolist() == [[own.get((row, column), 0) for column in range(slots[1])] for row in range(slots[0])]
    return sets


@given(dealt_pairs(), st.booleans())
def test_wait_for_pairs(case, whole):
    sets = check_waiting(*case, whole=whole)
    event("several sets" if sets > 1 else "one set")


@pytest.mark.parametrize("whole", [False, True])
def test_more_columns_than_are_met_at_once(whole):
    random = np.random.default_rng(5)
    shape = (2 * MOST_COLUMNS + 45, 2, 1, 1)
    rows, columns = (
        [[[[{0} if present else set() for present in chunk[:, 0]] for chunk in unit] for unit in table]]
        for table in (random.random(size) < 0.6 for size in ((3, *shape[1:]), shape))
    )
    dealing = {
        "rows": 2, "columns": 3, "row_tiles": 1, "column_tiles": 3, "set_tiles": 2, "by_chunk": True, "depth": 0
    }  # fmt: skip
    assert check_waiting(rows, columns, (1, False, [0, 0]), dealing, 1, whole=whole) == 2
