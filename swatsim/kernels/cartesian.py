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
# Columns of an axis before its results, and of visits.
PHASE, FIRST_MET, LAST_MET, RESULTS = range(4)
TILE, OUTER, INNER, OUTER_PHASE, INNER_PHASE, OUTER_PLACES, INNER_PLACES = 0, 1, 3, 5, 6, 7, 9
KEY = 5  # of `Steps.fetched`, before the places that meet
STEPS, VALUES, CYCLES = range(3)
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

    one: Words  # [class of result, class of row · words + word]: a one in the lane of the bank
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
    added: Words  # [((1 + pair) · classes of rows + class) · words + word]: what a value there adds; first, nothing
    number: IntArray  # [pair]: values of the other operand there, in all blocks


class Steps(NamedTuple):
    """What is fetched for a group, in steps: those with a product in the results, block by block."""

    fetched: IntArray  # what it is listed for: outer and inner range of places, how many places meet the group, these
    block: NDArray[np.uint32]  # [step]
    spent: NDArray[np.uint32]  # [step]: cycles until the next one where no bank is waited for
    added: NDArray[np.uint32]  # [step · values at once + value]: the first word in `Pairs.added`
    ends: IntArray  # [block, column]: steps so far, values, cycles where no bank is waited for


class Fetched(NamedTuple):
    """What is fetched for a group, and how."""

    pairs: int
    exact: bool  # only values of the pairs; else all in these places, the columns of a row and rows of places:
    row: Range
    end: int  # the last place of the last row
    columns: int  # from row to row
    per_step: int
    steps: float  # of a value: 1 / per_step
    of_pair: int  # words
    of_class: int


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
    count, size = 0, one.shape[1]
    for outer_place in range(places[0][0], places[0][1] + 1):
        for inner_place in range(places[1][0], places[1][1] + 1):
            meeting, to = 0, (1 + count) * size
            for value in range(group[0], group[1] + 1):
                y = outer[found[value, 0], RESULTS + outer_place]
                x = inner[found[value, 1], RESULTS + inner_place]
                if y >= 0 and x >= 0:
                    which = result_class[y, x]
                    if meeting == 0:
                        for word in range(size):
                            added[to + word] = one[which, word]
                    else:
                        for word in range(size):
                            added[to + word] += one[which, word]
                    meeting += 1
            if meeting > 0:
                met[count, 0], met[count, 1] = outer_place * (inner.shape[1] - RESULTS) + inner_place, meeting
                count += 1
    return count


@kernel
def is_listed(places: tuple[Range, Range], count: int, pairs: Pairs, steps: Steps) -> bool:
    """Whether steps are listed for the places that are fetched, and those that meet the group; else make it so."""
    key, same = steps.fetched, True
    for at, value in enumerate((places[0][0], places[0][1], places[1][0], places[1][1], count)):
        same = same and key[at] == value
        key[at] = value
    for pair in range(count):
        same = same and key[KEY + pair] == pairs.met[pair, 0]
        key[KEY + pair] = pairs.met[pair, 0]
    return same


@kernel
def list_steps(
    start: IntArray, row_class: Classes, block: int, fetched: Fetched, pairs: Pairs, steps: Steps
) -> None:
    """List the steps of a block behind those of the block before it; start: as `Values` of a list."""
    per_step, (first, last) = fetched.per_step, fetched.row
    met, _, number = pairs
    _, of_block, spent, added, ends = steps
    begun = ends[block - 1, STEPS] if block > 0 else 0
    step = begun - 1  # the one in hand, of which `left` values are to come
    slot, left, at, before, cycles = begun * per_step, 0, 0, 0, 0
    for pair in range(fetched.pairs + 1):
        begin, end = 0, 0
        if pair < fetched.pairs:
            place = met[pair, 0]
            begin, end = start[block, place], start[block, place + 1]
            number[pair] += end - begin
            while place > last and not fetched.exact:
                before += start[block, last + 1] - start[block, first]
                first, last = first + fetched.columns, last + fetched.columns
            until = at if fetched.exact else before + begin - start[block, first]
        else:
            while last <= fetched.end and not fetched.exact:
                before += start[block, last + 1] - start[block, first]
                first, last = first + fetched.columns, last + fetched.columns
            ends[block, VALUES] = at if fetched.exact else before
            until = ends[block, VALUES] + per_step - 1
        # Products of the values between all fall outside; where they fill steps, these take a cycle each.
        while at < until and left > 0:
            added[slot] = 0
            slot, left, at = slot + 1, left - 1, at + 1
        if until - at >= per_step:
            idle = int((until - at + 0.5) * fetched.steps)
            at, cycles = at + idle * per_step, cycles + idle
            if step < begun:
                step += 1
                of_block[step], spent[step] = block, 0
                for _ in range(per_step):
                    added[slot] = 0
                    slot += 1
            spent[step] += idle
        if pair == fetched.pairs:
            break
        offset = (1 + pair) * fetched.of_pair
        for value in range(begin - (until - at), end):
            if left == 0:
                step, left, cycles = step + 1, per_step, cycles + 1
                of_block[step], spent[step] = block, 1
            added[slot] = offset + row_class[value] * fetched.of_class if value >= begin else 0
            slot, left, at = slot + 1, left - 1, at + 1
    ends[block, STEPS], ends[block, CYCLES] = step + 1, cycles


@kernel
def take_products(state: Words, block: int, spent: int, lanes: Lanes) -> None:
    """Spend cycles, and more until no bank has more than may wait; count those."""
    queue, words, top, ones, high = lanes
    room, taken = high - queue - ones, spent
    while True:
        over = ZERO
        for word in range(words):
            over |= state[block, word] + room
        if over & high == ZERO:
            break
        room -= ones
        taken += 1
    # What has more than is taken keeps its highest bit; else it is emptied.
    gone = ones * np.uint64(min(taken, (1 << int(top)) - 1))
    for word in range(words):
        left = (state[block, word] | high) - gone
        state[block, word] = left & ((left & high) - ((left & high) >> top))
    state[block, words] += np.uint64(taken - spent)


@kernel
def run_steps(count: int, per_step: int, pairs: Pairs, steps: Steps, lanes: Lanes, state: Words) -> None:
    """Multiply a group by what is fetched, where all banks are in four words.

    state[block] is what waits, in lanes, and the cycles so far.
    """
    queue, _, top, ones, high = lanes
    waiting, room, all_but_one, slot = pairs.added, high - queue - ones, high - ones, ZERO
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    for step in range(np.uint64(0), np.uint64(count)):
        a, b, c, d = ZERO, ZERO, ZERO, ZERO
        for _ in range(per_step):
            at = np.uint64(steps.added[slot])
            slot += one
            a, b, c, d = a + waiting[at], b + waiting[at + one], c + waiting[at + two], d + waiting[at + three]
        block = np.uint64(steps.block[step])
        a, b, c, d = a + state[block, 0], b + state[block, 1], c + state[block, 2], d + state[block, 3]
        # All at once: often no bank has more than may wait, and no bits of several make it seem so.
        if steps.spent[step] == one and ((a | b | c | d) + room) & high == ZERO:
            state[block, 0] = a - ((a + all_but_one & high) >> top)
            state[block, 1] = b - ((b + all_but_one & high) >> top)
            state[block, 2] = c - ((c + all_but_one & high) >> top)
            state[block, 3] = d - ((d + all_but_one & high) >> top)
        else:
            state[block, 0], state[block, 1], state[block, 2], state[block, 3] = a, b, c, d
            take_products(state, np.int64(block), np.int64(steps.spent[step]), lanes)


@kernel
def run_wide_steps(count: int, per_step: int, pairs: Pairs, steps: Steps, lanes: Lanes, state: Words) -> None:
    """The same for any number of words."""
    for step in range(count):
        block = np.int64(steps.block[step])
        for slot in range(step * per_step, (step + 1) * per_step):
            for word in range(lanes.words):
                state[block, word] += pairs.added[np.int64(steps.added[slot]) + word]
        take_products(state, block, np.int64(steps.spent[step]), lanes)


@kernel
def multiply_visit(
    found: tuple[IntArray, int], grid: Grid, visit: int, values: tuple[IntArray, Classes],
    settings: tuple[Array, Banks, Pairs, Steps], work: tuple[Words, IntArray],
) -> None:  # fmt: skip
    """Multiply the values found on a visit by places; values: as `Values` of a list; work: state, and products."""
    (coordinates, count), (outer, inner, visits), (start, row_class) = found, grid, values
    (array, banks, pairs, steps), (state, products) = settings, work
    columns, exact, axes, blocks = inner.shape[1] - RESULTS, array.fetched == EXACT, (outer, inner), state.shape[0]
    every = (
        (visits[visit, OUTER_PLACES], visits[visit, OUTER_PLACES + 1]),
        (visits[visit, INNER_PLACES], visits[visit, INNER_PLACES + 1]),
    )
    of_value = 1 / array.per_step
    for first in range(0, count, array.at_once):
        group = (first, min(first + array.at_once, count) - 1)
        met = (met_range(outer, coordinates, 0, group, every[0]), met_range(inner, coordinates, 1, group, every[1]))
        paired = pair_group(axes, coordinates, banks, group, met, pairs)
        rows, row = every if array.fetched == EVERY else met
        if rows[0] > rows[1] or row[0] > row[1]:
            continue
        if not is_listed((rows, row), paired, pairs, steps):
            fetched = Fetched(
                paired, exact, (rows[0] * columns + row[0], rows[0] * columns + row[1]), rows[1] * columns + row[1],
                columns, array.per_step, of_value, banks.one.shape[1], banks.lanes.words,
            )  # fmt: skip
            for pair in range(paired):
                pairs.number[pair] = 0
            for block in range(blocks):
                list_steps(start, row_class, block, fetched, pairs, steps)
        if banks.lanes.words == 4:
            run_steps(steps.ends[blocks - 1, STEPS], array.per_step, pairs, steps, banks.lanes, state)
        else:
            run_wide_steps(steps.ends[blocks - 1, STEPS], array.per_step, pairs, steps, banks.lanes, state)
        number = 0
        for block in range(blocks):
            number += steps.ends[block, VALUES]
            state[block, banks.lanes.words] += np.uint64(steps.ends[block, CYCLES])
        inside = 0
        for pair in range(paired):
            inside += pairs.met[pair, 1] * pairs.number[pair]
        # Where each pair is checked by itself, those that fall outside are not multiplied.
        products[0] += inside if exact else number * (group[1] + 1 - group[0])
        products[1] += inside


@kernel
def drain_banks(state: Words, lanes: Lanes) -> None:
    """Let all products be added."""
    lane = ALL >> (np.uint64(63) - lanes.top)
    for block in range(state.shape[0]):
        most = ZERO
        for word in range(lanes.words):
            left = state[block, word]
            state[block, word] = ZERO
            while left != ZERO:
                most = max(most, left & lane)
                left = left >> lanes.top >> ONE
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
def begin_channel(state: Words, before: Words, products: IntArray, keeps: bool) -> None:
    """Count from zero, and keep what waits if that is needed."""
    products[:] = 0
    for block in range(state.shape[0]):
        if keeps:
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
    alike = image.shape[0] < channels
    lists, blocks = values.start.shape[:2]
    most = 0
    for which in range(lists):
        most = max(most, values.start[which, blocks - 1, places] - values.start[which, 0, 0])
    # In each block the last step may not be full, and there may be one before any that has a result.
    most = most // array.per_step + 2 * blocks
    found = np.empty((image.shape[1] * image.shape[2], 2), dtype=np.int64)
    pairs = Pairs(
        np.empty((places, 2), dtype=np.int64),
        np.zeros((1 + places) * banks.one.shape[1], dtype=np.uint64),
        np.empty(places, dtype=np.int64),
    )
    steps = Steps(
        np.empty(KEY + places, dtype=np.int64), np.empty(most, dtype=np.uint32), np.empty(most, dtype=np.uint32),
        np.empty(most * array.per_step, dtype=np.uint32), np.empty((blocks, 3), dtype=np.int64),
    )  # fmt: skip
    tiles = work.cycles.shape[2]
    state = np.zeros((tiles, blocks, lanes.words + 1), dtype=np.uint64)
    before, products = np.zeros(state.shape, dtype=np.uint64), np.zeros((tiles, 2), dtype=np.int64)
    # All tiles of a channel in turn: they fetch the same.
    for channel in range(channels):
        if lists > 1 or channel == 0:
            steps.fetched[KEY - 1] = -1
        of_list = (values.start[min(channel, lists - 1)], values.row_class)
        first = 0
        while first < visits.shape[0]:
            tile, last = visits[first, TILE], first
            while last < visits.shape[0] and visits[last, TILE] == tile:
                last += 1
            of_tile = state[tile]
            # What begins as the one before it began goes as that went.
            if channel == 0 or not alike or not is_repeated(of_tile, before[tile]):
                begin_channel(of_tile, before[tile], products[tile], alike)
                for visit in range(first, last):
                    count = gather_values(image, min(channel, image.shape[0] - 1), grid, visit, found)
                    multiply_visit(
                        (found, count), grid, visit, of_list, (array, banks, pairs, steps), (of_tile, products[tile])
                    )
                if not array.runs_on or channel == channels - 1:
                    drain_banks(of_tile, lanes)
            elif channel == channels - 1:
                drain_banks(of_tile, lanes)
            for block in range(blocks):
                work.cycles[block, channel, tile] = of_tile[block, lanes.words]
            work.products[0] += products[tile, 0]
            work.products[1] += products[tile, 1]
            first = last
