"""The kernel of the load, compute and store engines, against a simulation by events."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twins import Engines

from swatsim.kernels.engines import run_blocks


def cycles_of(load, compute, store, latency):
    arrays = (np.array(work, dtype=np.int64) for work in (load, compute, store))
    return int(run_blocks(*arrays, latency))


TIMES = st.one_of(st.just(0), st.integers(0, 12))
BLOCKS = st.lists(st.tuples(TIMES, TIMES, TIMES), max_size=9)


@given(BLOCKS, st.integers(0, 7))
def test_run_blocks(blocks, latency):
    load, compute, store = ([block[engine] for block in blocks] for engine in range(3))
    assert cycles_of(load, compute, store, latency) == Engines(load, compute, store, latency).run()


@pytest.mark.parametrize(
    ("load", "compute", "store", "expected"),
    [
        ([], [], [], 0),
        ([4], [5], [6], 4 + 3 + 5 + 6 + 3),
        # Computation hides every transfer but the first load and the last store.
        ([2, 2, 2], [9, 9, 9], [1, 1, 1], 2 + 3 + 27 + 1 + 3),
        # Transfers hide every computation: the channel never rests.
        ([9, 9, 9], [1, 1, 1], [9, 9, 9], 54 + 3),
        ([0, 0], [5, 5], [0, 0], 10),
    ],
)
def test_closed_forms(load, compute, store, expected):
    assert cycles_of(load, compute, store, latency=3) == expected
