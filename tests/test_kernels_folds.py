"""The kernel that runs folds, against one clock for loading and one for streaming."""

from __future__ import annotations

import numpy as np
from hypothesis import event, given
from hypothesis import strategies as st

from swatsim.kernels.folds import run_folds


def twin(folds, streams, tail, overlapped):
    """Cycles of each visit, {(round, stream): cycles}: what passes between the end of one stream and of the next."""
    spent = {(number, stream): 0 for number in range(len(folds)) for stream in range(len(streams))}
    visits = [
        (number, stream, load) for number, loads in enumerate(folds) for stream in range(len(streams)) for load in loads
    ]
    loader, worker = 0, 0  # when the next load may begin, and when the last stream ended
    for number, stream, load in visits:
        loaded = (loader if overlapped else worker) + load
        begins = max(worker, loaded)
        ends = begins + streams[stream] + (0 if overlapped else tail)
        spent[number, stream] += ends - worker
        loader, worker = begins, ends
    if overlapped and visits:
        spent[visits[-1][:2]] += tail
    return spent


@given(
    st.lists(st.lists(st.integers(1, 9), max_size=3), max_size=4),
    st.lists(st.integers(0, 9), min_size=1, max_size=3),
    st.integers(0, 5),
    st.booleans(),
)
def test_run_folds(folds, streams, tail, overlapped):
    cycles = np.full((len(folds), len(streams)), -7)
    first = np.array([0, *np.cumsum([len(loads) for loads in folds])], dtype=np.int64)
    loads = np.array([load for each in folds for load in each], dtype=np.int64)
    run_folds(first, loads, np.array(streams), tail, overlapped, cycles)
    assert {(int(a), int(b)): int(cycles[a, b]) for a, b in np.ndindex(cycles.shape)} == twin(
        folds, streams, tail, overlapped
    )
    event("a load is waited for" if any(load > min(streams) for load in loads) else "loads are hidden")
