"""The kernel of Cartesian products against a twin that holds sets and dictionaries instead of tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st
from kernel_cases import packed_words, randoms
from oracle_cases import between

from swatsim.kernels.cartesian import ALL, EXACT, RANGE, Array, Axis, Banks, Operand, Work, multiply_image

# Tables of a whole image in each example.
FEWER = settings(max_examples=settings().max_examples // 2)


# Steps share a bank only where there is much to multiply.
FULL = st.sampled_from((0.0, 0.2, 0.5, 0.8, 1.0, 1.0))


class Line(NamedTuple):
    """One axis: any table of results, phases and tiles, whether a convolution has it or not."""

    result: np.ndarray  # [coordinate, place]
    phase: np.ndarray
    phase_places: list[tuple[int, int]]
    tile_start: list[int]
    tile_places: list[tuple[int, int]]

    def axis(self) -> Axis:
        present = [np.flatnonzero(line >= 0) for line in self.result]
        met = [(line[0], line[-1]) if line.size else (0, -1) for line in present]
        return Axis(
            self.result, np.array(met).reshape(-1, 2), self.phase, np.array(self.phase_places),
            np.array(self.tile_start), np.array(self.tile_places),
        )  # fmt: skip


@st.composite
def ranges(draw, places):
    """First and last place: all places more often than not."""
    if draw(st.booleans()):
        return 0, places - 1
    first = draw(st.integers(0, places - 1))
    return first, draw(st.integers(first - 1, places - 1))


@st.composite
def lines(draw, random, tiles, results):
    size, places, phases = draw(between(1, 6)), draw(between(1, 5)), draw(st.sampled_from((1, 1, 2, 3)))
    result = random.integers(-1, results, (size, places))
    cuts = sorted(draw(st.lists(st.integers(0, size), min_size=tiles - 1, max_size=tiles - 1)))
    return Line(
        result, random.integers(0, phases, size), [draw(ranges(places)) for _ in range(phases)],
        [0, *cuts, size], [draw(ranges(places)) for _ in range(tiles)],
    )  # fmt: skip


class Case(NamedTuple):
    lines: tuple[Line, Line]
    image: np.ndarray  # [channel, outer, inner]
    present: np.ndarray  # [list, outer place, inner place, row]
    bank: np.ndarray  # [class of row, class of result]
    row_class: np.ndarray
    result_class: np.ndarray
    array: Array


@st.composite
def cases(draw):
    random = draw(randoms())
    results = (draw(between(1, 4)), draw(between(1, 4)))
    both = tuple(draw(lines(random, draw(st.sampled_from((1, 2, 3))), results[axis])) for axis in (0, 1))
    channels, rows, banks = draw(between(1, 3)), draw(between(1, 9)), draw(between(1, 5))
    lists = draw(st.sampled_from((1, channels)))
    places = [line.result.shape[1] for line in both]
    return Case(
        lines=both,
        image=random.random((channels, *(len(line.phase) for line in both))) < draw(FULL),
        present=random.random((lists, *places, rows)) < draw(FULL),
        bank=random.integers(0, banks, (3, 4)), row_class=random.integers(0, 3, rows),
        result_class=random.integers(0, 4, results),
        array=Array(
            per_step=(draw(between(1, 4)), draw(between(1, 4))), block_rows=draw(between(1, 4)),
            fetched=draw(st.sampled_from((ALL, RANGE, EXACT))), bank_queue=draw(st.sampled_from((0, 0, 1, 2, 5))),
            runs_on=draw(st.booleans()),
        ),
    )  # fmt: skip


def chunks(values, size):
    return [values[start : start + size] for start in range(0, len(values), size)]


def within(bounds):
    return range(bounds[0], bounds[1] + 1)


def twin_phase(case, channel, block, positions, bounds, waiting):
    """(cycles, products, inside) of values of one tile and phase against the places in `bounds`; waiting: by bank."""
    cycles = products = inside = 0
    outer, inner = (line.result for line in case.lines)
    which = min(channel, case.present.shape[0] - 1)
    for group in chunks(positions, case.array.per_step[0]):
        meets = {
            (a, b): [(outer[y, a], inner[x, b]) for y, x in group if outer[y, a] >= 0 and inner[x, b] >= 0]
            for a in bounds[0] for b in bounds[1]
        }  # fmt: skip
        places = list(meets)
        if case.array.fetched == EXACT:
            places = [place for place in places if meets[place]]
        if case.array.fetched == RANGE:
            rows = [a for y, _ in group for a in np.flatnonzero(outer[y] >= 0)]
            columns = [b for _, x in group for b in np.flatnonzero(inner[x] >= 0)]
            places = [
                (a, b) for a, b in places
                if rows and columns and min(rows) <= a <= max(rows) and min(columns) <= b <= max(columns)
            ]  # fmt: skip
        values = [(place, row) for place in places for row in block if case.present[(which, *place, row)]]
        for step in chunks(values, case.array.per_step[1]):
            banks = Counter(
                case.bank[case.row_class[row], case.result_class[result]]
                for place, row in step
                for result in meets[place]
            )
            waiting.update(banks)
            spent = max(1, max(waiting.values(), default=0) - case.array.bank_queue)
            cycles += spent
            waiting.subtract(dict.fromkeys(waiting, spent))
            for bank in waiting:
                waiting[bank] = max(waiting[bank], 0)
            inside += banks.total()
            products += banks.total() if case.array.fetched == EXACT else len(group) * len(step)
    return cycles, products, inside


def twin(case):
    """As `Work`: by block, channel and tile."""
    array, (outer, inner) = case.array, case.lines
    blocks = chunks(range(case.present.shape[3]), array.block_rows)
    tiles = (len(outer.tile_places), len(inner.tile_places))
    spent, products = Counter(), np.zeros(2, int)
    waiting = defaultdict(Counter)
    for channel in range(case.image.shape[0]):
        for number, block in enumerate(blocks):
            for t, u in np.ndindex(tiles):
                for i, j in np.ndindex(len(outer.phase_places), len(inner.phase_places)):
                    positions = [
                        (y, x)
                        for y in range(outer.tile_start[t], outer.tile_start[t + 1])
                        for x in range(inner.tile_start[u], inner.tile_start[u + 1])
                        if case.image[channel, y, x] and (outer.phase[y], inner.phase[x]) == (i, j)
                    ]
                    bounds = [
                        [place for place in within(line.phase_places[phase]) if place in within(line.tile_places[tile])]
                        for line, phase, tile in ((outer, i, t), (inner, j, u))
                    ]
                    cycles, *found = twin_phase(case, channel, block, positions, bounds, waiting[number, t, u])
                    spent[number, channel, t, u] += cycles
                    products += found
                if not array.runs_on or channel == case.image.shape[0] - 1:
                    spent[number, channel, t, u] += max(waiting.pop((number, t, u), {0: 0}).values(), default=0)
    shape = (len(blocks), case.image.shape[0], *tiles)
    return [
        [[spent[number, channel, *tile] for tile in np.ndindex(tiles)] for channel in range(shape[1])]
        for number in range(shape[0])
    ], products


@FEWER
@given(cases())
def test_multiply_image(case):
    event(f"fetched {case.array.fetched}")
    lists, *places, rows = case.present.shape
    count = places[0] * places[1]
    operand = Operand(
        packed_words(case.present.reshape(-1).tolist()), np.arange(rows),
        np.arange(lists)[:, None] * count * rows + np.arange(count) * rows,
    )  # fmt: skip
    banks = Banks(case.bank.astype(np.int32), case.row_class, case.result_class, int(case.bank.max()) + 1)
    expected = twin(case)
    work = Work(np.full(np.shape(expected[0]), -7), np.zeros(2, np.int64))
    axes = (case.lines[0].axis(), case.lines[1].axis())
    multiply_image(case.image.astype(np.uint8), axes, operand, banks, case.array, work)
    for found, wanted in zip(work, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
