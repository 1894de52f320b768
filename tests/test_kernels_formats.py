"""The kernels that count the fillers of run-length storage, against their twin."""

from __future__ import annotations

import numpy as np
import pytest
import twins_formats as twins
from hypothesis import example, given
from hypothesis import strategies as st
from kernel_cases import DENSITIES, operands, randoms

from swatsim.kernels.formats import count_fillers, count_line_fillers


def counted(lines, run_bits=4):
    fillers = np.full(len(lines), -7)
    count_line_fillers(lines, run_bits, fillers)
    return fillers.tolist()


@given(operands(), st.sampled_from([0.0, 0.9, 0.99]))
@example((np.zeros(1, np.uint8), np.zeros(0, np.int64), np.zeros((0, 16), np.int64)), 0.0)
@example((np.ones(65, np.uint8), np.array([0, 1]), np.arange(64).reshape(1, 64)), 0.0)
def test_count_fillers(case, emptied):
    present, base, offset = case
    elements = np.abs(offset.reshape(-1)) % (len(present) - int(base.max(initial=0)))
    # Runs of zeros that are longer than what an entry counts.
    present[np.random.default_rng(len(elements)).random(len(present)) < emptied] = 0
    fillers = np.full(len(base), -7)
    count_fillers(present, base, elements, 4, fillers)
    vectors = [[present[start + element] for element in elements.tolist()] for start in base.tolist()]
    assert fillers.tolist() == [twins.fillers(vector) for vector in vectors]


@given(randoms(), st.integers(0, 4), st.integers(0, 200), DENSITIES, st.sampled_from([0.0, 0.9]))
def test_count_line_fillers(random, lines, elements, density, emptied):
    table = random.random((lines, elements)) < density
    table &= random.random((lines, elements)) >= emptied
    expected = [twins.fillers(line) for line in table.tolist()]
    assert counted(table) == counted(table.view(np.uint8)) == counted(np.asfortranarray(table)) == expected


@pytest.mark.parametrize(
    "zeros, fillers",
    [(0, 0), (1, 0), (15, 0), (16, 1), (17, 1), (31, 1), (32, 2), (33, 2), (47, 2), (48, 3), (300, 18), (4096, 256)],
)
def test_a_run_takes_a_filler_for_each_sixteen_zeros(zeros, fillers):
    run = [0] * zeros
    lines = [[*run, 1, 0], [1, *run, 1], [*run, 0, 0], [*run, *run]]
    assert [counted(np.array([line], np.uint8))[0] for line in lines] == [fillers, fillers, 0, 0]


def test_a_run_starts_anew_after_each_value_and_in_each_line():
    """Fifteen zeros, over and over, take none; nor does a run that only two lines together make."""
    assert counted(np.tile(np.eye(1, 16, 15, dtype=np.uint8), (2, 20))) == [0, 0]
    lines = np.zeros((2, 20), np.uint8)
    lines[1, 10] = 1
    assert counted(lines) == [0, 0]


@pytest.mark.parametrize("run_bits", [0, 1, 2, 5, 8])
def test_runs_of_other_counters(run_bits):
    line = np.zeros((1, 1000), np.uint8)
    line[0, -1] = 1
    assert counted(line, run_bits) == [999 // 2**run_bits]


def test_fillers_are_the_entries_that_an_encoder_adds():
    """The twin itself against the encoder of the formats' tests."""
    random = np.random.default_rng(11)
    for density in (0.0, 0.01, 0.05, 0.2, 1.0):
        values = (random.random(2000) < density).astype(int).tolist()
        assert twins.fillers(values) == len(twins.run_length_entries(values)) - sum(values)
