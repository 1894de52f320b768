"""Caches that share a budget of bytes, and what a simulation holds for each image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from benchmarks.counters import MOST_WINDOW_BYTES, window_bytes
from swatsim import caches
from swatsim.caches import array_bytes, bounded_cache
from swatsim.sides import TouchedBy


class Pair(NamedTuple):
    number: int
    array: np.ndarray


@pytest.fixture
def made(monkeypatch):
    """A cached function with room for about two of its results, and what it was called with."""
    calls = []

    @bounded_cache
    def zeros(size, *, more=0):
        calls.append(size)
        return np.zeros(size + more, dtype=np.uint8)

    monkeypatch.setattr(caches, "_room", caches._Room())
    monkeypatch.setattr(caches, "MOST_KEPT_BYTES", 250_000)
    return zeros, calls


def test_a_result_is_made_once(made):
    zeros, calls = made
    assert zeros(10) is zeros(10)
    assert zeros(10, more=1).size == 11
    assert calls == [10, 10]
    assert zeros.cache_info() == (1, 2)
    assert zeros.__name__ == "zeros"


def test_the_longest_unused_goes_first(made):
    zeros, calls = made
    for size in (100_000, 100_001, 100_000, 100_002, 100_000, 100_001):
        zeros(size)
    assert calls == [100_000, 100_001, 100_002, 100_001]


def test_a_result_larger_than_the_room_is_all_that_is_kept(made):
    zeros, calls = made
    for size in (10, 300_000, 300_000, 10):
        zeros(size)
    assert calls == [10, 300_000, 10]


def test_a_cache_is_emptied_by_itself(made):
    zeros, calls = made
    other = bounded_cache(lambda size: calls.append(-size))
    zeros(10), other(10)
    zeros.cache_clear()
    assert zeros.cache_info() == (0, 0)
    zeros(10), other(10)
    assert calls == [10, -10, 10]
    assert caches._room.used_bytes == sum(kept.size_bytes for kept in caches._room.entries.values())


def test_arrays_in_tuples_and_dataclasses_count():
    array = np.zeros(5, dtype=np.int64)
    assert array_bytes((Pair(1, array), "x", [array])) == 40
    assert array_bytes(TouchedBy(first=array, last=array[:2])) == 56


@pytest.mark.parametrize("machine", MOST_WINDOW_BYTES)
def test_what_each_window_of_a_further_image_takes(machine):
    assert window_bytes(machine) < MOST_WINDOW_BYTES[machine]
