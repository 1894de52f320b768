"""Cartesian products: a PE multiplies a few values of an image by a few of the other operand, each by each.

Both operands have two coordinates, here *outer* and *inner*. Those of the image are tiled over the PEs; the values of
the other operand lie at *places*, each with one value per row (a filter). A pair adds to one *result* or to none.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.bits import ONE, read_bits
from swatsim.kernels.cartesian_steps import (
    KEY,
    PHASE,
    RESULTS,
    VALUES,
    Banks,
    Classes,
    Fetched,
    IntArray,
    Pairs,
    Steps,
    Words,
    drain_banks,
    is_listed,
    list_steps,
    met_range,
    pair_group,
    run_steps,
)
from swatsim.kernels.compile import array_kernel, kernel

# Which places are fetched for a group of values of the image.
EVERY, BETWEEN, EXACT = 0, 1, 2
# Columns of visits.
TILE, OUTER, INNER, OUTER_PHASE, INNER_PHASE, OUTER_PLACES, INNER_PLACES = 0, 1, 3, 5, 6, 7, 9


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


class Progress(NamedTuple):
    """What PEs have done so far, and what is made anew for each visit or group."""

    state: Words  # [tile, block, word]: what waits, in lanes
    before: Words  # [tile, block, word]: what waited when the channel began, if a channel may be as the one before it
    cycles: IntArray  # [tile, block]: of the channel
    products: IntArray  # [tile, 2]: of the channel
    found: IntArray  # [value, 2]: coordinates of the values of a visit
    pairs: Pairs
    steps: Steps


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
                # Whether a value is there no branch could foretell: what is not is written over.
                found[count, 0], found[count, 1] = y, x
                count += int((image[channel, y, x] != 0) & (inner[x, PHASE] == visits[visit, INNER_PHASE]))
    return count


@kernel
def is_repeated(state: Words, before: Words, tile: int) -> bool:
    """Whether the same products wait."""
    same = True
    for block in range(state.shape[1]):
        for word in range(state.shape[2]):
            same = same and state[tile, block, word] == before[tile, block, word]
    return same


@kernel
def begin_channel(state: Words, before: Words, cycles: IntArray, products: IntArray, tile: int) -> None:
    """Count from zero, and keep what waits, if there is room."""
    products[tile, 0] = products[tile, 1] = 0
    for block in range(state.shape[1]):
        if before.size > 0:
            for word in range(state.shape[2]):
                before[tile, block, word] = state[tile, block, word]
        cycles[tile, block] = 0


@kernel
def multiply_channel(
    of_image: tuple[NDArray[np.uint8], int], grid: Grid, values: tuple[IntArray, Classes],
    settings: tuple[Banks, Array], progress: Progress, work: Work,
) -> None:  # fmt: skip
    """Multiply a channel by places, tile by tile; values: as `Values` of a list."""
    (image, channel), (outer, inner, visits), (start, row_class), (banks, array) = of_image, grid, values, settings
    axes, made = (outer, inner), (progress.pairs, progress.steps)
    state, before, spent, products, found, pairs, steps = progress
    at_once, per_step, mode, runs_on = array
    met, _, number = pairs
    ends, lanes, (cycles, total) = steps.ends, banks.lanes, work
    channels, blocks, words = cycles.shape[1], state.shape[1], lanes.words
    columns, exact, size, of_value = inner.shape[1] - RESULTS, mode == EXACT, banks.one.shape[1], 1 / per_step
    which, tile, repeated = min(channel, image.shape[0] - 1), -1, False
    for visit in range(visits.shape[0]):
        if visit == 0 or visits[visit, TILE] != tile:
            tile = visits[visit, TILE]
            # What begins as the one before it began goes as that went.
            repeated = channel > 0 and image.shape[0] < channels and is_repeated(state, before, tile)
            if not repeated:
                begin_channel(state, before, spent, products, tile)
        count = 0 if repeated else gather_values(image, which, grid, visit, found)
        every = (
            (visits[visit, OUTER_PLACES], visits[visit, OUTER_PLACES + 1]),
            (visits[visit, INNER_PLACES], visits[visit, INNER_PLACES + 1]),
        )
        for first in range(0, count, at_once):
            group = (first, min(first + at_once, count) - 1)
            met_outer = met_range(outer, found, 0, group, every[0])
            met_inner = met_range(inner, found, 1, group, every[1])
            paired = pair_group(axes, found, banks, group, (met_outer, met_inner), pairs)
            rows = every[0] if mode == EVERY else met_outer
            row = every[1] if mode == EVERY else met_inner
            if rows[0] <= rows[1] and row[0] <= row[1]:
                if not is_listed(rows, row, paired, pairs, steps):
                    fetched = Fetched(
                        paired, exact, (rows[0] * columns + row[0], rows[0] * columns + row[1]),
                        rows[1] * columns + row[1], columns, per_step, of_value, size, words,
                    )  # fmt: skip
                    list_steps(start, row_class, fetched, pairs, steps)
                run_steps(per_step, made, lanes, state, spent, tile)
                fetched_values, inside = 0, 0
                for block in range(blocks):
                    fetched_values += ends[VALUES, block]
                for pair in range(paired):
                    inside += met[pair, 1] * number[pair]
                # Where each pair is checked by itself, those that fall outside are not multiplied.
                products[tile, 0] += inside if exact else fetched_values * (group[1] + 1 - group[0])
                products[tile, 1] += inside
        if visit + 1 == visits.shape[0] or visits[visit + 1, TILE] != tile:
            if channel == channels - 1 or not (runs_on or repeated):
                drain_banks(state, spent, tile, lanes)
            for block in range(blocks):
                cycles[block, channel, tile] = spent[tile, block]
            total[0] += products[tile, 0]
            total[1] += products[tile, 1]


@array_kernel
def multiply_image(
    image: NDArray[np.uint8], grid: Grid, values: Values, banks: Banks, array: Array, work: Work
) -> None:
    """Set the cycles of image[channel, outer, inner] where they are visited, and add to their products.

    An image of a single channel stands for as many that are alike as `work` has. Source: SCNN (ISCA 2017), §3.
    """
    channels, tiles, places, words = *work.cycles.shape[1:], values.start.shape[2] - 1, banks.lanes.words
    lists, blocks, most = values.start.shape[0], values.start.shape[1], 0
    for which in range(lists):
        most = max(most, values.start[which, blocks - 1, places] - values.start[which, 0, 0])
    # In each block the last step may not be full, and there may be one before any that has a result.
    most = most // array.per_step + 2 * blocks
    progress = Progress(
        np.zeros((tiles, blocks, words), dtype=np.uint64),
        np.zeros((tiles if image.shape[0] < channels else 0, blocks, words), dtype=np.uint64),
        np.zeros((tiles, blocks), dtype=np.int64),
        np.zeros((tiles, 2), dtype=np.int64),
        np.empty((image.shape[1] * image.shape[2], 2), dtype=np.int64),
        Pairs(
            np.empty((places, 2), dtype=np.int64),
            np.zeros((1 + places) * banks.one.shape[1], dtype=np.uint64),
            np.empty(places, dtype=np.int64),
        ),
        Steps(
            np.empty(KEY + places, dtype=np.int64), np.empty(most, dtype=np.uint32), np.empty(most, dtype=np.uint32),
            np.empty(most * array.per_step, dtype=np.uint32), np.empty((3, blocks), dtype=np.int64),
        ),
    )  # fmt: skip
    # All tiles in turn: they fetch the same.
    for channel in range(channels):
        if lists > 1 or channel == 0:
            progress.steps.fetched[KEY - 1] = -1
        of_list = values.start[min(channel, lists - 1)]
        multiply_channel((image, channel), grid, (of_list, values.row_class), (banks, array), progress, work)
