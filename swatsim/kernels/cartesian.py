"""Cartesian products: a PE multiplies a few values of an image by a few of the other operand, each by each.

Both operands have two coordinates, here *outer* and *inner*. Those of the image are tiled over the PEs; the values of
the other operand lie at *places*, each with one value per row (a filter). A pair adds to one *result* or to none.

What waits for the banks of a PE is held in 64-bit words, a *lane* of bits for each bank, so that all banks are added
to, or add up, in a few operations. What is called for each group of values calls nothing and divides by nothing: what
may fail has numba count references to each array.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.bits import ALL, ONE, read_bits
from swatsim.kernels.compile import kernel

IntArray = NDArray[np.int64]
Words = NDArray[np.uint64]
Classes = NDArray[np.uint16]
Range = tuple[int, int]  # the first and the last; empty where it ends before it starts

# Which places are fetched for a group of values of the image.
EVERY, BETWEEN, EXACT = 0, 1, 2
# Columns of runs, of an axis before its results, and of visits.
BEGIN, END, AT = range(3)
PHASE, FIRST_MET, LAST_MET, RESULTS = range(4)
TILE, OUTER, INNER, OUTER_PHASE, INNER_PHASE, OUTER_PLACES, INNER_PLACES = 0, 1, 3, 5, 6, 7, 9
ZERO = np.uint64(0)


class Operand(NamedTuple):
    """The other operand; row r has a value at a place of list l where bit base[r] + offset[l, place] is set."""

    words: Words
    base: IntArray  # [row]
    offset: IntArray  # [list, outer place · inner places + inner place]: one list for each channel, or one for all


class Values(NamedTuple):
    """The values of the other operand, list by list, block by block of rows and place by place, rows in order."""

    start: IntArray  # [list, block, place + 1]
    row_class: Classes  # [value], as in `Banks`


class Grid(NamedTuple):
    """Which coordinates and places meet, and where."""

    outer: IntArray  # [coordinate, column]: phase, first and last place with a result; then, for each place, the
    inner: IntArray  # coordinate of the result, -1 where the pair falls outside
    # [visit, column] of a tile and phases, in order: the tile; the first outer coordinate and the one after the last,
    visits: IntArray  # inner ones; outer and inner phase; the first and last outer place, and inner ones


class Lanes(NamedTuple):
    """How many products may wait, and what holds how many do."""

    queue: np.uint64  # how many may at the end of a step, and one more, in each lane
    words: int  # at least 4
    top: np.uint64  # the number of a lane's highest bit, which nothing that waits reaches
    ones: np.uint64  # the lowest bit of each lane
    high: np.uint64  # the highest one


class Banks(NamedTuple):
    """Where a product waits."""

    one: Words  # [class of result, class of row, word]: a one in the lane of the bank
    result_class: IntArray  # [outer, inner coordinate of a result]
    lanes: Lanes


class Array(NamedTuple):
    """What a PE does at once."""

    at_once: int  # values of the image
    per_step: int  # values of the other operand
    fetched: int  # EVERY, BETWEEN or EXACT
    runs_on: bool  # from channel to channel; else all products are added at the end of each


class Work(NamedTuple):
    """What PEs do for an image."""

    cycles: IntArray  # [block of rows, channel, tile]
    products: IntArray  # [2]: multiplied, and of these inside of the results


class Pairs(NamedTuple):
    """Places that meet values of a group, in order."""

    met: IntArray  # [pair, 2]: the place, and how many values meet it
    added: Words  # [pair, class of row, word]: what a value there adds to the banks
    runs: IntArray  # [pair + 1, column]: the first and the end of its values, and how many are fetched before them


class Fetched(NamedTuple):
    """What is fetched for a group, and how."""

    pairs: int
    exact: bool  # only values of the pairs; else all in these places, the columns of a row and rows of places:
    row: Range
    end: int  # the last place of the last row
    columns: int  # from row to row
    per_step: int
    steps: float  # of a value: 1 / per_step


@kernel
def list_values(operand: Operand, block_rows: int, row_class: Classes, values: Values) -> None:
    """Collect the values that are present; row_class: of each row."""
    lists, blocks, places = values.start.shape[0], values.start.shape[1], values.start.shape[2] - 1
    found = 0
    for which in range(lists):
        for block in range(blocks):
            last_row = min((block + 1) * block_rows, operand.base.shape[0])
            for place in range(places):
                values.start[which, block, place] = found
                offset = operand.offset[which, place]
                for row in range(block * block_rows, last_row):
                    if read_bits(operand.words, operand.base[row] + offset) & ONE:
                        values.row_class[found] = row_class[row]
                        found += 1
            values.start[which, block, places] = found


@kernel
def gather_values(image: NDArray[np.uint8], channel: int, grid: Grid, visit: int, found: IntArray) -> int:
    """Set found[value] = (outer, inner) coordinate of the values of a visit; return how many."""
    outer, inner, visits = grid
    count = 0
    for y in range(visits[visit, OUTER], visits[visit, OUTER + 1]):
        if outer[y, PHASE] == visits[visit, OUTER_PHASE]:
            for x in range(visits[visit, INNER], visits[visit, INNER + 1]):
                if image[channel, y, x] and inner[x, PHASE] == visits[visit, INNER_PHASE]:
                    found[count, 0], found[count, 1] = y, x
                    count += 1
    return count


@kernel
def met_range(axis: IntArray, found: IntArray, which: int, group: Range, whole: Range) -> Range:
    """The range within `whole` of all places that a group meets on one axis (`which`)."""
    first, last = whole[1] + 1, whole[0] - 1
    for value in range(group[0], group[1] + 1):
        coordinate = found[value, which]
        if axis[coordinate, FIRST_MET] <= axis[coordinate, LAST_MET]:
            first = min(first, axis[coordinate, FIRST_MET])
            last = max(last, axis[coordinate, LAST_MET])
    return max(first, whole[0]), min(last, whole[1])


@kernel
def pair_group(
    axes: tuple[IntArray, IntArray], found: IntArray, banks: Banks, group: Range, places: tuple[Range, Range],
    pairs: Pairs,
) -> int:  # fmt: skip
    """Find the places in two ranges that meet a group; return how many."""
    outer, inner = axes
    one, result_class, _ = banks
    met, added, _ = pairs
    count = 0
    for outer_place in range(places[0][0], places[0][1] + 1):
        for inner_place in range(places[1][0], places[1][1] + 1):
            meeting = 0
            for value in range(group[0], group[1] + 1):
                y = outer[found[value, 0], RESULTS + outer_place]
                x = inner[found[value, 1], RESULTS + inner_place]
                if y >= 0 and x >= 0:
                    which = result_class[y, x]
                    for row_class in range(one.shape[1]):
                        for word in range(one.shape[2]):
                            waiting = added[count, row_class, word] if meeting > 0 else ZERO
                            added[count, row_class, word] = waiting + one[which, row_class, word]
                    meeting += 1
            if meeting > 0:
                met[count, 0], met[count, 1] = outer_place * (inner.shape[1] - RESULTS) + inner_place, meeting
                count += 1
    return count


@kernel
def list_fetched(start: IntArray, block: int, fetched: Fetched, pairs: Pairs) -> tuple[int, int]:
    """Find each pair's values of a block; return how many are fetched in all, and the products with a result.

    start: as `Values` of a list.
    """
    met, _, runs = pairs
    first, last = fetched.row
    before, inside = 0, 0
    for pair in range(fetched.pairs):
        place = met[pair, 0]
        begin, end = start[block, place], start[block, place + 1]
        if fetched.exact:
            runs[pair, AT] = before
            before += end - begin
        else:
            while place > last:
                before += start[block, last + 1] - start[block, first]
                first, last = first + fetched.columns, last + fetched.columns
            runs[pair, AT] = before + begin - start[block, first]
        runs[pair, BEGIN], runs[pair, END] = begin, end
        inside += met[pair, 1] * (end - begin)
    while last <= fetched.end and not fetched.exact:
        before += start[block, last + 1] - start[block, first]
        first, last = first + fetched.columns, last + fetched.columns
    # After the last pair comes the end of the last step.
    runs[fetched.pairs, BEGIN], runs[fetched.pairs, END] = 0, 1
    runs[fetched.pairs, AT] = before + fetched.per_step - 1
    return before, inside


@kernel
def run_steps(row_class: Classes, block: int, fetched: Fetched, pairs: Pairs, lanes: Lanes, state: Words) -> None:
    """Multiply a group by what is fetched; row_class: as `Values`.

    state[block] is what waits, in lanes, of which four words are held in registers, and the cycles so far.
    """
    _, added, runs = pairs
    per_step, (queue, words, top, ones, high) = fetched.per_step, lanes
    a, b, c, d = state[block, 0], state[block, 1], state[block, 2], state[block, 3]
    # How many values are fetched until the step in hand ends, if there is one.
    edge, is_open, cycles, most = 0, 0, 0, (1 << int(top)) - 1
    for pair in range(fetched.pairs + 1):
        at = runs[pair, AT]
        for value in range(runs[pair, BEGIN], runs[pair, END]):
            if at >= edge:
                # Steps between, whose products all fall outside, take a cycle each.
                spent = int((at - edge + 0.5) * fetched.steps) if at - edge >= per_step else 0
                edge += (spent + 1) * per_step
                spent += is_open
                room = high - queue - ones
                while is_open:
                    over = (a + room) | (b + room) | (c + room) | (d + room)
                    for word in range(4, words):
                        over |= state[block, word] + room
                    if over & high == ZERO:
                        break
                    room -= ones
                    spent += 1
                cycles += spent
                is_open = 1
                # What has more than is taken keeps its highest bit; else it is emptied.
                gone = ones * np.uint64(min(spent, most))
                a, b, c, d = (a | high) - gone, (b | high) - gone, (c | high) - gone, (d | high) - gone
                a, b = a & ((a & high) - ((a & high) >> top)), b & ((b & high) - ((b & high) >> top))
                c, d = c & ((c & high) - ((c & high) >> top)), d & ((d & high) - ((d & high) >> top))
                for word in range(4, words):
                    left = (state[block, word] | high) - gone
                    state[block, word] = left & ((left & high) - ((left & high) >> top))
            if pair < fetched.pairs:
                of = row_class[value]
                a, b = a + added[pair, of, 0], b + added[pair, of, 1]
                c, d = c + added[pair, of, 2], d + added[pair, of, 3]
                for word in range(4, words):
                    state[block, word] += added[pair, of, word]
            at += 1
    state[block, 0], state[block, 1], state[block, 2], state[block, 3] = a, b, c, d
    state[block, words] += np.uint64(cycles)


@kernel
def multiply_visit(
    found: tuple[IntArray, int], grid: Grid, visit: int, values: tuple[IntArray, Classes],
    settings: tuple[Array, Banks, Pairs], work: tuple[Words, IntArray],
) -> None:  # fmt: skip
    """Multiply the values found on a visit by places; values: as `Values` of a list; work: state, and products."""
    (coordinates, count), (outer, inner, visits), (start, row_class) = found, grid, values
    (array, banks, pairs), (state, products) = settings, work
    columns, exact, axes = inner.shape[1] - RESULTS, array.fetched == EXACT, (outer, inner)
    every = (
        (visits[visit, OUTER_PLACES], visits[visit, OUTER_PLACES + 1]),
        (visits[visit, INNER_PLACES], visits[visit, INNER_PLACES + 1]),
    )
    steps = 1 / array.per_step
    for first in range(0, count, array.at_once):
        group = (first, min(first + array.at_once, count) - 1)
        met = (met_range(outer, coordinates, 0, group, every[0]), met_range(inner, coordinates, 1, group, every[1]))
        paired = pair_group(axes, coordinates, banks, group, met, pairs)
        rows, row = every if array.fetched == EVERY else met
        if rows[0] > rows[1] or row[0] > row[1]:
            continue
        fetched = Fetched(
            paired, exact, (rows[0] * columns + row[0], rows[0] * columns + row[1]), rows[1] * columns + row[1],
            columns, array.per_step, steps,
        )  # fmt: skip
        for block in range(state.shape[0]):
            number, inside = list_fetched(start, block, fetched, pairs)
            run_steps(row_class, block, fetched, pairs, banks.lanes, state)
            # Where each pair is checked by itself, those that fall outside are not multiplied.
            products[0] += inside if exact else number * (group[1] + 1 - group[0])
            products[1] += inside


@kernel
def drain_banks(state: Words, lanes: Lanes) -> None:
    """Let all products be added."""
    bits = np.int64(lanes.top) + 1
    for block in range(state.shape[0]):
        most = ZERO
        for word in range(lanes.words):
            for lane in range(0, 64, bits):
                most = max(most, state[block, word] >> np.uint64(lane) & (ALL >> np.uint64(64 - bits)))
            state[block, word] = ZERO
        state[block, lanes.words] += most


@kernel
def is_repeated(state: Words, before: Words) -> bool:
    """Whether the same products wait."""
    same = True
    for block in range(state.shape[0]):
        for word in range(state.shape[1] - 1):
            same = same and state[block, word] == before[block, word]
    return same


@kernel
def begin_channel(state: Words, before: Words, products: IntArray) -> None:
    """Count from zero, and keep what waits."""
    products[:] = 0
    for block in range(state.shape[0]):
        for word in range(state.shape[1]):
            before[block, word] = state[block, word]
        state[block, state.shape[1] - 1] = ZERO


@kernel
def multiply_image(
    image: NDArray[np.uint8], grid: Grid, values: Values, banks: Banks, array: Array, work: Work
) -> None:
    """Set the cycles of image[channel, outer, inner] where they are visited, and add to their products.

    An image of a single channel stands for as many that are alike as `work` has. Source: SCNN (ISCA 2017), §3.
    """
    channels, visits, places, lanes = work.cycles.shape[1], grid.visits, values.start.shape[2] - 1, banks.lanes
    found = np.empty((image.shape[1] * image.shape[2], 2), dtype=np.int64)
    pairs = Pairs(
        np.empty((places, 2), dtype=np.int64),
        np.empty((places, banks.one.shape[1], lanes.words), dtype=np.uint64),
        np.empty((places + 1, 3), dtype=np.int64),
    )
    state = np.zeros((work.cycles.shape[0], lanes.words + 1), dtype=np.uint64)
    before, products = np.zeros(state.shape, dtype=np.uint64), np.zeros(2, dtype=np.int64)
    first = 0
    while first < visits.shape[0]:
        tile, last = visits[first, TILE], first
        while last < visits.shape[0] and visits[last, TILE] == tile:
            last += 1
        for channel in range(channels):
            # What begins as the one before it began goes as that went.
            if channel == 0 or image.shape[0] == channels or not is_repeated(state, before):
                begin_channel(state, before, products)
                of_list = (values.start[min(channel, values.start.shape[0] - 1)], values.row_class)
                for visit in range(first, last):
                    count = gather_values(image, min(channel, image.shape[0] - 1), grid, visit, found)
                    multiply_visit((found, count), grid, visit, of_list, (array, banks, pairs), (state, products))
                if not array.runs_on or channel == channels - 1:
                    drain_banks(state, lanes)
            elif channel == channels - 1:
                drain_banks(state, lanes)
            for block in range(state.shape[0]):
                work.cycles[block, channel, tile] = state[block, lanes.words]
            work.products[0] += products[0]
            work.products[1] += products[1]
        first = last
