"""Count the placeholder entries of run-length storage."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.bits import ALL, ONE, WORD_BITS, count_ones, read_bits
from swatsim.kernels.compile import kernel

ZERO = np.uint64(0)


@kernel
def up_to_highest(word: np.uint64) -> np.uint64:
    """All bits up to the highest one that is set."""
    for power in range(6):
        word |= word >> (ONE << np.uint64(power))
    return word


@kernel
def fillers_within(word: np.uint64, run_bits: int) -> np.int64:
    """The fillers between the values of one word."""
    zeros = up_to_highest(word) & ~word & ~(word ^ (word - ONE))
    if run_bits >= 6 or zeros == ZERO:
        return np.int64(0)
    for power in range(run_bits):
        zeros &= zeros >> (ONE << np.uint64(power))
    count = np.int64(0)
    while zeros != ZERO and word & (word - ONE) != ZERO:
        lowest, word = count_ones(~word & (word - ONE)), word & (word - ONE)
        count += (count_ones(~word & (word - ONE)) - lowest - 1) >> run_bits
    return count


@kernel
def count_fillers(
    tensor: NDArray[np.uint64],
    base: NDArray[np.int64],
    runs: NDArray[np.int64],
    run_bits: int,
    fillers: NDArray[np.int64],
) -> None:
    """Set fillers[vector] of vectors of a single part (`gather`).

    An entry's `run_bits` bits count the zeros before it, so 1 << run_bits zeros in a row are a filler: an entry
    of its own whose value is zero. The zeros after the last value present take none.
    """
    for vector in range(base.shape[0]):
        zeros, count = np.int64(0), np.int64(0)  # zeros since the last value present
        for run in range(runs.shape[0]):
            for at in range(0, runs[run, 1], WORD_BITS):
                length = min(WORD_BITS, runs[run, 1] - at)
                word = read_bits(tensor, base[vector] + runs[run, 0] + at) & (ALL >> np.uint64(WORD_BITS - length))
                if word == ZERO:
                    zeros += length
                    continue
                count += (zeros + count_ones(~word & (word - ONE))) >> run_bits
                count += fillers_within(word, run_bits)
                zeros = length - count_ones(up_to_highest(word))
        fillers[vector] = count
