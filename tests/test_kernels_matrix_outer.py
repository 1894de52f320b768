"""The kernel of condensed outer products, against sums."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import randoms

from swatsim.kernels.matrix_outer import multiply_pieces


@given(randoms(), st.tuples(*[st.integers(0, 5)] * 3))
def test_multiply_pieces(random, sizes):
    rows, columns, elements = sizes
    first, second = (random.integers(0, 5, (count, elements)).astype(np.int32) for count in (rows, columns))
    cycles = np.full((rows, columns), -7)
    multiply_pieces(first, second, cycles)
    for i, j in np.ndindex(cycles.shape):
        assert cycles[i, j] == sum(int(a) * int(b) for a, b in zip(first[i], second[j], strict=True))
