"""The kernel that lets rows of bits meet, against sets of positions."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import DENSITIES, randoms

from swatsim.kernels.row_convolution import meet_rows


def positions(words):
    """The places of the ones of a row of words."""
    return {
        64 * number + bit for number, word in enumerate(words) for bit in range(64) if int(word) >> bit & 1
    }  # fmt: skip


def random_words(random, shape, density):
    bits = random.random((*shape, 64)) < density
    return np.packbits(bits, axis=-1, bitorder="little").view(np.uint64)[..., 0]


@given(randoms(), st.tuples(*[st.integers(1, 4)] * 6), DENSITIES)
def test_meet_rows(random, sizes, density):
    vectors, units, turns, words, *places = sizes
    gradients = random_words(random, (vectors, words), density)
    partners = random_words(random, (units, turns, words), 0.5)
    slowest = np.full((-(-vectors // places[0]), -(-units // places[1])), -7)
    totals = np.zeros((*places, len(slowest)), np.int64)
    meet_rows(gradients, partners, tuple(places), slowest, totals)
    expected = {
        (vector, unit): sum(len(positions(gradients[vector]) & positions(plane)) for plane in partners[unit])
        for vector, unit in np.ndindex(vectors, units)
    }
    for turn, unit_turn in np.ndindex(slowest.shape):
        dealt = [
            cycles for (vector, unit), cycles in expected.items()
            if (vector // places[0], unit // places[1]) == (turn, unit_turn)
        ]  # fmt: skip
        assert slowest[turn, unit_turn] == max(dealt)
    for row, column, turn in np.ndindex(totals.shape):
        assert totals[row, column, turn] == sum(
            cycles for (vector, unit), cycles in expected.items()
            if (vector % places[0], unit % places[1], vector // places[0]) == (row, column, turn)
        )  # fmt: skip
