"""Lines that blocks of vectors touch: tied intervals and any others, against sets of lines."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from swatsim.kernels.touched import sum_lines, tie_intervals, tied_bytes, touched_bytes


@st.composite
def lines_and_intervals(draw, *, ordered):
    count = draw(st.integers(1, 12))
    lines = [draw(st.lists(st.integers(0, 50), min_size=count, max_size=count)) for _ in range(2)]
    new = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    edges = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(1, 4)), min_size=1, max_size=10))
    intervals = [(start, min(start + length, count)) for start, length in edges]
    if ordered:
        intervals = list(
            zip(sorted(start for start, _ in intervals), sorted(stop for _, stop in intervals), strict=True)
        )
    numbers = st.tuples(st.integers(0, len(intervals) - 1), st.integers(0, len(intervals) - 1)).map(sorted)
    return lines, new, intervals, draw(st.lists(numbers, min_size=1, max_size=6))


def prepared(lines, new, intervals):
    of, sums = np.array(intervals, np.int64), np.empty((len(new) + 1, 3), np.int64)
    sum_lines(*(np.array(each, np.int64) for each in lines), np.array(new), sums)
    return of, sums


def expected(lines, new, intervals, blocks):
    """Bytes off chip, held and arriving, and runs, of each block."""
    for first, last in blocks:
        touched = {line for start, stop in intervals[first : last + 1] for line in range(start, stop)}
        missing = [line for line in touched if new[line]]
        yield [
            sum(lines[0][line] for line in missing), sum(lines[1][line] for line in touched),
            sum(lines[1][line] for line in missing), sum(line - 1 not in touched for line in touched),
        ]  # fmt: skip


@given(lines_and_intervals(ordered=False))
def test_lines_of_any_intervals_count_once(case):
    lines, new, intervals, blocks = case
    of, sums = prepared(lines, new, intervals)
    stamp, loaded = np.zeros(len(new) + 2, np.int64), np.full((len(blocks), 4), -1)
    for number, edges in enumerate(blocks):
        touched_bytes(of, sums, (stamp, number + 1), tuple(edges), loaded[number])
    assert loaded.tolist() == list(expected(*case))


@given(lines_and_intervals(ordered=True))
def test_ordered_intervals_are_tied_and_count_the_same(case):
    lines, new, intervals, blocks = case
    of, sums = prepared(lines, new, intervals)
    tied, loaded = np.full((len(intervals), 4), -1), np.full((len(blocks), 4), -1)
    assert tie_intervals(of, sums, tied)
    for number, edges in enumerate(blocks):
        tied_bytes(of, sums, tied, tuple(edges), loaded[number])
    assert loaded.tolist() == list(expected(*case))


def test_what_is_out_of_order_or_empty_is_not_tied():
    sums = np.zeros((9, 3), np.int64)
    for intervals in ([(2, 4), (1, 5)], [(2, 6), (3, 5)], [(2, 2), (3, 5)], [(3, 5), (5, 5)]):
        assert not tie_intervals(np.array(intervals, np.int64), sums, np.empty((2, 4), np.int64))
