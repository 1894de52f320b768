"""The kernel of Cartesian products against a twin that holds sets and dictionaries instead of tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from kernel_cases import packed_words, randoms
from oracle_cases import between

from swatsim.datapaths.outer.tables import Axis, pack_axes, pack_banks
from swatsim.kernels.cartesian import (
    BETWEEN,
    EVERY,
    EXACT,
    TILE,
    Array,
    Operand,
    Values,
    Work,
    is_repeated,
    list_values,
    multiply_image,
)
from swatsim.kernels.cartesian_steps import KEY, Pairs, Steps, is_listed, met_range

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
    alike: bool  # all channels are as the first one
    present: np.ndarray  # [list, outer place, inner place, row]
    bank: np.ndarray  # [class of row, class of result]
    bank_queue: int
    row_class: np.ndarray
    result_class: np.ndarray
    array: Array
    block_rows: int


@st.composite
def cases(draw):
    random = draw(randoms())
    results = (draw(between(1, 4)), draw(between(1, 4)))
    both = tuple(draw(lines(random, draw(st.sampled_from((1, 2, 3))), results[axis])) for axis in (0, 1))
    channels, rows = draw(between(1, 4)), draw(between(1, 9))
    # Banks of the first and of the last of four words of lanes, and of more words.
    banks, lowest = draw(between(1, 5)), draw(st.sampled_from((0, 27, 36)))
    lists = draw(st.sampled_from((1, channels)))
    places = [line.result.shape[1] for line in both]
    image = random.random((channels, *(len(line.phase) for line in both))) < draw(FULL)
    alike = lists == 1 and draw(st.sampled_from((True, True, False)))
    return Case(
        lines=both, image=np.broadcast_to(image[:1], image.shape) if alike else image, alike=alike,
        present=random.random((lists, *places, rows)) < draw(FULL),
        bank=random.integers(lowest, lowest + banks, (3, 4)), row_class=random.integers(0, 3, rows),
        result_class=random.integers(0, 4, results),
        array=Array(
            at_once=draw(between(1, 4)), per_step=draw(st.sampled_from((1, 2, 3, 4, 4, 8))),
            fetched=draw(st.sampled_from((EVERY, BETWEEN, EXACT))), runs_on=draw(st.booleans()),
        ),
        # Lanes of 8, 16 and 32 bits.
        bank_queue=draw(st.sampled_from((0, 0, 1, 2, 5, 5, 200, 40000))), block_rows=draw(between(1, 4)),
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
    for group in chunks(positions, case.array.at_once):
        meets = {
            (a, b): [(outer[y, a], inner[x, b]) for y, x in group if outer[y, a] >= 0 and inner[x, b] >= 0]
            for a in bounds[0] for b in bounds[1]
        }  # fmt: skip
        places = list(meets)
        if case.array.fetched == EXACT:
            places = [place for place in places if meets[place]]
        if case.array.fetched == BETWEEN:
            rows = [a for y, _ in group for a in np.flatnonzero(outer[y] >= 0)]
            columns = [b for _, x in group for b in np.flatnonzero(inner[x] >= 0)]
            places = [
                (a, b) for a, b in places
                if rows and columns and min(rows) <= a <= max(rows) and min(columns) <= b <= max(columns)
            ]  # fmt: skip
        values = [(place, row) for place in places for row in block if case.present[(which, *place, row)]]
        for step in chunks(values, case.array.per_step):
            banks = Counter(
                case.bank[case.row_class[row], case.result_class[result]]
                for place, row in step
                for result in meets[place]
            )
            waiting.update(banks)
            spent = max(1, max(waiting.values(), default=0) - case.bank_queue)
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
    blocks = chunks(range(case.present.shape[3]), case.block_rows)
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


def multiplied(case, shape):
    """As `Work`, with cycles of a shape."""
    lists, *places, rows = case.present.shape
    count = places[0] * places[1]
    operand = Operand(
        packed_words(case.present.reshape(-1).tolist()), np.arange(rows),
        np.arange(lists)[:, None] * count * rows + np.arange(count) * rows,
    )  # fmt: skip
    start = np.full((lists, -(-rows // case.block_rows), count + 1), -7)
    values = Values(start, np.full(case.present.size, 7, np.uint16))
    list_values(operand, case.block_rows, case.row_class.astype(np.uint16), values)
    assert (start[0, 0, 0], start[-1, -1, -1]) == (0, case.present.sum())
    work = Work(np.zeros(shape, np.int64), np.zeros(2, np.int64))
    grid = pack_axes((case.lines[0].axis(), case.lines[1].axis()))
    banks = pack_banks(case.bank, case.result_class, case.bank_queue, case.array)
    image = case.image[:1] if case.alike else case.image
    # The tiles are done in two pieces.
    middle = np.searchsorted(grid.visits[:, TILE], 1)
    for visits in (grid.visits[middle:], grid.visits[:middle]):
        multiply_image(image.astype(np.uint8), grid._replace(visits=visits), values, banks, case.array, work)
    return work


@FEWER
@given(cases())
def test_multiply_image(case):
    event(f"fetched {case.array.fetched}, {case.bank_queue} wait")
    expected = twin(case)
    for found, wanted in zip(multiplied(case, np.shape(expected[0])), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_channels_that_are_alike_end_as_one_does():
    """Two products of each of 12 channels for the same bank, which is never idle, and at the end has added them all."""
    outer, inner = (
        Line(np.zeros((size, 1), int), np.zeros(size, int), [(0, 0)], [0, size], [(0, 0)]) for size in (2, 1)
    )
    case = Case(
        lines=(outer, inner), image=np.ones((12, 2, 1), bool), alike=True,
        present=np.ones((1, 1, 1, 1), bool), bank=np.zeros((1, 1), int), bank_queue=5, row_class=np.zeros(1, int),
        result_class=np.zeros((1, 1), int), array=Array(2, 1, EXACT, True), block_rows=1,
    )  # fmt: skip
    assert multiplied(case, (1, 12, 1)).cycles.sum() == 12 * 2 == np.sum(twin(case)[0])


def test_groups_with_as_many_places_of_others_are_told_apart():
    """Two values, one after the other, meet a place each, of which only the second one has weights."""
    both = Line(np.array([[0, -1], [-1, 0]]), np.zeros(2, int), [(0, 1)], [0, 2], [(0, 1)])
    one = Line(np.zeros((1, 1), int), np.zeros(1, int), [(0, 0)], [0, 1], [(0, 0)])
    case = Case(
        lines=(both, one), image=np.ones((1, 2, 1), bool), alike=False,
        present=np.array([0, 0, 0, 1, 1, 1], bool).reshape(1, 2, 1, 3), bank=np.zeros((1, 1), int), bank_queue=0,
        row_class=np.zeros(3, int), result_class=np.zeros((1, 1), int), array=Array(1, 4, EVERY, True), block_rows=3,
    )  # fmt: skip
    expected = twin(case)
    assert expected[0] == [[[4]]], "a step in which all falls outside, and three sums for one bank"
    for found, wanted in zip(multiplied(case, (1, 1, 1)), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(("groups", "bank", "per_step"), [(1, 31, 4), (3, 31, 4), (3, 36, 5)])
def test_cycles_in_which_all_falls_outside_empty_banks(groups, bank, per_step):
    """Products of the last bank wait; as many cycles as values outside fill, also before a group's own."""
    outside = Line(np.array([[-1, 0, -1]] * 2 * groups), np.zeros(2 * groups, int), [(0, 2)], [0, 2 * groups], [(0, 2)])
    one = Line(np.zeros((1, 1), int), np.zeros(1, int), [(0, 0)], [0, 1], [(0, 0)])
    case = Case(
        lines=(outside, one), image=np.ones((1, 2 * groups, 1), bool), alike=False,
        present=np.ones((1, 3, 1, 8), bool),
        bank=np.full((1, 1), bank), bank_queue=100, row_class=np.zeros(8, int), result_class=np.zeros((1, 1), int),
        array=Array(2, per_step, EVERY, True), block_rows=8,
    )  # fmt: skip
    expected = twin(case)
    for found, wanted in zip(multiplied(case, (1, 1, 1)), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("first_bank", [0, 8, 16, 24])
def test_what_waits_for_a_bank_holds_up_the_steps_of_others(first_bank):
    """Four products of one bank, then four of the next, where two may wait: 2 and 2 cycles, and 2 at the end."""
    two = Line(np.array([[0, 1]]), np.zeros(1, int), [(0, 1)], [0, 1], [(0, 1)])
    one = Line(np.zeros((1, 1), int), np.zeros(1, int), [(0, 0)], [0, 1], [(0, 0)])
    case = Case(
        lines=(two, one), image=np.ones((1, 1, 1), bool), alike=False, present=np.ones((1, 2, 1, 4), bool),
        bank=first_bank + np.array([[0, 1]]), bank_queue=2, row_class=np.zeros(4, int),
        result_class=np.array([[0], [1]]), array=Array(1, 4, EVERY, True), block_rows=4,
    )  # fmt: skip
    assert multiplied(case, (1, 1, 1)).cycles.sum() == 6 == np.sum(twin(case)[0])


def test_steps_are_listed_again_for_other_places_alone():
    """Same rows, columns, count and places of a group: the steps there are serve it too."""

    def asked(rows, row, places):
        pairs = Pairs(np.array([(place, 1) for place in places]), np.zeros(0, np.uint64), np.zeros(0, int))
        return is_listed(rows, row, len(places), pairs, steps)

    nothing = np.zeros(0, np.uint32)
    steps = Steps(np.full(KEY + 3, -1), nothing, nothing, nothing, np.zeros((3, 1), int))
    first = ((1, 2), (3, 4), (5, 6))
    others = [((0, 2), (3, 4), (5, 6)), ((1, 1), (3, 4), (5, 6)), ((1, 2), (0, 4), (5, 6)), ((1, 2), (3, 3), (5, 6)),
              ((1, 2), (3, 4), (5,)), ((1, 2), (3, 4), (0, 6)), ((1, 2), (3, 4), (5, 0)),
              ((1, 2), (3, 4), (5, 6, 7))]  # fmt: skip
    for other in others:
        assert not asked(*first)
        assert asked(*first)
        assert not asked(*other)
        assert asked(*other)


@pytest.mark.parametrize(
    ("coordinates", "whole", "expected"),
    [
        ([0], (0, 5), (1, 2)),
        ([0, 2], (0, 5), (1, 4)),
        ([2, 1, 0], (2, 3), (2, 3)),
        ([0], (2, 5), (2, 2)),
        ([2], (0, 3), (4, 3)),
        ([1], (0, 5), (6, -1)),
        ([1, 1], (3, 2), (3, 2)),
    ],
)
def test_range_of_the_places_that_a_group_meets(coordinates, whole, expected):
    """Coordinate 0 meets places 1 and 2, coordinate 1 none, coordinate 2 place 4."""
    axis = np.array([[0, 1, 2], [0, 0, -1], [0, 4, 4]])
    found = np.array([(9, 9), *((9, each) for each in coordinates), (9, 9)])
    assert met_range(axis, found, 1, (1, len(coordinates)), whole) == expected


def test_what_waits_is_compared_in_every_block_and_word():
    state = np.arange(12, dtype=np.uint64).reshape(2, 2, 3)
    assert is_repeated(state, state.copy(), 1)
    for block, word in np.ndindex(2, 3):
        other = state.copy()
        other[1, block, word] += np.uint64(20)
        assert not is_repeated(state, other, 1)
        assert is_repeated(state, other, 0)
