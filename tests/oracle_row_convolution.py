"""Elements that walk through image rows, one non-zero after another, and multiply it by the taps of a kernel row.

Nothing here is shared with swatsim. `oracle_vectors` says which convolution a layer is, and which taps a phase of a
strided input gradient has.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from oracle_vectors import Convolution, OracleLayer, convolution_of, definition, layer_result, phase_taps


@dataclass(frozen=True, slots=True, kw_only=True)
class Elements:
    """The keys that decide the machine's cycles."""

    tiles: int = 1
    rows: int = 1
    columns: int = 1
    lanes: int = 3
    barrier: str = "round"
    tile_split: str = "rows"
    step_order: str = "crs"

    def overrides(self) -> dict[str, Any]:
        return {
            "tiles": self.tiles, "tile.rows": self.rows, "tile.columns": self.columns, "tile.lanes": self.lanes,
            "datapath.barrier": self.barrier, "mapping.tile_split": self.tile_split,
            "mapping.step_order": self.step_order, "mapping.window_order": "npq",
        }  # fmt: skip

    @property
    def multipliers(self) -> int:
        return self.tiles * self.rows * self.columns * self.lanes

    @property
    def places(self) -> list[tuple[int, int]]:
        """Elements along the rows and the columns, for each split of the tiles."""
        divisors = [rows for rows in range(1, self.tiles + 1) if self.tiles % rows == 0]
        choices = {"rows": [self.tiles], "columns": [1], "best": divisors}[self.tile_split]
        return [(self.rows * each, self.columns * (self.tiles // each)) for each in choices]


Product = tuple[tuple[int, ...], int]  # which result it adds to, and by how much
Cycle = list[Product]
# What an element does for a task (row, column): its cycles, one after another.
Task = Callable[[int, int], Iterator[Cycle]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Tasks of one group, and which elements do which: row i · column j."""

    rows: int
    columns: int
    task: Task


def in_turns(taps: list[Product], lanes: int) -> Iterator[Cycle]:
    """So many multipliers at a time."""
    for first in range(0, len(taps), lanes):
        yield taps[first : first + lanes]


def padded_turns(taps: list[Product | None], lanes: int) -> Iterator[Cycle]:
    """The same where a place without a product takes its multiplier all the same."""
    for turn in in_turns(taps, lanes):  # type: ignore[arg-type]
        yield [product for product in turn if product is not None]


def image_work(
    image: np.ndarray, axes: tuple[list[list[int]], list[list[int]]], weight: Callable[..., int],
    place: Callable[..., tuple[int, ...]], machine: Elements, *, skip: bool,
) -> Work:  # fmt: skip
    """forward and input_grad: `axes[axis][tap][window]` is the coordinate of the image that they meet at."""
    y_of, x_of = axes
    images, channels, height, width = image.shape
    touched = sorted({x for tap in x_of for x in tap})

    def task(filter: int, output_row: int) -> Iterator[Cycle]:
        n, u = divmod(output_row, len(y_of[0]))
        for c, r in itertools.product(range(channels), range(len(y_of))):
            y = y_of[r][u]
            for x in touched:
                inside = 0 <= y < height and 0 <= x < width
                value = int(image[n, c, y, x]) if inside else 0
                if skip and value == 0:
                    continue
                products: list[Product | None] = []
                for s in range(len(x_of)):
                    meets = [v for v, at in enumerate(x_of[s]) if at == x]
                    assert len(meets) <= 1
                    products += [(place(n, filter, u, v), value * weight(filter, c, r, s)) for v in meets] or [None]
                yield from padded_turns(products, machine.lanes)

    return Work(rows=0, columns=images * len(y_of[0]), task=task)


def works(conv: Convolution, machine: Elements, *, skip: bool) -> Iterator[list[Work]]:
    """Of each contraction the work of its groups."""
    if conv.what == "output":
        taps = [list(range(kernel)) for kernel in conv.shape_w[2:]]
        axes = tuple(
            [
                [v * conv.stride[axis] + tap * conv.dilation[axis] - conv.padding[2 * axis]
                 for v in range(conv.shape_y[2 + axis])]
                for tap in taps[axis]
            ]
            for axis in (0, 1)
        )  # fmt: skip
        yield [forward_work(conv, group, axes, machine, skip) for group in range(conv.groups)]
    elif conv.what == "x_grad":
        for phase in itertools.product(range(conv.stride[0]), range(conv.stride[1])):
            found = [phase_taps(conv, axis, phase[axis]) for axis in (0, 1)]
            if any(not taps or windows == 0 for windows, taps, _ in found):
                continue
            axes = tuple(
                [
                    [(phase[axis] + u * conv.stride[axis] + conv.padding[2 * axis] - tap * conv.dilation[axis])
                     // conv.stride[axis] for u in range(found[axis][0])]
                    for tap in found[axis][1]
                ]
                for axis in (0, 1)
            )  # fmt: skip
            taps = (found[0][1], found[1][1])
            yield [input_grad_work(conv, group, axes, (taps, phase), machine, skip) for group in range(conv.groups)]
    else:
        yield [weight_grad_work(conv, group, machine, skip) for group in range(conv.groups)]


def forward_work(conv: Convolution, group: int, axes: Any, machine: Elements, skip: bool) -> Work:
    filters, per_group = conv.shape_w[:2]
    own = filters // conv.groups
    image = conv.x[:, group * per_group : (group + 1) * per_group]
    work = image_work(
        image, axes, lambda k, c, r, s: int(conv.w[group * own + k, c, r, s]),
        lambda n, k, p, q: (n, group * own + k, p, q), machine, skip=skip,
    )  # fmt: skip
    return Work(rows=own, columns=work.columns, task=work.task)


def input_grad_work(conv: Convolution, group: int, axes: Any, phase: Any, machine: Elements, skip: bool) -> Work:
    filters, per_group = conv.shape_w[:2]
    own = filters // conv.groups
    (r_taps, s_taps), (i, j) = phase
    work = image_work(
        conv.g[:, group * own : (group + 1) * own], axes,
        lambda c, k, r, s: int(conv.w[group * own + k, c, r_taps[r], s_taps[s]]),
        lambda n, c, u, v: (n, group * per_group + c, i + u * conv.stride[0], j + v * conv.stride[1]),
        machine, skip=skip,
    )  # fmt: skip
    return Work(rows=per_group, columns=work.columns, task=work.task)


def weight_grad_work(conv: Convolution, group: int, machine: Elements, skip: bool) -> Work:
    """A task is one kernel row of one channel and filter: every row of the output gradient meets a row of the input."""
    filters, per_group, kernel_h, kernel_w = conv.shape_w
    own = filters // conv.groups
    images, _, height, width = conv.shape_x
    if machine.step_order == "crs":
        units = list(itertools.product(range(per_group), range(kernel_h)))
    else:
        units = [(c, r) for r in range(kernel_h) for c in range(per_group)]

    def task(filter: int, unit: int) -> Iterator[Cycle]:
        k, (channel, r) = group * own + filter, units[unit]
        c = group * per_group + channel
        for n, p, q in itertools.product(range(images), *map(range, conv.shape_y[2:])):
            gradient = int(conv.g[n, k, p, q])
            if skip and gradient == 0:
                continue
            taps = []
            for s in range(kernel_w):
                h = p * conv.stride[0] + r * conv.dilation[0] - conv.padding[0]
                w = q * conv.stride[1] + s * conv.dilation[1] - conv.padding[2]
                inside = 0 <= h < height and 0 <= w < width
                value = int(conv.x[n, c, h, w]) if inside else 0
                if value or not skip:
                    taps.append(((k, channel, r, s), gradient * value))
            yield from in_turns(taps, machine.lanes)

    return Work(rows=own, columns=len(units), task=task)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the elements did for one contraction."""

    cycles: int
    met: int  # products of non-zeros
    multiplied: int  # products, those of zeros that are not skipped among them
    busy: np.ndarray  # [row, column]: cycles of each element without waiting
    tasks: np.ndarray  # likewise


def execute(groups: list[Work], places: tuple[int, int], machine: Elements, result: np.ndarray) -> Run:
    """Run all tasks, dealt in rounds to the elements."""
    clock, busy, dealt = (np.zeros(places, np.int64) for _ in range(3))
    met = multiplied = 0
    for work in groups:
        tasks = [(i, j) for i in range(0, work.rows, places[0]) for j in range(0, work.columns, places[1])]
        for first, second in tasks:
            for a, b in np.ndindex(*places):
                if first + a >= work.rows or second + b >= work.columns:
                    continue
                dealt[a, b] += 1
                for cycle in work.task(first + a, second + b):
                    assert len(cycle) <= machine.lanes, "more products than multipliers"
                    clock[a, b] += 1
                    busy[a, b] += 1
                    multiplied += len(cycle)
                    for place, product in cycle:
                        result[place] += product
                        met += product != 0
            if machine.barrier == "round":
                clock[:] = clock.max()
    return Run(cycles=int(clock.max()), met=met, multiplied=multiplied, busy=busy, tasks=dealt)


def runs(layer: OracleLayer, pass_name: str, machine: Elements, *, skip: bool) -> list[Run]:
    """Each contraction of a pass, with the first split of the tiles."""
    conv = convolution_of(layer, pass_name)
    result = np.zeros(conv.result_shape, np.int64)
    return [execute(groups, machine.places[0], machine, result) for groups in works(conv, machine, skip=skip)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    cycles: int
    dense_cycles: int
    met: int


def run_pass(layer: OracleLayer, pass_name: str, machine: Elements) -> Counts:
    """One pass, whose result must be what `definition` says, with skipping and without."""
    conv = convolution_of(layer, pass_name)
    expected = definition(layer, pass_name)
    totals, products = [], []
    for skip in (True, False):
        fewest = 0
        results = [np.zeros(conv.result_shape, np.int64) for _ in machine.places]
        counts = [0] * len(machine.places)
        for groups in works(conv, machine, skip=skip):
            of_splits = [
                execute(groups, places, machine, result) for places, result in zip(machine.places, results, strict=True)
            ]
            fewest += min(run.cycles for run in of_splits)
            counts = [count + run.met for count, run in zip(counts, of_splits, strict=True)]
        for result in results:
            assert np.array_equal(layer_result(layer, pass_name, result), expected), f"{pass_name}: another tensor"
        totals.append(fewest)
        products.append(counts)
    assert len({count for counts in products for count in counts}) == 1, "not every effectual product was computed once"
    return Counts(cycles=totals[0], dense_cycles=totals[1], met=products[0][0])
