"""The kernels that count what rows have left in chunks of steps, against their twins."""

from __future__ import annotations

import numpy as np
import twins
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import buffers, lane_sets, to_words

from swatsim.kernels.streams import count_by_lane, fullest_group, unite_rows


@given(buffers(most_rows=7), st.integers(1, 4))
def test_unite_rows(case, unit_rows):
    rows, steps, _ = case
    united = np.full((len(range(0, len(rows), unit_rows)), steps), 0xDEAD, np.uint64)
    unite_rows(to_words(rows, steps), unit_rows, united)
    assert lane_sets(united) == twins.united(rows, unit_rows)


@given(buffers(), st.integers(1, 10))
def test_count_by_lane(case, chunk_steps):
    rows, steps, lanes = case
    counts = np.full((len(rows), len(range(0, steps, chunk_steps)), lanes), -7)
    count_by_lane(to_words(rows, steps), chunk_steps, counts)
    assert counts.tolist() == [twins.lane_counts(row, chunk_steps, lanes) for row in rows]


@given(buffers(most_rows=7), st.integers(1, 10), st.integers(1, 4), st.data())
def test_fullest_group(case, chunk_steps, unit_rows, data):
    rows, steps, lanes = case
    group_lanes = data.draw(st.sampled_from([size for size in range(1, lanes + 1) if lanes % size == 0]))
    units = [rows[first : first + unit_rows] for first in range(0, len(rows), unit_rows)]
    fullest = np.full((len(units), len(range(0, steps, chunk_steps))), -7)
    fullest_group(to_words(rows, steps), (group_lanes, chunk_steps, unit_rows), fullest)
    assert fullest.tolist() == [
        np.max([twins.fullest_groups(row, group_lanes, chunk_steps) for row in unit], axis=0).tolist() for unit in units
    ]
