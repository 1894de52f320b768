"""The kernels of condensed outer products, against lists of what is present."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import operands, randoms

from swatsim.kernels.matrix_outer import count_pieces, multiply_pieces


@given(operands(), st.integers(1, 4), st.integers(1, 4))
def test_count_pieces(operand, block, piece):
    present, base, steps = operand
    offset = np.where(steps < 0, 0, steps).reshape(-1)
    pieces = np.full((-(-len(base) // block), offset.size), -7, np.int32)
    count_pieces(present, base, offset, block, piece, pieces)
    for number, element in np.ndindex(pieces.shape):
        members = [start for start in base[number * block : (number + 1) * block] if present[start + offset[element]]]
        assert pieces[number, element] == len(range(0, len(members), piece))


@given(randoms(), st.tuples(*[st.integers(0, 5)] * 3))
def test_multiply_pieces(random, sizes):
    rows, columns, elements = sizes
    first, second = (random.integers(0, 5, (count, elements)).astype(np.int32) for count in (rows, columns))
    cycles = np.full((rows, columns), -7)
    multiply_pieces(first, second, cycles)
    for i, j in np.ndindex(cycles.shape):
        assert cycles[i, j] == sum(int(a) * int(b) for a, b in zip(first[i], second[j], strict=True))
