"""The most that one core does, as the kernels are compiled: popcounts of words in the cache, and reading memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from swatsim.kernels.compile import kernel

# Two arrays that stay in a first-level cache of 32 KiB or more, at the size at which the loop is fastest.
CACHED_WORDS = 1024
REPEATS = 20_000
# Larger than last-level caches.
MEMORY_WORDS = 32 << 20

_PAIRS, _FOURS, _EIGHTS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)
_BYTES = np.uint64(0x0101010101010101)


@kernel
def count_common(first, second, repeats):  # type: ignore[no-untyped-def]
    """How many bits two arrays have in common, counted again and again: one operation of the processor where it has it.

    LLVM knows the sum by its form, and makes it a loop of vector popcounts.
    """
    total = np.uint64(0)
    for _ in range(repeats):
        for index in range(first.size):
            word = first[index] & second[index]
            word -= (word >> np.uint64(1)) & _PAIRS
            word = (word & _FOURS) + ((word >> np.uint64(2)) & _FOURS)
            word = (word + (word >> np.uint64(4))) & _EIGHTS
            total += (word * _BYTES) >> np.uint64(56)
    return total


@kernel
def read_all(words):  # type: ignore[no-untyped-def]
    """Touch every word once, in order."""
    total = np.uint64(0)
    for index in range(words.size):
        total ^= words[index]
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """One of them: how much a call of it does, of what."""

    name: str
    unit: str
    call: Callable[[], Any]
    work: int


def popcount_roofline() -> Roofline:
    """Multiply positions: a bit of two words each."""
    random = np.random.RandomState(1)
    first, second = (random.randint(0, 1 << 63, CACHED_WORDS, np.uint64) for _ in range(2))
    return Roofline(
        name="popcount", unit="positions", call=lambda: count_common(first, second, REPEATS),
        work=CACHED_WORDS * REPEATS * 64,
    )  # fmt: skip


def memory_roofline() -> Roofline:
    """Bytes that are read."""
    words = np.ones(MEMORY_WORDS, np.uint64)
    return Roofline(name="memory", unit="bytes", call=lambda: read_all(words), work=words.nbytes)
