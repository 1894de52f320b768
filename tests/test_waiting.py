"""Where cycles are lost: what places wait for."""

from __future__ import annotations

import numpy as np
import pytest

from swatsim.way import waiting


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
