"""Where cycles are lost: positions that meet, and what places wait for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import DENSITIES, randoms

from swatsim.kernels.losses import count_met, waiting


@given(randoms(), st.tuples(*[st.integers(1, 4)] * 4), DENSITIES)
def test_count_met(random, sizes, density):
    groups, rows, columns, elements = sizes
    sides, values = [], []
    for vectors in (rows, columns):
        present = random.random((groups, vectors, elements)) < density
        base = np.arange(groups * vectors).reshape(groups, vectors) * elements
        sides.append((present.reshape(-1).view(np.uint8), base, np.arange(elements)[None]))
        values.append(present)
    expected = sum(
        int((values[0][g, i] & values[1][g, j]).sum()) for g, i, j in np.ndindex(groups, rows, columns)
    )  # fmt: skip
    assert count_met(*sides) == expected


@pytest.mark.parametrize(
    ("totals", "tasks", "compute_cycles", "lost"),
    [
        ([[4, 4], [4, 4]], [[1, 1], [1, 1]], 4, (0, 0, 0)),
        ([[4, 2], [4, 2]], [[1, 1], [1, 1]], 4, (1, 0, 0)),  # one row of each tile has half the work of the other
        ([[4, 4], [2, 2]], [[1, 1], [1, 1]], 4, (0, 1, 0)),  # one tile has
        ([[4, 4], [4, 4]], [[2, 2], [2, 2]], 6, (0, 0, 2)),  # two barriers
        ([[4, 4], [0, 0]], [[1, 1], [0, 0]], 4, (0, 0, 0)),  # a tile that got nothing is an edge
        ([[4, 0], [4, 0]], [[1, 0], [1, 0]], 4, (0, 0, 0)),  # so is a row
        ([[0, 0], [0, 0]], [[0, 0], [0, 0]], 0, (0, 0, 0)),
    ],
)
def test_waiting(totals, tasks, compute_cycles, lost):
    assert waiting(np.array(totals), np.array(tasks), compute_cycles) == lost
