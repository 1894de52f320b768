"""A systolic array as registers that are clocked: what enters, what moves to a neighbour, what leaves.

Nothing here is shared with swatsim; the vectors come from `oracle_vectors`. Cycles are counted by clocking.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from oracle_vectors import OracleLayer, Order, contractions, convolution_of, definition, layer_result

ORDER = Order(lanes=1, flatten="never", step_order="crs", window_order="npq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """The keys that decide an array's cycles."""

    rows: int
    columns: int
    dataflow: str = "weight_stationary"
    overlap: bool = False
    stream_vectors: int | None = None
    tiles: int = 1
    tile_split: str = "rows"
    broken: str = ""

    def overrides(self) -> dict[str, Any]:
        return {
            "tiles": self.tiles, "tile.rows": self.rows, "tile.columns": self.columns,
            "datapath.dataflow": self.dataflow, "datapath.between_folds": "overlap" if self.overlap else "wait",
            "datapath.stream_vectors": self.stream_vectors, "mapping.tile_split": self.tile_split,
            "mapping.step_order": ORDER.step_order, "mapping.window_order": ORDER.window_order,
        }  # fmt: skip

    @property
    def splits(self) -> list[tuple[int, int]]:
        divisors = [rows for rows in range(1, self.tiles + 1) if self.tiles % rows == 0]
        choices = {"rows": [self.tiles], "columns": [1], "best": divisors}[self.tile_split]
        return [(rows, self.tiles // rows) for rows in choices]


@dataclass(slots=True, kw_only=True)
class Fold:
    """A piece of work of one tile: `still` stays in the array, `moving` passes by."""

    still: np.ndarray  # [array row, array column], or the shape of the results that stay
    moving: np.ndarray  # [vector, array row]; with results that stay [element, array row]
    across: np.ndarray | None = None  # [element, array column], with results that stay
    results: np.ndarray | None = None  # [vector, array column], or [array row, array column]
    load_starts: int = 0
    stream_starts: int = 0
    left: dict[tuple[int, int], int] = field(default_factory=dict)  # when each result left the array


class Stationary:
    """An array in which an operand stays, with a second register for the next fold's values."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.shadow: dict[tuple[int, int], tuple[int, int, int]] = {}  # by place: (fold, row it is meant for, value)
        self.active: dict[tuple[int, int], tuple[int, int]] = {}  # by place: (fold, value)
        self.falling: dict[tuple[int, int], tuple[int, int, int]] = {}  # values on their way down, by place
        self.right: dict[tuple[int, int], tuple[int, int, int]] = {}  # by place: (fold, vector, value)
        self.down: dict[tuple[int, int], tuple[int, int, int]] = {}  # by place: (fold, vector, sum)

    def clock(self, now: int, folds: list[Fold]) -> None:
        """One cycle: move, then multiply."""
        rows, columns = self.array.rows, self.array.columns
        right = {(r, c + 1): value for (r, c), value in self.right.items() if c + 1 < columns}
        for number, fold in enumerate(folds):
            for row in range(rows):
                vector = now - fold.stream_starts - (0 if self.array.broken == "skew" else row)
                if 0 <= vector < len(fold.moving):
                    assert (row, 0) not in right, "two values enter a row at once"
                    right[row, 0] = (number, vector, int(fold.moving[vector, row]))
        self.right = right
        above = {(r + 1, c): value for (r, c), value in self.down.items() if r + 1 < rows}
        sums: dict[tuple[int, int], tuple[int, int, int]] = {}
        for (row, column), (number, vector, value) in right.items():
            if self.active.get((row, column), (None, 0))[0] != number:
                fold, meant_for, weight = self.shadow.pop((row, column))
                assert (fold, meant_for) == (number, row), "a weight is not where it should be"
                self.active[row, column] = (number, weight)
            before = above.pop((row, column), (number, vector, 0))
            assert before[:2] == (number, vector), "a sum meets another vector's product"
            sums[row, column] = (number, vector, before[2] + value * self.active[row, column][1])
        assert not above, "a sum falls where nothing is added"
        self.down = sums
        self.load(now, folds)
        for column in range(columns):
            if (rows - 1, column) in sums:
                number, vector, total = sums[rows - 1, column]
                folds[number].results[vector, column] = total
                folds[number].left[vector, column] = now

    def load(self, now: int, folds: list[Fold]) -> None:
        """Weights enter each column at the top, the lowest row's first, and stay where they are meant for."""
        rows, columns = self.array.rows, self.array.columns
        falling = {(r + 1, c): value for (r, c), value in self.falling.items() if value[1] > r}
        for number, fold in enumerate(folds):
            for column in range(columns):
                step = now - fold.load_starts - column
                if 0 <= step < rows:
                    row = rows - 1 - step
                    wrong = self.array.broken == "weight" and step == 0
                    value = int(fold.still[row, column - 1 if wrong else column])
                    assert (0, column) not in falling
                    falling[0, column] = (number, row, value)
        for place, value in falling.items():
            waiting = self.shadow.get(place)
            assert waiting is None or waiting[0] == value[0], "a weight is lost before it was used"
            self.shadow[place] = value
        self.falling = falling


def run_stationary(folds: list[Fold], array: Array) -> int:
    """Clock all folds through, each as early as it can be; return the cycles."""
    machine = Stationary(array)
    begun: list[Fold] = []
    early = 1 if array.broken == "load" else 0
    now = 0
    while not begun or len(begun) < len(folds) or len(begun[-1].left) < begun[-1].results.size:
        if len(begun) < len(folds):
            fold, last = folds[len(begun)], begun[-1] if begun else None
            if last is None or (not array.overlap and len(last.left) == last.results.size):
                fold.load_starts = now
                fold.stream_starts = now + array.rows - early
                begun.append(fold)
            elif array.overlap and now == last.stream_starts:
                fold.load_starts = now
                fold.stream_starts = now + max(array.rows, len(last.moving)) - early
                begun.append(fold)
        machine.clock(now, begun)
        now += 1
    return now


Operand = dict[tuple[int, int], tuple[int, int, int]]  # by place: (fold, element, value)


class Results:
    """An array in which results stay; a finished sum moves to a second register, on which it leaves downwards."""

    def __init__(self, array: Array, folds: list[Fold]) -> None:
        self.array, self.folds = array, folds
        self.sums: dict[tuple[int, int], int] = {}
        self.right: Operand = {}
        self.down: Operand = {}
        self.leaving: Operand = {}  # by place: (fold, row that it comes from, sum)
        self.lowest_done: dict[tuple[int, int], int] = {}  # by (fold, column): when its lowest place has its sum

    def clock(self, now: int, begun: list[Fold]) -> None:
        """One cycle: results move down, operands to their neighbours, then all multiply."""
        self.drain(now)
        rows, columns = self.array.rows, self.array.columns
        self.right = {(r, c + 1): value for (r, c), value in self.right.items() if c + 1 < columns}
        self.down = {(r + 1, c): value for (r, c), value in self.down.items() if r + 1 < rows}
        for number, fold in enumerate(begun):
            self.right |= {(row, 0): entry for row, entry in self.entering(number, fold.moving, now)}
            self.down |= {(0, column): entry for column, entry in self.entering(number, fold.across, now)}
        for place, (number, element, value) in self.right.items():
            other = self.down[place]
            assert other[:2] == (number, element), "partners do not meet"
            self.sums[place] = (0 if element == 0 else self.sums[place]) + value * other[2]
            if element == len(begun[number].moving) - 1:
                assert place not in self.leaving, "a sum is overwritten before it left"
                self.leaving[place] = (number, place[0], self.sums[place])
                if place[0] == rows - 1:
                    self.lowest_done[number, place[1]] = now

    def entering(self, number: int, operand: np.ndarray, now: int) -> Iterator[tuple[int, tuple[int, int, int]]]:
        """What enters at the edge, each place a cycle after the one before it."""
        for place in range(operand.shape[1]):
            element = now - self.folds[number].stream_starts - place
            if 0 <= element < len(operand):
                yield place, (number, element, int(operand[element, place]))

    def drain(self, now: int) -> None:
        """What leaves moves down, once the lowest place of its column is done."""
        moved: Operand = {}
        for (row, column), (number, origin, total) in self.leaving.items():
            waits = now <= self.lowest_done.get((number, column), now)
            if not waits and row + 1 == self.array.rows:
                self.folds[number].results[origin, column] = total
                self.folds[number].left[origin, column] = now
                continue
            place = (row if waits else row + 1, column)
            assert place not in moved, "two sums in a register"
            moved[place] = (number, origin, total)
        self.leaving = moved


def run_output_stationary(folds: list[Fold], array: Array) -> int:
    """Clock all folds through, each as early as it can be; return the cycles."""
    machine = Results(array, folds)
    begun: list[Fold] = []
    now = 0
    while len(begun) < len(folds) or len(begun[-1].left) < begun[-1].results.size:
        if len(begun) < len(folds):
            last = begun[-1] if begun else None
            free = last is None or len(last.left) == last.results.size
            if array.overlap and last is not None:
                free = now == last.stream_starts + max(array.rows, len(last.moving))
            if free:
                begun.append(folds[len(begun)])
                begun[-1].stream_starts = now
        machine.clock(now, begun)
        now += 1
    return now


def filled(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The array beyond a fold's edge holds zeros."""
    out = np.zeros(shape, np.int64)
    out[: values.shape[0], : values.shape[1]] = values
    return out


def folds_of(
    rows: np.ndarray, columns: np.ndarray, array: Array, split: tuple[int, int]
) -> Iterator[tuple[Fold, int, int, int, int]]:
    """The folds of the tile that never has less than another, and of all tiles: (fold, group, row, column, tile)."""
    groups, vectors, elements = rows.shape
    others = columns.shape[1]
    if array.dataflow == "output_stationary":
        high, wide = array.rows, array.columns
    else:
        share = -(-others // split[1])
        high, wide = array.columns, min(array.stream_vectors or share, share)
    for group in range(groups):
        for row in range(0, vectors, high * split[0]):
            for column in range(0, others, wide * split[1]):
                tiles = [(row + i * high, column + j * wide) for i in range(split[0]) for j in range(split[1])]
                tiles = [(i, j) for i, j in tiles if i < vectors and j < others]
                for first in range(0, 1 if array.dataflow == "output_stationary" else elements, array.rows):
                    for tile, (i, j) in enumerate(tiles):
                        own, other = rows[group, i : i + high], columns[group, j : j + wide]
                        if array.dataflow == "output_stationary":
                            shape = (array.rows, array.columns)
                            fold = Fold(
                                still=np.zeros(shape), moving=filled(own.T, (elements, array.rows)),
                                across=filled(other.T, (elements, array.columns)), results=np.zeros(shape, np.int64),
                            )  # fmt: skip
                        else:
                            part = slice(first, first + array.rows)
                            fold = Fold(
                                still=filled(own[:, part].T, (array.rows, array.columns)),
                                moving=filled(other[:, part], (len(other), array.rows)),
                                results=np.zeros((len(other), array.columns), np.int64),
                            )  # fmt: skip
                        yield fold, group, i, j, tile


def run_array(rows: np.ndarray, columns: np.ndarray, array: Array, split: tuple[int, int]) -> tuple[int, np.ndarray]:
    """Cycles and sums [group, row, column]; every tile is clocked, and the slowest counts."""
    run = run_output_stationary if array.dataflow == "output_stationary" else run_stationary
    found = list(folds_of(rows, columns, array, split))
    # Tiles wait for each other at each fold: the first tile's folds, none shorter than another tile's, set the pace.
    cycles = run([fold for fold, *_, tile in found if tile == 0], array)
    for tile in range(1, max((tile for *_, tile in found), default=0) + 1):
        assert run([fold for fold, *_, own in found if own == tile], array) <= cycles
    sums = np.zeros((*rows.shape[:2], columns.shape[1]), np.int64)
    for fold, group, i, j, _ in found:
        result = fold.results if array.dataflow == "output_stationary" else fold.results.T
        place = sums[group, i : i + len(result), j : j + result.shape[1]]
        place += result[: place.shape[0], : place.shape[1]]
    assert np.array_equal(sums, np.einsum("gke,gje->gkj", rows, columns)), "the array computes another product"
    return cycles, sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    cycles: int
    macs: int


def run_pass(layer: OracleLayer, pass_name: str, array: Array) -> Counts:
    """One pass, whose result must be what `definition` says."""
    conv = convolution_of(layer, pass_name)
    result = np.zeros(conv.result_shape, np.int64)
    cycles, macs = 0, 0
    for contraction in contractions(conv, ORDER):
        rows, columns = (side.reshape(*side.shape[:2], -1) for side in (contraction.rows, contraction.columns))
        macs += rows.shape[0] * rows.shape[1] * rows.shape[2] * columns.shape[1]
        turned = array.dataflow == "input_stationary"
        sides = (columns, rows) if turned else (rows, columns)
        runs = [run_array(*sides, array, split) for split in array.splits]
        cycles += min(run[0] for run in runs)
        for group, first, second in np.ndindex(runs[0][1].shape):
            place = (second, first) if turned else (first, second)
            result[contraction.place(group, *place)] += runs[0][1][group, first, second]
    expected = definition(layer, pass_name)
    assert np.array_equal(layer_result(layer, pass_name, result), expected), f"{pass_name}: another tensor"
    return Counts(cycles=cycles, macs=macs)
