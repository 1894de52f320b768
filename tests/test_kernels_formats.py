"""The kernels that count the fillers of run-length storage, against their twin."""

from __future__ import annotations

import numpy as np
import pytest
import twins_formats as twins
from hypothesis import example, given
from hypothesis import strategies as st
from kernel_cases import DENSITIES, operands, packed_words, randoms

from swatsim.kernels.formats import count_fillers, fillers_within, up_to_highest
from swatsim.kernels.gather import list_runs


def counted(lines, run_bits=4):
    """The fillers of lines that lie one after another."""
    lines = np.asarray(lines)
    fillers = np.full(len(lines), -7)
    base, length = np.arange(len(lines)) * lines.shape[1], lines.shape[1]
    runs, _ = list_runs(np.arange(length), np.array([0, length]))
    count_fillers(packed_words(lines.reshape(-1).tolist()), base, runs, run_bits, fillers)
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
    runs, _ = list_runs(elements, np.array([0, len(elements)]))
    count_fillers(packed_words(present.tolist()), base, runs, 4, fillers)
    vectors = [[present[start + element] for element in elements.tolist()] for start in base.tolist()]
    assert fillers.tolist() == [twins.fillers(vector) for vector in vectors]


@given(randoms(), st.integers(0, 4), st.integers(0, 200), DENSITIES, st.sampled_from([0.0, 0.9]))
def test_fillers_of_lines(random, lines, elements, density, emptied):
    table = random.random((lines, elements)) < density
    table &= random.random((lines, elements)) >= emptied
    assert counted(table) == [twins.fillers(line) for line in table.tolist()]


@given(randoms(), st.integers(0, 8), st.sampled_from([0.01, 0.05, 0.3, 1.0]))
def test_fillers_within_a_word(random, run_bits, density):
    bits = (random.random(64) < density).astype(int).tolist()
    bits[random.integers(64)] = 1
    word = packed_words(bits)[0]
    first, last = bits.index(1), 63 - bits[::-1].index(1)
    zeros = "".join(map(str, bits[first : last + 1])).split("1")
    assert fillers_within(word, run_bits) == sum(len(run) // 2**run_bits for run in zeros)
    assert int(up_to_highest(word)) == 2 ** (last + 1) - 1


@pytest.mark.parametrize(
    "zeros, fillers",
    [(0, 0), (1, 0), (15, 0), (16, 1), (17, 1), (31, 1), (32, 2), (33, 2), (47, 2), (48, 3), (300, 18), (4096, 256)],
)
def test_a_run_takes_a_filler_for_each_sixteen_zeros(zeros, fillers):
    run = [0] * zeros
    lines = [[*run, 1, 0], [1, *run, 1], [*run, 0, 0], [*run, *run]]
    assert [counted([line])[0] for line in lines] == [fillers, fillers, 0, 0]


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
