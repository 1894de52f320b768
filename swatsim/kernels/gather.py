"""Read the vectors of an operand out of its tensor."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import kernel


class ChunkShape(NamedTuple):
    """How many steps a chunk has, and how many of them a word."""

    chunk_steps: int
    word_steps: int


@kernel
def gather_words(
    present: NDArray[np.uint8],
    base: NDArray[np.int64],
    offset: NDArray[np.int64],
    words: NDArray[np.uint64],
) -> None:
    """Set words[vector, step]: bit i is present[base[vector] + offset[step, i]], 0 where offset is negative."""
    for vector in range(base.shape[0]):
        start = base[vector]
        for step in range(offset.shape[0]):
            word = np.uint64(0)
            for lane in range(offset.shape[1]):
                address = offset[step, lane]
                if address >= 0:
                    word |= np.uint64(present[start + address]) << np.uint64(lane)
            words[vector, step] = word


@kernel
def gather_chunks(
    present: NDArray[np.uint8],
    base: NDArray[np.int64],
    offset: NDArray[np.int64],
    shape: ChunkShape,
    words: NDArray[np.uint64],
) -> None:
    """Set words[vector, chunk, word] to the values of a chunk, some steps a word; offset as in `gather_words`.

    Lane i of the k-th step of a word is bit k · lanes + i.
    """
    steps, lanes = offset.shape
    for vector in range(base.shape[0]):
        start = base[vector]
        for chunk in range(words.shape[1]):
            last = min((chunk + 1) * shape.chunk_steps, steps)
            for number in range(words.shape[2]):
                first = chunk * shape.chunk_steps + number * shape.word_steps
                word, bit = np.uint64(0), 0
                for step in range(first, min(first + shape.word_steps, last)):
                    for lane in range(lanes):
                        address = offset[step, lane]
                        if address >= 0:
                            word |= np.uint64(present[start + address]) << np.uint64(bit)
                        bit += 1
                words[vector, chunk, number] = word


@kernel
def count_in_chunks(
    present: NDArray[np.uint8],
    base: NDArray[np.int64],
    offset: NDArray[np.int64],
    chunk_steps: int,
    counts: NDArray[np.int64],
) -> None:
    """Set counts[vector, chunk]: the values present in each chunk of steps; offset as in `gather_words`."""
    counts[:] = 0
    steps, lanes = offset.shape
    for vector in range(base.shape[0]):
        start = base[vector]
        for chunk in range(counts.shape[1]):
            count = np.int64(0)
            for step in range(chunk * chunk_steps, min((chunk + 1) * chunk_steps, steps)):
                for lane in range(lanes):
                    address = offset[step, lane]
                    if address >= 0:
                        count += np.int64(present[start + address])
            counts[vector, chunk] = count


@kernel
def count_present(
    present: NDArray[np.uint8],
    base: NDArray[np.int64],
    offset: NDArray[np.int64],
    by_vector: NDArray[np.int64],
    by_element: NDArray[np.int64],
) -> None:
    """Count where present[base[vector] + offset[element]] is set, for each vector and for each element."""
    by_element[:] = 0
    for vector in range(base.shape[0]):
        start = base[vector]
        count = np.int64(0)
        for element in range(offset.shape[0]):
            value = np.int64(present[start + offset[element]])
            count += value
            by_element[element] += value
        by_vector[vector] = count
