"""Read the vectors of an operand out of the words of its tensor.

A *part* of a vector is a number of its elements that lie in *runs* of consecutive bits: runs[run] = (offset from the
vector's base, length, number of elements of the part before it), those of part i being first[i] … first[i + 1] - 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.bits import ALL, ONE, WORD_BITS, count_run, read_bits
from swatsim.kernels.compile import array_kernel, kernel

ZERO = np.uint64(0)
# Of the count of the vectors that have an element: more than there are bits in an address.
PLANES = 64


class ChunkShape(NamedTuple):
    """How many steps a chunk has, and how many of them a word."""

    chunk_steps: int
    word_steps: int


@array_kernel
def list_runs(offset: NDArray[np.int64], edges: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The runs and `first` of parts whose elements are offset[edges[i]] … offset[edges[i + 1] - 1].

    A negative offset is a place without an element.
    """
    parts = edges.shape[0] - 1
    runs, first = np.empty((offset.shape[0], 3), dtype=np.int64), np.empty(parts + 1, dtype=np.int64)
    count = 0
    for part in range(parts):
        first[part], expected = count, np.int64(-1)
        for place in range(edges[part], edges[part + 1]):
            if offset[place] >= 0 and offset[place] == expected:
                runs[count - 1, 1] += 1
            elif offset[place] >= 0:
                runs[count, 0], runs[count, 1], runs[count, 2] = offset[place], 1, place - edges[part]
                count += 1
            expected = offset[place] + 1 if offset[place] >= 0 else np.int64(-1)
    first[parts] = count
    # The rest of the room, for as many runs as elements, is not kept.
    return runs[:count].copy(), first


@kernel
def gather_words(
    tensor: NDArray[np.uint64],
    base: NDArray[np.int64],
    runs: NDArray[np.int64],
    first: NDArray[np.int64],
    words: NDArray[np.uint64],
) -> None:
    """Set words[vector, part], of at most 64 elements each: bit i is the part's element i, 0 where it has none."""
    for vector in range(base.shape[0]):
        start = base[vector]
        for part in range(words.shape[1]):
            word = ZERO
            for run in range(first[part], first[part + 1]):
                bits = read_bits(tensor, start + runs[run, 0]) & (ALL >> np.uint64(WORD_BITS - runs[run, 1]))
                word |= bits << np.uint64(runs[run, 2])
            words[vector, part] = word


@kernel
def count_in_parts(
    tensor: NDArray[np.uint64],
    base: NDArray[np.int64],
    runs: NDArray[np.int64],
    first: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    """Set counts[vector, part]: the values present in each part of a vector."""
    for vector in range(base.shape[0]):
        start = base[vector]
        for part in range(counts.shape[1]):
            count = np.int64(0)
            for run in range(first[part], first[part + 1]):
                count += count_run(tensor, start + runs[run, 0], runs[run, 1])
            counts[vector, part] = count


@kernel
def add_bits(a: np.uint64, b: np.uint64, c: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Sums and carries of 64 full adders."""
    half = a ^ b
    return half ^ c, a & b | half & c


@kernel
def count_up(planes: NDArray[np.uint64], plane: int, carry: np.uint64) -> int:
    """Add bits of weight 1 << plane to 64 counts, bit i of planes[b] being bit b of count i; return the planes used."""
    while carry != ZERO:
        carried = planes[plane] & carry
        planes[plane] ^= carry
        carry = carried
        plane += 1
    return plane


@array_kernel
def count_by_element(
    tensor: NDArray[np.uint64],
    base: NDArray[np.int64],
    runs: NDArray[np.int64],
    block: int,
    counts: NDArray[np.int64],
) -> None:
    """Set counts[block, element]: in how many of `block` consecutive vectors, all of one part, an element is present.

    64 elements are counted at once, in four vectors before a carry runs on.
    """
    planes = np.empty(PLANES, dtype=np.uint64)
    for number in range(counts.shape[0]):
        last = min((number + 1) * block, base.shape[0])
        for run in range(runs.shape[0]):
            for at in range(0, runs[run, 1], WORD_BITS):
                offset, used, vector = runs[run, 0] + at, 2, number * block
                planes[:] = ZERO
                while vector + 4 <= last:
                    one, two = add_bits(
                        planes[0],
                        read_bits(tensor, base[vector] + offset),
                        read_bits(tensor, base[vector + 1] + offset),
                    )
                    planes[0], more = add_bits(
                        one, read_bits(tensor, base[vector + 2] + offset), read_bits(tensor, base[vector + 3] + offset)
                    )
                    planes[1], carry = add_bits(planes[1], two, more)
                    used = max(used, count_up(planes, 2, carry))
                    vector += 4
                for rest in range(vector, last):
                    used = max(used, count_up(planes, 0, read_bits(tensor, base[rest] + offset)))
                for i in range(min(WORD_BITS, runs[run, 1] - at)):
                    count = np.int64(0)
                    for plane in range(used):
                        count += np.int64(planes[plane] >> np.uint64(i) & ONE) << plane
                    counts[number, runs[run, 2] + at + i] = count
