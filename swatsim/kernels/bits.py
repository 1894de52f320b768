"""Packed bits: read, written and laid out anew anywhere in their words.

Bit i of a tensor is bit i % 64 of word i // 64. A spare word follows the last one, so that 64 bits can be read from any
bit of the tensor.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.compile import array_kernel, kernel

ONE, ALL = np.uint64(1), ~np.uint64(0)
WORD_BITS = 64
_PAIRS, _FOURS, _EIGHTS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)


@kernel
def count_ones(word: np.uint64) -> np.int64:
    """How many bits of a word are set.

    They are counted in pairs, fours and eights, then summed into the highest byte: the compiler takes that for what
    it is, and uses the processor's own instruction.
    """
    word = word - (word >> ONE & _PAIRS)
    word = (word & _FOURS) + (word >> np.uint64(2) & _FOURS)
    word = word + (word >> np.uint64(4)) & _EIGHTS
    word = word + (word << np.uint64(8))
    word = word + (word << np.uint64(16))
    word = word + (word << np.uint64(32))
    return np.int64(word >> np.uint64(56))


@kernel
def read_bits(words: NDArray[np.uint64], first: int) -> np.uint64:
    """The 64 bits from bit `first` on."""
    word, shift = first >> 6, np.uint64(first & 63)
    low: np.uint64 = words[word] >> shift
    # In two steps: a shift by 64 is undefined.
    high: np.uint64 = words[word + 1] << ONE << (np.uint64(63) - shift)
    return low | high


@kernel
def write_bits(words: NDArray[np.uint64], first: int, bits: np.uint64) -> None:
    """Set those of the 64 bits from bit `first` on that `bits` has."""
    word, shift = first >> 6, np.uint64(first & 63)
    words[word] |= bits << shift
    words[word + 1] |= bits >> ONE >> (np.uint64(63) - shift)


@kernel
def count_run(words: NDArray[np.uint64], first: int, length: int) -> np.int64:
    """How many of `length` bits from bit `first` on are set; `length` is not 0."""
    if length <= WORD_BITS:
        return count_ones(read_bits(words, first) & (ALL >> np.uint64(WORD_BITS - length)))
    last = first + length - 1
    word, end = first >> 6, last >> 6
    low, high = ALL << np.uint64(first & 63), ALL >> np.uint64(63 - (last & 63))
    count = count_ones(words[word] & low) + count_ones(words[end] & high)
    for middle in range(word + 1, end):
        count += count_ones(words[middle])
    return count


@kernel
def transpose_block(block: NDArray[np.uint64], width: int) -> None:
    """Transpose 64 x 64 bits: bit j of word i becomes bit i of word j, of the first `width` columns.

    Halves of halves are exchanged (H. S. Warren, Hacker's Delight, 2nd edition, §7-3); what only the columns after
    those need is left out.
    """
    half, mask = 32, ALL >> np.uint64(32)
    while half > 0:
        shift = np.uint64(half)
        if half >= width:
            for i in range(half):
                block[i] = (block[i] & mask) | ((block[i + half] & mask) << shift)
        else:
            i, end = 0, -(-width // (2 * half)) * 2 * half
            while i < end:
                exchanged = ((block[i] >> shift) ^ block[i + half]) & mask
                block[i + half] ^= exchanged
                block[i] ^= exchanged << shift
                i = (i + half + 1) & ~half
        half >>= 1
        mask ^= mask << np.uint64(half)


@array_kernel
def transpose_bits(
    source: NDArray[np.uint64],
    shape: tuple[int, int, int],
    place: NDArray[np.int64],
    distance: int,
    target: NDArray[np.uint64],
) -> None:
    """Lay out matrices, shape (matrices, rows, columns) in C order, column by column into a target of zeros.

    The values of column j of matrix m begin at bit m · distance + place[j].
    """
    matrices, rows, columns = shape
    block = np.empty(WORD_BITS, dtype=np.uint64)
    for matrix in range(matrices):
        for row in range(0, rows, WORD_BITS):
            height = min(WORD_BITS, rows - row)
            for column in range(0, columns, WORD_BITS):
                width = min(WORD_BITS, columns - column)
                mask = ALL >> np.uint64(WORD_BITS - width)
                for i in range(height):
                    block[i] = read_bits(source, (matrix * rows + row + i) * columns + column) & mask
                block[height:] = 0
                transpose_block(block, width)
                for j in range(width):
                    write_bits(target, matrix * distance + place[column + j] + row, block[j])


@kernel
def border_rows(
    source: NDArray[np.uint64], shape: tuple[int, int, int], border: tuple[int, int, int, int],
    target: NDArray[np.uint64],
) -> None:  # fmt: skip
    """Surround planes, shape (planes, height, width) in C order, with `border` zeros above, below, before and after.

    The target is one of zeros.
    """
    planes, height, width = shape
    above, below, before, after = border
    for plane in range(planes):
        for y in range(height):
            start = (plane * height + y) * width
            line = (plane * (above + height + below) + above + y) * (before + width + after) + before
            for x in range(0, width, WORD_BITS):
                rest = ALL >> np.uint64(WORD_BITS - min(WORD_BITS, width - x))
                write_bits(target, line + x, read_bits(source, start + x) & rest)
