"""Cartesian products: a PE multiplies a few values of an image by a few of the other operand, each by each.

Both operands have two coordinates, here *outer* and *inner*. Those of the image are tiled over the PEs; the values of
the other operand lie at *places*, each with one value per row (a filter). A pair adds to one *result* or to none.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.bits import ONE, read_bits
from swatsim.kernels.compile import kernel

IntArray = NDArray[np.int64]

# Which places are fetched for a group of values of the image.
ALL, RANGE, EXACT = 0, 1, 2


class Axis(NamedTuple):
    """Which coordinates and places of one axis meet, and which PE has them; an empty range ends before its start."""

    result: IntArray  # [coordinate, place]: coordinate of the result, -1 where the pair falls outside
    met: IntArray  # [coordinate, 2]: first and last place with a result
    phase: IntArray  # [coordinate]: coordinates of one phase are worked on together
    phase_places: IntArray  # [phase, 2]: first and last place that a phase is paired with
    tile_start: IntArray  # [tile + 1]: first coordinate
    tile_places: IntArray  # [tile, 2]: first and last place that a tile has


class Operand(NamedTuple):
    """The other operand; row r has a value at a place of list l where bit base[r] + offset[l, place] is set."""

    words: NDArray[np.uint64]
    base: IntArray  # [row]
    offset: IntArray  # [list, outer place · inner places + inner place]: one list for each channel, or one for all


class Banks(NamedTuple):
    """The accumulator bank of a result."""

    of: NDArray[np.int32]  # [class of row, class of result]
    row: IntArray  # [row]: its class
    result: IntArray  # [outer, inner coordinate]: class
    banks: int


class Array(NamedTuple):
    """What a PE does at once."""

    per_step: tuple[int, int]  # values of the image and of the other operand
    block_rows: int  # rows that the accumulators hold results of
    fetched: int  # ALL, RANGE or EXACT
    bank_queue: int  # products that may wait for a bank when a step ends
    runs_on: bool  # from channel to channel; else all products are added at the end of each


class Work(NamedTuple):
    """What an image costs."""

    cycles: IntArray  # [block of rows, channel, outer tile · inner tiles + inner tile]
    products: IntArray  # [2]: multiplied, and of these inside of the results


class State(NamedTuple):
    """How far a PE is."""

    time: IntArray  # [block of rows]
    free: IntArray  # [block of rows, bank]: when all that waits for it is added
    products: IntArray  # as in `Work`


class Lists(NamedTuple):
    """The values of the other operand, place by place, rows in order."""

    start: IntArray  # [block of rows, place + 1]
    row_class: IntArray  # [value]


class Pairs(NamedTuple):
    """The places that meet a group of values of the image, in order, and the classes of results there."""

    place: IntArray  # [pair of places]
    results: IntArray  # [pair of places]: how many values meet it
    result_class: IntArray  # [pair of places, value]


@kernel
def list_values(operand: Operand, which: int, block_rows: int, banks: Banks, lists: Lists) -> None:
    """Collect the values that are present in one list."""
    found = 0
    for block in range(lists.start.shape[0]):
        last_row = min((block + 1) * block_rows, operand.base.shape[0])
        for place in range(operand.offset.shape[1]):
            lists.start[block, place] = found
            for row in range(block * block_rows, last_row):
                if read_bits(operand.words, operand.base[row] + operand.offset[which, place]) & ONE:
                    lists.row_class[found] = banks.row[row]
                    found += 1
        lists.start[block, operand.offset.shape[1]] = found


@kernel
def gather_phase(
    plane: NDArray[np.uint8], axes: tuple[Axis, Axis], tile: tuple[int, int], phase: tuple[int, int], found: IntArray
) -> int:
    """Set found[value] = (outer, inner) coordinate of the values of one tile and phase; return how many."""
    outer, inner = axes
    count = 0
    for y in range(outer.tile_start[tile[0]], outer.tile_start[tile[0] + 1]):
        if outer.phase[y] != phase[0]:
            continue
        for x in range(inner.tile_start[tile[1]], inner.tile_start[tile[1] + 1]):
            if plane[y, x] and inner.phase[x] == phase[1]:
                found[count, 0], found[count, 1] = y, x
                count += 1
    return count


@kernel
def meeting_range(axis: Axis, which: int, group: IntArray, whole: tuple[int, int]) -> tuple[int, int]:
    """First and last place within `whole` between which lies all that a group meets on one axis (`which`)."""
    first, last = whole[1] + 1, whole[0] - 1
    for value in range(group.shape[0]):
        coordinate = group[value, which]
        if axis.met[coordinate, 0] <= axis.met[coordinate, 1]:
            first = min(first, axis.met[coordinate, 0])
            last = max(last, axis.met[coordinate, 1])
    return max(first, whole[0]), min(last, whole[1])


@kernel
def pair_group(
    axes: tuple[Axis, Axis], group: IntArray, rectangle: tuple[int, int, int, int], banks: Banks, pairs: Pairs
) -> int:
    """Find the places of a rectangle (first, last outer; first, last inner) that meet a group; return how many."""
    outer, inner = axes
    places = inner.result.shape[1]
    meeting = np.empty(group.shape[0], dtype=np.int64)
    count = 0
    for outer_place in range(rectangle[0], rectangle[1] + 1):
        values = 0
        for value in range(group.shape[0]):
            if outer.result[group[value, 0], outer_place] >= 0:
                meeting[values] = value
                values += 1
        if values == 0:
            continue
        for inner_place in range(rectangle[2], rectangle[3] + 1):
            results = 0
            for index in range(values):
                value = meeting[index]
                inner_result = inner.result[group[value, 1], inner_place]
                if inner_result >= 0:
                    outer_result = outer.result[group[value, 0], outer_place]
                    pairs.result_class[count, results] = banks.result[outer_result, inner_result]
                    results += 1
            if results > 0:
                pairs.place[count] = outer_place * places + inner_place
                pairs.results[count] = results
                count += 1
    return count


@kernel
def fetched_before(
    start: IntArray, rectangle: tuple[int, int, int, int], places: int, exact: bool, pairs: IntArray, before: IntArray
) -> int:
    """Set before[pair] = values fetched before those at place pairs[pair]; return how many are fetched in all."""
    fetched = 0
    pair = 0
    if exact:
        for pair in range(pairs.shape[0]):
            before[pair] = fetched
            fetched += start[pairs[pair] + 1] - start[pairs[pair]]
        return fetched
    for outer_place in range(rectangle[0], rectangle[1] + 1):
        first, last = outer_place * places + rectangle[2], outer_place * places + rectangle[3]
        while pair < pairs.shape[0] and pairs[pair] <= last:
            before[pair] = fetched + start[pairs[pair]] - start[first]
            pair += 1
        if first <= last:
            fetched += start[last + 1] - start[first]
    return fetched


@kernel
def run_steps(
    values: tuple[IntArray, IntArray], pairs: Pairs, before: IntArray, steps: tuple[int, int], banks: Banks,
    state: tuple[int, IntArray, int],
) -> tuple[int, int]:  # fmt: skip
    """Time after all steps, and the results; values: as `Lists` of a block; steps: how many, and values of each.

    state: time, when each bank has added what waits for it, and how many products may wait at the end of a step. Only
    steps with results are walked through: one whose products all fall outside takes a cycle.
    """
    start, row_class = values
    count, per_step = steps
    time, free, queue = state
    current, inside = -1, 0
    latest = time
    for pair in range(before.shape[0]):
        place, results = pairs.place[pair], pairs.results[pair]
        step = before[pair] // per_step
        left = per_step - (before[pair] - step * per_step)
        inside += results * (start[place + 1] - start[place])
        for value in range(start[place], start[place + 1]):
            if left == 0:
                step += 1
                left = per_step
            if step != current:
                if current >= 0:
                    time = max(time + 1, latest - queue)
                time += step - current - 1
                current, latest = step, time
            left -= 1
            bank_of = banks.of[row_class[value]]
            for result in range(results):
                bank = bank_of[pairs.result_class[pair, result]]
                free[bank] = max(free[bank], time) + 1
                latest = max(latest, free[bank])
    if current >= 0:
        time = max(time + 1, latest - queue)
    return time + count - current - 1, inside


@kernel
def multiply_phase(
    axes: tuple[Axis, Axis], values: IntArray, whole: tuple[int, int, int, int], lists: Lists,
    settings: tuple[Array, Banks, Pairs, IntArray], state: State,
) -> None:  # fmt: skip
    """Multiply the values of a tile and phase by the places of `whole`."""
    array, banks, pairs, before = settings
    at_once, per_step = array.per_step
    products = state.products
    places = axes[1].result.shape[1]
    for first in range(0, values.shape[0], at_once):
        group = values[first : first + at_once]
        outer = meeting_range(axes[0], 0, group, (whole[0], whole[1]))
        inner = meeting_range(axes[1], 1, group, (whole[2], whole[3]))
        met = (outer[0], outer[1], inner[0], inner[1])
        count = pair_group(axes, group, met, banks, pairs)
        rectangle = whole if array.fetched == ALL else met
        for block in range(state.time.shape[0]):
            start = lists.start[block]
            fetched = fetched_before(
                start, rectangle, places, array.fetched == EXACT, pairs.place[:count], before[:count]
            )
            state.time[block], inside = run_steps(
                (start, lists.row_class), pairs, before[:count], (-(-fetched // per_step), per_step), banks,
                (state.time[block], state.free[block], array.bank_queue),
            )  # fmt: skip
            # Where each pair is checked by itself, those that fall outside are not multiplied.
            products[0] += inside if array.fetched == EXACT else fetched * group.shape[0]
            products[1] += inside


@kernel
def multiply_tile(
    plane: NDArray[np.uint8], axes: tuple[Axis, Axis], tile: tuple[int, int], lists: Lists,
    settings: tuple[Array, Banks, Pairs, IntArray], scratch: tuple[IntArray, State],
) -> None:  # fmt: skip
    """One channel on one PE; scratch: room for the values found, and the PE's state."""
    found, state = scratch
    for outer_phase in range(axes[0].phase_places.shape[0]):
        outer = axes[0].phase_places[outer_phase]
        first_outer = max(outer[0], axes[0].tile_places[tile[0], 0])
        last_outer = min(outer[1], axes[0].tile_places[tile[0], 1])
        if first_outer > last_outer:
            continue
        for inner_phase in range(axes[1].phase_places.shape[0]):
            inner = axes[1].phase_places[inner_phase]
            first_inner = max(inner[0], axes[1].tile_places[tile[1], 0])
            last_inner = min(inner[1], axes[1].tile_places[tile[1], 1])
            if first_inner > last_inner:
                continue
            count = gather_phase(plane, axes, tile, (outer_phase, inner_phase), found)
            whole = (first_outer, last_outer, first_inner, last_inner)
            multiply_phase(axes, found[:count], whole, lists, settings, state)


@kernel
def waiting_products(time: IntArray, free: IntArray, waiting: IntArray) -> bool:
    """Set waiting[PE, block, bank] to what is left to add, and say whether it was that already."""
    same = True
    for tile in range(free.shape[0]):
        for block in range(free.shape[1]):
            for bank in range(free.shape[2]):
                left = max(free[tile, block, bank] - time[tile, block], 0)
                same = same and waiting[tile, block, bank] == left
                waiting[tile, block, bank] = left
    return same


@kernel
def multiply_image(
    image: NDArray[np.uint8], axes: tuple[Axis, Axis], operand: Operand, banks: Banks, array: Array, work: Work
) -> None:
    """Set the cycles of image[channel, outer, inner] and add to its products; Source: SCNN (ISCA 2017), §3.

    An image of a single channel stands for as many that are alike as `work` has.
    """
    blocks, channels, tiles = work.cycles.shape
    inner_tiles = axes[1].tile_places.shape[0]
    places = operand.offset.shape[1]
    lists = Lists(
        np.empty((blocks, places + 1), dtype=np.int64), np.empty(operand.base.shape[0] * places, dtype=np.int64)
    )
    pairs = Pairs(
        np.empty(places, dtype=np.int64), np.empty(places, dtype=np.int64),
        np.empty((places, array.per_step[0]), dtype=np.int64),
    )  # fmt: skip
    found = np.empty((image.shape[1] * image.shape[2], 2), dtype=np.int64)
    # PEs that finish each channel start from empty banks, at whatever time.
    states = tiles if array.runs_on else 1
    time = np.zeros((states, blocks), dtype=np.int64)
    free = np.zeros((states, blocks, banks.banks), dtype=np.int64)
    waiting = np.zeros(free.shape, dtype=np.int64)
    settings = (array, banks, pairs, np.empty(places, dtype=np.int64))
    alike = image.shape[0] < channels
    for channel in range(channels):
        if channel < operand.offset.shape[0]:
            list_values(operand, channel, array.block_rows, banks, lists)
        before = work.products.copy()
        for tile in range(tiles):
            number = tile if array.runs_on else 0
            state = State(time[number], free[number], work.products)
            work.cycles[:, channel, tile] = -state.time
            where = (tile // inner_tiles, tile % inner_tiles)
            multiply_tile(image[0 if alike else channel], axes, where, lists, settings, (found, state))
            if not array.runs_on or channel == channels - 1:
                for block in range(blocks):
                    state.time[block] = max(state.time[block], state.free[block].max())
            work.cycles[:, channel, tile] += state.time
        left = channels - 1 - channel
        # What begins as the one before it began goes as that went.
        if alike and left > 0 and (not array.runs_on or waiting_products(time, free, waiting)):
            work.products[:] += left * (work.products - before)
            for later in range(channel + 1, channels):
                work.cycles[:, later] = work.cycles[:, channel]
            for tile in range(tiles if array.runs_on else 0):
                for block in range(blocks):
                    work.cycles[block, channels - 1, tile] += waiting[tile, block].max()
            break
