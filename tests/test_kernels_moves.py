"""The kernels that schedule by moves, against their twins."""

from __future__ import annotations

import numpy as np
import twins
from hypothesis import event, given
from hypothesis import strategies as st
from kernel_cases import buffers, lane_sets, rules, to_words

from swatsim.kernels.moves import (
    MoveRule,
    compact_rows,
    count_surviving_steps,
    fill_in_lane_order,
    fill_most_candidates,
    schedule_units,
)

INTEGER = np.int64


@st.composite
def scheduled_buffers(draw, most_rows=4):
    """A buffer and a rule for its lanes."""
    rows, steps, lanes = draw(buffers(most_rows))
    return rows, steps, *draw(rules(lanes))


def filled(row, steps):
    """What a twin's row holds, as sets of lanes by step."""
    return [{lane for at, lane in row if at == step} for step in range(steps)]


@given(scheduled_buffers(most_rows=1), st.data())
def test_fill_in_lane_order(case, data):
    (sets,), steps, moves, lane_order = case
    step = data.draw(st.integers(0, steps - 1))
    words, row = to_words([sets], steps), twins.row_of(sets)
    fill_in_lane_order(words[0], step, np.array(lane_order, INTEGER), np.array(moves, INTEGER))
    twins.fill_fixed(row, step, lane_order, moves)
    assert lane_sets(words)[0] == filled(row, steps)


@given(scheduled_buffers(most_rows=1), st.data())
def test_fill_most_candidates(case, data):
    (sets,), steps, moves, lane_order = case
    step = data.draw(st.integers(0, steps - 1))
    words, row = to_words([sets], steps), twins.row_of(sets)
    fill_most_candidates(words[0], step, np.array(lane_order, INTEGER), np.array(moves, INTEGER))
    twins.fill_most(row, step, len(lane_order), moves)
    assert lane_sets(words)[0] == filled(row, steps)


@given(scheduled_buffers(), st.booleans())
def test_compact_rows(case, most_candidates):
    sets, steps, moves, lane_order = case
    words, rows = to_words(sets, steps), [twins.row_of(row) for row in sets]
    compact_rows(words, np.array(lane_order, INTEGER), np.array(moves, INTEGER), most_candidates)
    twins.compact(rows, steps, lane_order, moves, most_candidates)
    assert lane_sets(words) == [filled(row, steps) for row in rows]
    event("moved" if any(place != origin for row in rows for place, origin in row.items()) else "nothing moved")


@given(buffers(), st.integers(0, 3))
def test_count_surviving_steps(case, longest):
    sets, steps, lanes = case
    cycles, after = np.full(longest + 1, -7), np.full(longest + 1, -7)
    count_surviving_steps(to_words(sets, steps), cycles, after)
    rows = [twins.row_of(row) for row in sets]
    expected = [twins.surviving(rows, steps, lanes, longest, run) for run in range(longest + 1)]
    assert list(zip(cycles.tolist(), after.tolist(), strict=True)) == expected


@given(scheduled_buffers(most_rows=7), st.integers(1, 4), st.booleans())
def test_schedule_units(case, unit_rows, most_candidates):
    sets, steps, moves, lane_order = case
    longest = max(ahead for ahead, _ in moves)
    units = [sets[first : first + unit_rows] for first in range(0, len(sets), unit_rows)]
    cycles, after = (np.full((len(units), longest + 1), -7) for _ in range(2))
    rule = MoveRule(np.array(moves, INTEGER), np.array(lane_order, INTEGER), most_candidates)
    schedule_units(to_words(sets, steps), rule, unit_rows, cycles, after)
    for unit, members in enumerate(units):
        rows = [twins.row_of(row) for row in members]
        twins.compact(rows, steps, lane_order, moves, most_candidates)
        expected = [twins.surviving(rows, steps, len(lane_order), longest, run) for run in range(longest + 1)]
        assert list(zip(cycles[unit].tolist(), after[unit].tolist(), strict=True)) == expected


def test_no_units():
    rule = MoveRule(np.array([[1, 0]]), np.arange(16), False)
    cycles, after = np.empty((0, 2), INTEGER), np.empty((0, 2), INTEGER)
    schedule_units(np.empty((0, 5), np.uint64), rule, 4, cycles, after)


def test_no_steps():
    cycles, after = np.full(3, -7), np.full(3, -7)
    words = np.empty((2, 0), np.uint64)
    compact_rows(words, np.arange(16), np.array([[2, 0]]), False)
    count_surviving_steps(words, cycles, after)
    assert (cycles.tolist(), after.tolist()) == ([0, 0, 0], [0, 1, 2])


def test_full_words_of_64_lanes_stay_as_they_are():
    words = np.full((1, 3), np.iinfo(np.uint64).max, np.uint64)
    compact_rows(words, np.arange(64), np.array([[1, 0], [2, 5]]), True)
    assert (words == np.iinfo(np.uint64).max).all()
