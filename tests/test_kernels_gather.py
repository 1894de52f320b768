"""The kernels that read operands, against their twins."""

from __future__ import annotations

import numpy as np
import pytest
import twins
from hypothesis import example, given
from hypothesis import strategies as st
from kernel_cases import lane_sets, operands

from swatsim.kernels.gather import ChunkShape, count_in_chunks, count_present, gather_chunks, gather_words

EMPTY = (np.zeros(1, np.uint8), np.zeros(0, np.int64), np.zeros((0, 16), np.int64))
# Two vectors of one step of 64 lanes: the highest lane is the word's highest bit.
FULL = (np.ones(65, np.uint8), np.array([0, 1]), np.arange(64).reshape(1, 64))


@given(operands())
@example(EMPTY)
@example(FULL)
def test_gather_words(case):
    present, base, offset = case
    words = np.full((len(base), len(offset)), 0xDEAD, dtype=np.uint64)
    gather_words(present, base, offset, words)
    assert lane_sets(words) == twins.gather(present.tolist(), base.tolist(), offset.tolist())


@given(operands(), st.integers(1, 9))
@example(EMPTY, 1)
@example(FULL, 2)
def test_count_in_chunks(case, chunk_steps):
    present, base, offset = case
    expected = twins.chunk_counts(present.tolist(), base.tolist(), offset.tolist(), chunk_steps)
    counts = np.full((len(base), len(range(0, len(offset), chunk_steps))), -7)
    count_in_chunks(present, base, offset, chunk_steps, counts)
    assert counts.tolist() == expected


@given(operands(), st.integers(1, 9), st.data())
def test_gather_chunks(case, chunk_steps, data):
    present, base, offset = case
    lanes = offset.shape[1]
    word_steps = data.draw(st.integers(1, max(1, 64 // lanes)))
    shape = (len(base), len(range(0, len(offset), chunk_steps)), -(-chunk_steps // word_steps))
    words = np.full(shape, 0xDEAD, dtype=np.uint64)
    gather_chunks(present, base, offset, ChunkShape(chunk_steps, word_steps), words)
    expected = twins.packed_chunks(present.tolist(), base.tolist(), offset.tolist(), chunk_steps, word_steps)
    bits = [[[{step * lanes + lane for step, lane in word} for word in chunk] for chunk in each] for each in expected]
    assert [lane_sets(vector) for vector in words] == bits


@given(operands())
@example(EMPTY)
@example(FULL)
def test_count_present(case):
    present, base, offset = case
    elements = np.abs(offset.reshape(-1)) % (len(present) - int(base.max(initial=0)))
    by_vector, by_element = np.full(len(base), -7), np.full(len(elements), -7)
    count_present(present, base, elements, by_vector, by_element)
    expected = twins.present_counts(present.tolist(), base.tolist(), elements.tolist())
    assert (by_vector.tolist(), by_element.tolist()) == expected


@pytest.mark.parametrize("values", [255, 256, 300])
def test_counts_do_not_wrap_at_a_byte(values):
    """Presence is stored in bytes; their sum must not be."""
    present, base, offset = np.ones(values, np.uint8), np.zeros(1, np.int64), np.arange(values).reshape(-1, 1)
    by_vector, by_element, chunks = np.empty(1, np.int64), np.empty(values, np.int64), np.empty((1, 1), np.int64)
    count_present(present, base, offset.reshape(-1), by_vector, by_element)
    count_in_chunks(present, base, offset, values, chunks)
    assert (by_vector.tolist(), chunks.tolist(), set(by_element.tolist())) == ([values], [[values]], {1})
