"""The kernels that read operands, against their twins."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import twins
from hypothesis import example, given
from hypothesis import strategies as st
from kernel_cases import lane_sets, operands, packed_words, randoms

from swatsim.kernels.gather import add_bits, count_by_element, count_in_parts, count_up, gather_words, list_runs

EMPTY = (np.zeros(1, np.uint8), np.zeros(0, np.int64), np.zeros((0, 16), np.int64))
# Two vectors of one step of 64 lanes: the highest lane is the word's highest bit.
FULL = (np.ones(65, np.uint8), np.array([0, 1]), np.arange(64).reshape(1, 64))
# Runs that lie one after another in memory, and do not: in one step, and over the end of one.
RUNS = (np.arange(40) % 3 % 2, np.array([0, 3]), np.array([[0, 1, 2, 20], [21, 22, -1, -1], [-1, 5, 6, 5]]))


def edges_of(offset, steps):
    """Where parts of so many steps begin, and the end of the last one."""
    return np.append(np.arange(0, offset.size, steps * offset.shape[1]), offset.size)


@given(operands(), st.integers(1, 3))
@example(EMPTY, 1)
@example(RUNS, 1)
@example(RUNS, 3)
def test_list_runs(case, steps):
    """Every element of each part once, in as few runs as there are."""
    flat, edges = case[2].reshape(-1), edges_of(case[2], steps)
    runs, first = list_runs(flat, edges)
    found = [runs[start:stop].tolist() for start, stop in pairwise(first)]
    parts = [flat[start:stop].tolist() for start, stop in pairwise(edges)]
    assert found == [twins.runs(part) for part in parts]
    assert first[0] == 0 and first[-1] == len(runs)


@given(operands())
@example(EMPTY)
@example(FULL)
@example(RUNS)
def test_gather_words(case):
    present, base, offset = case
    words = np.full((len(base), len(offset)), 0xDEAD, dtype=np.uint64)
    gather_words(packed_words(present.tolist()), base, *list_runs(offset.reshape(-1), edges_of(offset, 1)), words)
    assert lane_sets(words) == twins.gather(present.tolist(), base.tolist(), offset.tolist())


@given(operands(), st.integers(1, 9))
@example(EMPTY, 1)
@example(FULL, 2)
@example(RUNS, 2)
def test_count_in_parts(case, chunk_steps):
    present, base, offset = case
    expected = twins.chunk_counts(present.tolist(), base.tolist(), offset.tolist(), chunk_steps)
    edges = edges_of(offset, chunk_steps)
    counts = np.full((len(base), len(edges) - 1), -7)
    count_in_parts(packed_words(present.tolist()), base, *list_runs(offset.reshape(-1), edges), counts)
    assert counts.tolist() == expected


@given(operands(), st.integers(1, 9))
@example(EMPTY, 1)
@example(FULL, 1)
@example(RUNS, 2)
@example((np.ones(70, np.uint8), np.zeros(21, np.int64), np.arange(70).reshape(1, 70)), 20)
def test_count_by_element(case, block):
    present, base, offset = case
    elements = np.abs(offset.reshape(-1)) % (len(present) - int(base.max(initial=0)))
    runs, _ = list_runs(elements, np.array([0, len(elements)]))
    counts = np.full((-(-len(base) // block), len(elements)), -7)
    count_by_element(packed_words(present.tolist()), base, runs, block, counts)
    blocks = [base[first : first + block].tolist() for first in range(0, len(base), block)]
    expected = [twins.present_counts(present.tolist(), each, elements.tolist())[1] for each in blocks]
    assert counts.tolist() == expected


@given(randoms(), st.integers(0, 300), st.integers(0, 3))
def test_counts_of_lanes(random, times, plane):
    """64 counters side by side, each of which says in how many of the words its bit was."""
    words = random.integers(0, 2**64, times, dtype=np.uint64)
    planes = np.zeros(64, np.uint64)
    used = max([count_up(planes, plane, word) for word in words], default=0)
    counts = [sum((int(planes[b]) >> i & 1) << b for b in range(64)) for i in range(64)]
    assert counts == [sum(int(word) >> i & 1 for word in words) << plane for i in range(64)]
    assert not any(planes[used:])


@given(randoms())
def test_add_bits(random):
    added = random.integers(0, 2**64, 3, dtype=np.uint64)
    total, carry = map(int, add_bits(*added))
    for i in range(64):
        assert (total >> i & 1) + 2 * (carry >> i & 1) == sum(int(word) >> i & 1 for word in added)


@pytest.mark.parametrize("values", [255, 256, 300])
def test_counts_do_not_wrap_at_a_byte(values):
    tensor, base, offset = packed_words([1] * values), np.zeros(1, np.int64), np.arange(values)
    runs, first = list_runs(offset, np.array([0, values]))
    counts, by_element = np.empty((1, 1), np.int64), np.empty((1, 1), np.int64)
    count_in_parts(tensor, base, runs, first, counts)
    count_by_element(tensor, np.zeros(values, np.int64), np.array([[0, 1, 0]]), values, by_element)
    assert (counts.tolist(), by_element.tolist()) == ([[values]], [[values]])
