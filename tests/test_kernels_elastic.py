"""The kernels that let slots run ahead of each other, against twins that play them cycle by cycle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from kernel_cases import dealings, sets_and_rounds
from twins import elastic_buffer_cycles, play

from swatsim.kernels.barrier import wait_at_buffers, wait_at_segments
from swatsim.kernels.elastic import Waiting, advance, is_as_before, repeat_buffer, start_clocks, wait_elastically


def by_set_and_round(set_cycles, groups):
    """{(set, group, round): cycles} of a kernel's result."""
    rounds = set_cycles.shape[1] // groups if groups else 0
    return {
        (barrier_set, column // rounds, column % rounds): int(set_cycles[barrier_set, column])
        for barrier_set, column in np.ndindex(set_cycles.shape)
    }


@given(dealings(), st.integers(1, 3), st.integers(1, 3), st.integers(0, 4))
def test_wait_elastically(dealing, segments, runs, depth):
    random, groups, units, slots, set_slots, repeats = dealing
    cycles = random.integers(0, 9, (groups, units, segments, runs))
    after = random.integers(0, runs, (groups, units, runs))
    set_cycles = np.full(sets_and_rounds(groups, units, slots, set_slots), -7)
    waiting = Waiting(slots, set_slots, depth)
    wait_elastically(cycles, after, waiting, repeats, set_cycles)
    found = by_set_and_round(set_cycles, groups)
    expected = elastic_buffer_cycles(cycles.tolist(), after.tolist(), groups, units, waiting, repeats)
    assert found == {key: expected[key] for key in found}
    event("runs ahead" if depth and repeats > 1 and units > 1 else "does not run ahead")


@given(st.data(), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 5))
def test_long_repeats_are_those_that_are_walked_through(data, units, segments, runs, depth):
    """What is taken to go on as it did, beside every repeat: cycles, and where the slots stand."""
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    repeats = data.draw(st.integers(20, 150))
    cycles, after = random.integers(0, 12, (units, segments, runs)), random.integers(0, runs, (units, runs))
    leapt, walked = start_clocks(units, depth), start_clocks(units, depth)
    for clocks in (leapt, walked):
        clocks.finished[:] = random.integers(0, 2) * np.arange(units)
        clocks.gates[:] = clocks.finished.max()
    walked.finished[:], walked.gates[:] = leapt.finished, leapt.gates
    total = repeat_buffer(cycles, after, repeats, leapt)
    start = walked.gates[depth]
    for _ in range(repeats):
        work = cycles[np.arange(units), :, walked.runs]
        walked.runs[:] = after[np.arange(units), walked.runs]
        advance(np.ascontiguousarray(work), walked.finished, walked.gates)
    assert total == walked.gates[depth] - start
    assert all(np.array_equal(one, other) for one, other in zip(leapt, walked, strict=True))


def test_a_billion_repeats_are_not_walked_through():
    """Two slots that are slow in turn: with room for one segment, both work all the time."""
    cycles, after = np.array([[[[7], [1]], [[1], [7]]]]), np.zeros((1, 2, 1), np.int64)
    taken = {}
    for depth in (0, 1):
        set_cycles = np.zeros((1, 1), np.int64)
        wait_elastically(cycles, after, Waiting(2, 2, depth), 10**9, set_cycles)
        taken[depth] = int(set_cycles[0, 0])
    assert taken == {0: 14 * 10**9, 1: 8 * 10**9}


@given(st.lists(st.lists(st.integers(-1, 6), min_size=3, max_size=3), min_size=1, max_size=4), st.integers(0, 3))
def test_advance(rows, depth):
    work = np.array([[-1] * 3 if min(row) < 0 else row for row in rows])
    clocks = start_clocks(len(rows), depth)
    ends = []
    for segment in range(3):
        advance(np.ascontiguousarray(work[:, segment : segment + 1]), clocks.finished, clocks.gates)
        ends.append(int(clocks.gates[depth]))
    ended = play({slot: list(enumerate(row)) for slot, row in enumerate(work.tolist()) if row[0] >= 0}, depth)
    assert ends == [max((end for number, end in ended.items() if number <= segment), default=0) for segment in range(3)]


@given(dealings(), st.integers(1, 4))
def test_without_room_it_is_a_barrier(dealing, segments):
    random, groups, units, slots, set_slots, repeats = dealing
    cycles = random.integers(0, 9, (groups, units, segments))
    found, expected = (np.full(sets_and_rounds(groups, units, slots, set_slots), -7) for _ in range(2))
    after = np.zeros((groups, units, 1), np.int64)
    wait_elastically(cycles[..., None], after, Waiting(slots, set_slots, 0), repeats, found)
    wait_at_segments(cycles, slots, set_slots, repeats, expected)
    assert np.array_equal(found, expected)


@given(dealings(), st.integers(1, 4))
def test_without_room_it_is_a_barrier_after_each_buffer(dealing, runs):
    random, groups, units, slots, set_slots, repeats = dealing
    cycles, after = random.integers(0, 9, (groups, units, runs)), random.integers(0, runs, (groups, units, runs))
    found, expected = (np.full(sets_and_rounds(groups, units, slots, set_slots), -7) for _ in range(2))
    wait_elastically(cycles[:, :, None], after, Waiting(slots, set_slots, 0), repeats, found)
    wait_at_buffers(cycles, after, slots, set_slots, repeats, expected)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("changed", ["finished", "gates", "runs"])
def test_is_as_before(changed):
    before, clocks = start_clocks(3, 1), start_clocks(3, 1)
    clocks.finished[:] += 5
    clocks.gates[:] += 5
    assert is_as_before(clocks, before, 3, 5)
    getattr(clocks, changed)[1] += 1
    assert not is_as_before(clocks, before, 3, 5)
    assert is_as_before(clocks, before, 1, 5) == (changed != "gates")


def test_a_slot_without_work_stands_still():
    """Slot 0 has done 5 cycles when slot 1 does its second segment, and goes on from there."""
    finished, gates = np.zeros(2, np.int64), np.zeros(3, np.int64)
    advance(np.array([[5, -1, 2], [1, 9, 1]]), finished, gates)
    assert finished.tolist() == [5 + 2, 1 + 9 + 1]
    assert gates.tolist() == [5, 10, 11]
