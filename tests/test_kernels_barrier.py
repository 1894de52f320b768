"""The kernels that let schedules wait for each other, against their twins."""

from __future__ import annotations

import numpy as np
from hypothesis import event, given
from hypothesis import strategies as st
from kernel_cases import dealings, sets_and_rounds
from twins import buffer_cycles, segment_cycles

from swatsim.kernels.barrier import wait_at_buffers, wait_at_segments


def by_set_and_round(set_cycles, groups):
    """{(set, group, round): cycles} of a kernel's result."""
    rounds = set_cycles.shape[1] // groups if groups else 0
    return {
        (barrier_set, column // rounds, column % rounds): int(set_cycles[barrier_set, column])
        for barrier_set, column in np.ndindex(set_cycles.shape)
    }


def of_working_sets(cycles, found):
    """The twin's cycles without the sets of slots that never work, which take none."""
    assert not any(cycles[key] for key in cycles.keys() - found.keys())
    return {key: cycles[key] for key in found}


@given(dealings(), st.integers(0, 4))
def test_wait_at_segments(dealing, segments):
    random, groups, units, slots, set_slots, repeats = dealing
    cycles = random.integers(0, 9, (groups, units, segments))
    set_cycles = np.full(sets_and_rounds(groups, units, slots, set_slots), -7)
    wait_at_segments(cycles, slots, set_slots, repeats, set_cycles)
    found = by_set_and_round(set_cycles, groups)
    expected = segment_cycles(cycles.tolist(), groups, units, slots, set_slots, repeats)
    assert found == of_working_sets(expected, found)


@given(dealings(), st.integers(1, 4))
def test_wait_at_buffers(dealing, runs):
    random, groups, units, slots, set_slots, repeats = dealing
    cycles = random.integers(0, 9, (groups, units, runs))
    after = random.integers(0, runs, (groups, units, runs))
    set_cycles = np.full(sets_and_rounds(groups, units, slots, set_slots), -7)
    wait_at_buffers(cycles, after, slots, set_slots, repeats, set_cycles)
    found = by_set_and_round(set_cycles, groups)
    expected = buffer_cycles(cycles.tolist(), after.tolist(), groups, units, slots, set_slots, repeats)
    assert found == of_working_sets(expected, found)
    event("runs carry over" if runs > 1 and repeats > 1 else "nothing carries over")


def test_a_settled_run_takes_no_walk():
    """A million repeats of a buffer that ends as it begins are a multiplication."""
    cycles, after = np.array([[[5, 3]]]), np.array([[[1, 1]]])
    set_cycles = np.zeros((1, 1), np.int64)
    wait_at_buffers(cycles, after, 1, 1, 10**12, set_cycles)
    assert set_cycles.tolist() == [[5 + 3 * (10**12 - 1)]]
