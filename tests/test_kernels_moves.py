"""The kernels that schedule by moves, and the tables that they take, against their twins."""

from __future__ import annotations

import numpy as np
import twins
from hypothesis import event, given
from hypothesis import strategies as st
from kernel_cases import buffers, lane_sets, rules, to_words

from swatsim.datapaths.lanes.moves import make_moves
from swatsim.kernels.moves import (
    beat_rivals,
    begin_step,
    count_candidates,
    end_step,
    fill_in_order,
    fill_most_candidates,
    lay_fields,
    rotate,
    rotate_back,
)

WORD = np.uint64


@st.composite
def scheduled_buffers(draw, most_rows=4):
    """A buffer and a rule for its lanes."""
    rows, steps, lanes = draw(buffers(most_rows))
    return rows, steps, *draw(rules(lanes))


@st.composite
def reached_steps(draw):
    """One of the steps of a buffer whose rows lie in words, each a unit, and the moves for its lanes."""
    sets, steps, moves, lane_order = draw(scheduled_buffers(most_rows=7))
    return sets, steps, tuple(moves), tuple(lane_order), draw(st.integers(0, steps - 1))


def words_of(sets, lanes, unit_rows, spare_rows):
    """What `twins.laid_out` says, and rows of zeros after it."""
    steps = twins.laid_out(sets, lanes, unit_rows)
    words = np.zeros((len(steps) + spare_rows, len(steps[0])), WORD)
    words[: len(steps)] = to_words(steps, len(steps[0]))
    return words


def filled(row, steps):
    """What a twin's row holds, as sets of lanes by step."""
    return [{lane for at, lane in row if at == step} for step in range(steps)]


def after_filling(sets, steps, moves, lane_order, step, most_candidates):
    """What `step` has been filled with, and what the later ones have left, by the kernel, and by the twin."""
    lanes = len(lane_order)
    unit_rows = 64 // lanes
    made = make_moves(moves, lane_order, most_candidates, unit_rows)
    words = words_of(sets, lanes, unit_rows, made.lookahead)
    idle = ~words[step]
    if made.rivals is None:
        fill_in_order(words, step, made.rule.takes, idle)
    else:
        scratch = np.full((3 + made.rule.count_bits, idle.size), 0xDEAD, WORD)
        fill_most_candidates(words, step, made.rule.takes, made.rivals, idle, scratch)
    words[step] = ~idle
    rows = [twins.row_of(row) for row in sets]
    for row in rows:
        if most_candidates:
            twins.fill_most(row, step, lanes, moves)
        else:
            twins.fill_fixed(row, step, lane_order, moves)
    event("moved" if any(place != origin for row in rows for place, origin in row.items()) else "nothing moved")
    expected = words_of([filled(row, steps) for row in rows], lanes, unit_rows, made.lookahead)
    return lane_sets(words), lane_sets(expected)


@given(reached_steps())
def test_fill_in_order(case):
    words, expected = after_filling(*case, most_candidates=False)
    assert words == expected


@given(reached_steps())
def test_fill_most_candidates(case):
    words, expected = after_filling(*case, most_candidates=True)
    assert words == expected


@given(reached_steps())
def test_lanes_that_are_served_at_once(case):
    sets, _, moves, lane_order, step = case
    lanes = len(lane_order)
    made = make_moves(moves, lane_order, True, 1)
    words = words_of(sets, lanes, 1, made.lookahead)
    counts = np.full((made.rule.count_bits + 1, len(sets)), 0xDEAD, WORD)
    count_candidates(words, step, made.rule.takes, ~words[step], counts)
    expected = [twins.candidate_counts(twins.row_of(row), step, lanes, moves) for row in sets]
    assert [
        {
            lane: count
            for lane in range(64)
            if (count := sum((int(bits) >> lane & 1) << bit for bit, bits in enumerate(row)))
        }
        for row in counts[:-1].T
    ] == expected
    if made.rivals is not None:
        first = np.bitwise_or.reduce(counts[:-1])
        beat_rivals(counts, made.rivals, first, np.full(len(sets), 0xDEAD, WORD))
        distances = {one - other for ahead, one in moves for as_far, other in moves if ahead == as_far}
        assert lane_sets(first[:, None]) == [
            [twins.served_at_once(row, {apart for apart in distances if apart % lanes}, lanes)] for row in expected
        ]


@given(buffers(most_rows=1), st.integers(-63, 63))
def test_turns(case, aside):
    (sets,), _, lanes = case
    made = make_moves(((1, aside),), tuple(range(lanes)), False, 1)
    ((_, every, *turn),) = made.rule.takes
    fields = range(0, 64 - lanes + 1, lanes)
    row = [lane in sets[0] for lane in range(lanes)]

    def word(field):
        return WORD(sum(int(value) << first + lane for first in fields for lane, value in enumerate(field)))

    assert every == word([True] * lanes)
    assert rotate(word(row), *turn) == word(twins.turned(row, aside))
    assert rotate_back(word(row), *turn) == word(twins.turned(row, -aside))


@given(buffers(most_rows=7), st.integers(1, 5))
def test_lay_fields(case, unit_rows):
    sets, steps, lanes = case
    expected = twins.laid_out(sets, lanes, unit_rows)
    words = np.zeros((steps, len(expected[0])), WORD)
    lay_fields(to_words(sets, steps), lanes, unit_rows, words)
    assert lane_sets(words) == expected


@given(buffers(most_rows=6), st.integers(1, 3), st.integers(0, 3))
def test_steps_without_moves(case, parts, longest):
    """Units whose lanes find nothing: what is passed when it is reached is dropped afterwards."""
    sets, steps, lanes = case
    sets = sets * parts
    units = len(sets) // parts
    passed, filled_units = np.zeros(units, WORD), np.zeros(units, WORD)
    counters, idle = np.zeros((3, units), WORD), np.zeros(len(sets), WORD)
    for step, here in enumerate(to_words(sets, steps).T.copy()):
        begin_step(here, passed, WORD(longest), filled_units, idle)
        whole = np.tile(filled_units, parts)
        assert (idle == (whole & ~here)).all()
        end_step(step, idle, filled_units, WORD(longest), counters)
    for unit in range(units):
        rows = [twins.row_of(row) for row in sets[unit::units]]
        count, run = twins.surviving(rows, steps, lanes, longest, 0)
        first = next((step for step in range(steps) if not twins.empty_in_all(rows, step, lanes)), steps)
        assert (counters[:, unit].tolist(), int(passed[unit])) == ([count, run, first], run)


@given(scheduled_buffers(most_rows=9), st.integers(1, 5), st.booleans())
def test_schedule_units(case, unit_rows, most_candidates):
    sets, steps, moves, lane_order = case
    made = make_moves(tuple(moves), tuple(lane_order), most_candidates, unit_rows)
    units = [sets[first : first + unit_rows] for first in range(0, len(sets), unit_rows)]
    cycles, after = (np.full((len(units), made.lookahead + 1), -7) for _ in range(2))
    made.schedule(to_words(sets, steps), cycles, after)
    for unit, members in enumerate(units):
        rows = [twins.row_of(row) for row in members]
        twins.compact(rows, steps, lane_order, moves, most_candidates)
        expected = [
            twins.surviving(rows, steps, len(lane_order), made.lookahead, run) for run in range(made.lookahead + 1)
        ]
        assert list(zip(cycles[unit].tolist(), after[unit].tolist(), strict=True)) == expected


def test_no_steps():
    made = make_moves(((2, 0), (2, 1)), tuple(range(16)), True, 2)
    cycles, after = np.full((1, 3), -7), np.full((1, 3), -7)
    made.schedule(np.empty((2, 0), WORD), cycles, after)
    assert (cycles.tolist(), after.tolist()) == ([[0, 0, 0]], [[0, 1, 2]])


def test_lanes_that_no_move_brings_together_try_a_move_at_once():
    """The order of arch/tensordash.yaml: six sets of lanes; a set begins before the one before has tried all moves."""
    moves = ((1, -1), (1, 0), (1, 1), (1, 3), (2, -2), (2, 0), (2, 2))
    by_sets = make_moves(moves, (0, 5, 10, 1, 6, 11, 2, 7, 12, 3, 8, 13, 4, 9, 14, 15), False, 4)
    assert (len(by_sets.rule.takes), by_sets.rivals) == (30, None)
    one_by_one = make_moves(moves, tuple(range(16)), False, 4)
    assert 30 < len(one_by_one.rule.takes) < 16 * 7


def test_lanes_half_way_around_are_rivals():
    """Both lanes reach the one value: on a tie the lower one takes it, though it is the first choice of the other."""
    made = make_moves(((1, 0), (1, 1)), (0, 1), True, 1)
    assert made.rivals is not None
    words, idle = np.array([[0], [2]], WORD), np.array([3], WORD)
    fill_most_candidates(words, 0, made.rule.takes, made.rivals, idle, np.zeros((5, 1), WORD))
    assert (words[1, 0], idle[0]) == (0, 2)


def test_a_step_is_passed_where_all_places_of_a_unit_are_empty():
    """Three units of two places each: values in the second place alone, none, and none once too often."""
    here = np.array([0, 0, 0, 0b101, 0, 0], dtype=np.uint64)
    passed, filled, idle = np.array([0, 0, 1], np.uint64), np.zeros(3, np.uint64), np.zeros(6, np.uint64)
    begin_step(here, passed, np.uint64(1), filled, idle)
    every = (1 << 64) - 1
    assert passed.tolist() == [0, 1, 0]
    assert filled.tolist() == [every, 0, every]
    assert idle.tolist() == [every, 0, every, every ^ 0b101, 0, every]
