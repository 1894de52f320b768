"""The kernels that read, count and lay out bits anew, against arrays of values."""

from __future__ import annotations

import numpy as np
import twins
from hypothesis import example, given
from hypothesis import strategies as st
from kernel_cases import DENSITIES, packed_words, randoms

from swatsim.kernels.bits import (
    border_rows,
    count_ones,
    count_run,
    read_bits,
    transpose_bits,
    transpose_block,
    write_bits,
)

SIZES = st.one_of(st.integers(1, 12), st.integers(60, 70), st.just(130))


def values_of(words, count):
    """The first bits of an array of words, and that all others are 0."""
    bits = [int(words[i // 64]) >> i % 64 & 1 for i in range(64 * len(words))]
    assert not any(bits[count:])
    return bits[:count]


@given(st.integers(0, 2**64 - 1))
@example(0)
@example(1)
@example(1 << 63)
@example(2**64 - 1)
def test_count_ones(word):
    assert count_ones(np.uint64(word)) == word.bit_count()


@given(randoms(), st.integers(1, 300), DENSITIES, st.data())
def test_bits_are_read_and_counted_from_anywhere(random, size, density, data):
    bits = (random.random(size) < density).astype(int).tolist()
    words = packed_words(bits)
    first = data.draw(st.integers(0, size - 1))
    length = data.draw(st.integers(1, size - first))
    read = int(read_bits(words, np.int64(first)))
    assert [read >> i & 1 for i in range(64)] == (bits[first:] + [0] * 64)[:64]
    assert count_run(words, np.int64(first), np.int64(length)) == sum(bits[first : first + length])


@given(randoms(), st.integers(0, 130))
def test_bits_are_written_anywhere(random, first):
    there, added = (random.integers(0, 2, 200).tolist() for _ in range(2))
    words = packed_words(there)
    word = packed_words(added[:64])[0]
    write_bits(words, np.int64(first), word)
    expected = [old | (added[i - first] if 0 <= i - first < 64 else 0) for i, old in enumerate(there)]
    assert values_of(words, 200) == expected


@given(randoms(), st.integers(1, 64))
def test_transpose_block(random, width):
    table = random.integers(0, 2, (64, 64))
    table[:, width:] = 0
    block = np.array([packed_words(row.tolist())[0] for row in table])
    transpose_block(block, width)
    for column in range(width):
        assert values_of(block[column : column + 1], 64) == table[:, column].tolist()


@given(randoms(), st.integers(1, 3), SIZES, SIZES, st.integers(0, 5), DENSITIES)
def test_transpose_bits(random, matrices, rows, columns, gap, density):
    """The columns are laid in any order, with gaps between them."""
    table = random.random((matrices, rows, columns)) < density
    place = random.permutation(columns) * (rows + gap) + gap
    distance = columns * (rows + gap) + gap
    target = packed_words([0] * (matrices * distance))
    transpose_bits(packed_words(table.reshape(-1).tolist()), table.shape, place, distance, target)
    expected = twins.transposed(table.tolist(), place.tolist(), distance)
    assert {i for i, bit in enumerate(values_of(target, matrices * distance)) if bit} == expected


@given(randoms(), st.tuples(st.integers(1, 3), SIZES, SIZES), st.tuples(*[st.integers(0, 3)] * 4), DENSITIES)
def test_border_rows(random, shape, border, density):
    table = random.random(shape) < density
    size = shape[0] * (shape[1] + border[0] + border[1]) * (shape[2] + border[2] + border[3])
    target = packed_words([0] * size)
    border_rows(packed_words(table.reshape(-1).tolist()), shape, border, target)
    expected = twins.bordered(table.tolist(), border)
    assert values_of(target, size) == [int(value) for plane in expected for row in plane for value in row]
