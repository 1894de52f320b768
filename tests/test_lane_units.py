"""Operands in the words of chunks, against sets of steps and lanes."""

from __future__ import annotations

import numpy as np
import twins
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import lane_sets, operands, packed_words

from swatsim.datapaths.lanes.units import pack_side
from swatsim.kernels.gather import ChunkShape
from swatsim.mapping import count_chunks
from swatsim.sides import Reduction, Side, TouchedBy, filter_lines


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
    packed = pack_side(side, offset, ChunkShape(chunk_steps, word_steps), unit_rows)
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
