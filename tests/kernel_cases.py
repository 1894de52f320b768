"""Random inputs of the kernels, and the ways between their arrays and the twins' sets."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

# The smallest and the largest machine word, and some between.
LANES = st.sampled_from([1, 2, 3, 7, 16, 63, 64])
DENSITIES = st.sampled_from([0.0, 0.1, 0.3, 0.6, 0.9, 1.0])


@st.composite
def randoms(draw):
    """A generator of numpy's: thousands of bits from one drawn number."""
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1)))


def lane_sets(words):
    """[..., step] of words: for each row a list of sets of lanes."""
    return [[{lane for lane in range(64) if int(word) >> lane & 1} for word in row] for row in words]


def to_words(rows, steps):
    """An array of words of rows of sets of lanes."""
    words = np.zeros((len(rows), steps), dtype=np.uint64)
    for row, sets in enumerate(rows):
        for step, lanes in enumerate(sets):
            words[row, step] = sum(1 << lane for lane in lanes)
    return words


def packed_words(bits):
    """Words of a list of bits, the first one in the lowest bit, and a spare word."""
    return np.array([
        sum(int(bit) << place for place, bit in enumerate(bits[first : first + 64]))
        for first in range(0, len(bits) + 64, 64)
    ], dtype=np.uint64)  # fmt: skip


@st.composite
def operands(draw, fewest=0):
    """(present, base, offset): a tensor and the addresses of vectors in it, -1 where a lane has no operand."""
    random = draw(randoms())
    vectors, steps, lanes = draw(st.integers(fewest, 5)), draw(st.integers(fewest, 7)), draw(LANES)
    size = draw(st.integers(1, 200))
    present = (random.random(size) < draw(DENSITIES)).astype(np.uint8)
    base = random.integers(0, size, vectors)
    reach = size - int(base.max(initial=0))
    offset = random.integers(0, reach, (steps, lanes))
    offset[random.random((steps, lanes)) < draw(st.sampled_from([0.0, 0.3]))] = -1
    return present, base.astype(np.int64), offset.astype(np.int64)


@st.composite
def buffers(draw, most_rows=4):
    """(rows of sets of lanes, steps, lanes): what is to be scheduled."""
    random = draw(randoms())
    rows, steps, lanes = draw(st.integers(1, most_rows)), draw(st.integers(1, 9)), draw(LANES)
    table = random.random((rows, steps, lanes)) < draw(DENSITIES)
    # Runs of empty steps are what the rules of passing and dropping are about.
    table[:, random.random(steps) < draw(st.sampled_from([0.0, 0.5]))] = False
    sets = [[{int(lane) for lane in np.flatnonzero(step)} for step in row] for row in table]
    return sets, steps, lanes


@st.composite
def rules(draw, lanes):
    """(moves, lane order) of a machine of this many lanes."""
    move = st.tuples(st.integers(1, 3), st.integers(-lanes - 1, lanes + 1))
    moves = draw(st.lists(move, min_size=1, max_size=8, unique=True))
    return moves, draw(st.permutations(range(lanes)))


@st.composite
def dealings(draw):
    """(random, groups, units, slots, set_slots, repeats): units on slots that share barriers."""
    sizes = [draw(st.integers(0, 2)), draw(st.integers(0, 9)), draw(st.integers(1, 6)), draw(st.integers(1, 4))]
    return draw(randoms()), *sizes, draw(st.integers(1, 5))


def sets_and_rounds(groups, units, slots, set_slots):
    """Shape of the sets' cycles: only the sets that ever work, and a column for each group's rounds."""
    return (len(range(0, min(slots, units), set_slots)), groups * len(range(0, units, slots)))
