"""The work of all PEs on a contraction, image by image."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.contraction import Contraction
from swatsim.datapaths.outer.geometry import Geometry
from swatsim.datapaths.outer.keys import Keys
from swatsim.datapaths.outer.tables import pack_axes, pack_banks
from swatsim.kernels.cartesian import (
    BETWEEN,
    EVERY,
    EXACT,
    TILE,
    Array,
    Grid,
    Operand,
    Values,
    Work,
    list_values,
    multiply_image,
)
from swatsim.kernels.cartesian_steps import Banks
from swatsim.keys.machine import Machine
from swatsim.sharing import share

IntArray = NDArray[np.int64]
FETCHED = {"none": EVERY, "range": BETWEEN, "exact": EXACT}
# Of a piece of work: about 50 ms.
PRODUCTS_AT_ONCE = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What the PEs do until the slowest ones are done."""

    cycles: IntArray  # [group, round of rows, round of columns: an image, or in weight_grad a channel]
    once: int  # cycles, if PEs waited for each other only at the end of each round
    working: int  # PE-cycles
    products: int  # multiplied
    inside: int  # of these, those that add to a result


def count(contraction: Contraction, shape: Geometry, machine: Machine[Keys], *, dense: bool) -> Count:
    """Multiply all images and groups; the dense machine does the same for each image, which is counted once."""
    image, weight_grad = contraction.image, contraction.taps is None
    groups, images, channels = contraction.rows.groups, image.shape[0], image.shape[1] // contraction.rows.groups
    setting = _setting(contraction, shape, machine)
    together, each = [], []
    working, products = 0, np.zeros(2, dtype=np.int64)
    for group in range(1 if dense else groups):
        found, multiplied = _multiply(contraction, shape, setting, None if dense else group)
        rounds = (_weight_grad_rounds if weight_grad else _image_rounds)(found, shape)
        together.append(rounds[0])
        each.append(rounds[1])
        working += rounds[2]
        products += multiplied
    cycles = np.stack(each if machine.datapath.barrier == "channel" else together)
    once, times = int(np.sum(together)), 1
    if dense:
        columns, within = (channels, images) if weight_grad else (images, 1)
        cycles = np.broadcast_to(cycles * within, (groups, cycles.shape[1], columns))
        times = groups * images
    return Count(
        cycles=cycles, once=times * once, working=times * working,
        products=times * int(products[0]), inside=times * int(products[1]),
    )  # fmt: skip


class _Setting(NamedTuple):
    grid: Grid
    tiles: int
    offsets: list[IntArray]
    row_class: NDArray[np.uint16]
    banks: Banks
    array: Array


def _setting(contraction: Contraction, shape: Geometry, machine: Machine[Keys]) -> _Setting:
    datapath = machine.datapath
    row_class, result_class, of = _bank_classes(datapath, shape, contraction.rows.vectors)
    array = Array(
        at_once=machine.tile.columns, per_step=machine.tile.rows, fetched=FETCHED[datapath.anticipate],
        # In weight_grad the accumulators are emptied after each channel.
        runs_on=datapath.barrier == "round" and contraction.taps is not None,
    )  # fmt: skip
    return _Setting(
        grid=pack_axes(shape.axes[::-1] if shape.width_outside else shape.axes),
        tiles=shape.axes[0].tile_places.shape[0] * shape.axes[1].tile_places.shape[0],
        offsets=_offsets(contraction, shape),
        row_class=row_class.astype(np.uint16),
        banks=pack_banks(of, result_class, datapath.bank_queue, array),
        array=array,
    )  # fmt: skip


def _multiply(
    contraction: Contraction, shape: Geometry, setting: _Setting, group: int | None
) -> tuple[list[IntArray], IntArray]:
    """Cycles [block of rows, channel, tile] of each image, and products, of a group, or of one image of only ones."""
    image, rows = contraction.image, contraction.rows
    channels = image.shape[1] // rows.groups
    if group is None:
        planes = np.ones((1, 1, *image.shape[2:]), dtype=np.uint8)
        operands = [Operand(np.ones(2, np.uint64), np.zeros_like(rows.base[0]), np.zeros_like(setting.offsets[0][:1]))]
    else:
        planes = image.values[:, group * channels : (group + 1) * channels].view(np.uint8)
        operands = [Operand(rows.words, rows.base[group], offset) for offset in setting.offsets]
    planes = np.ascontiguousarray(planes.swapaxes(2, 3) if shape.width_outside else planes)
    values = [_values(operand, shape.block_rows, setting.row_class) for operand in operands]
    tiles = setting.tiles
    found: list[IntArray] = []
    pieces: list[Callable[[], IntArray]] = []
    for number, plane in enumerate(planes):
        of_image = values[number % len(values)]
        found.append(np.zeros((of_image.start.shape[1], channels, tiles), dtype=np.int64))
        products = int(np.count_nonzero(plane)) * int(of_image.start[-1, -1, -1]) // len(of_image.start)
        pieces += [
            partial(_multiply_tiles, plane, part, of_image, setting, found[-1])
            for part in _parts(setting.grid, tiles, products)
        ]
    return found, np.sum(share(pieces), axis=0)


def _parts(grid: Grid, tiles: int, products: int) -> Iterable[Grid]:
    """The visits of some tiles each, for about as many products as are a piece of work."""
    parts = min(tiles, 1 + products // PRODUCTS_AT_ONCE)
    edges = np.searchsorted(grid.visits[:, TILE], np.arange(parts + 1) * tiles // parts)
    return (grid._replace(visits=grid.visits[first:last]) for first, last in itertools.pairwise(edges))


def _multiply_tiles(
    plane: NDArray[np.uint8], grid: Grid, values: Values, setting: _Setting, cycles: IntArray
) -> IntArray:
    work = Work(cycles, np.zeros(2, dtype=np.int64))
    multiply_image(plane, grid, values, setting.banks, setting.array, work)
    return work.products


def _values(operand: Operand, block_rows: int, row_class: NDArray[np.uint16]) -> Values:
    (lists, places), rows = operand.offset.shape, operand.base.size
    values = Values(
        np.empty((lists, -(-rows // block_rows), places + 1), dtype=np.int64),
        np.empty(lists * places * rows, dtype=np.uint16),
    )
    list_values(operand, block_rows, row_class, values)
    return values


def _image_rounds(found: Iterable[IntArray], shape: Geometry) -> tuple[IntArray, IntArray, int]:
    """Cycles [round of rows, image] with PEs waiting once a round, and at each channel; PE-cycles."""
    together, each, working = [], [], 0
    for cycles in found:
        together.append(_slowest(cycles.sum(axis=1, keepdims=True), shape)[:, 0])
        each.append(_slowest(cycles, shape).sum(axis=1))
        working += int(cycles.sum())
    return np.stack(together, axis=1), np.stack(each, axis=1), working


def _weight_grad_rounds(found: Iterable[IntArray], shape: Geometry) -> tuple[IntArray, IntArray, int]:
    """The same with [round of rows, channel]: all images add to the sums of a channel."""
    total, each = np.zeros(1, np.int64), np.zeros(1, np.int64)
    for cycles in found:
        total, each = total + cycles, each + _slowest(cycles, shape)
    return _slowest(total, shape), each, int(total.sum())


def _slowest(cycles: IntArray, shape: Geometry) -> IntArray:
    """Of the PEs that work side by side, [round of rows, channel], from [block of rows, channel, tile]."""
    blocks, channels, _ = cycles.shape
    at_once = shape.blocks_at_once
    (grid, bands) = (pair[::-1] if shape.width_outside else pair for pair in (shape.grid, shape.bands))
    padded = np.pad(cycles, ((0, -blocks % at_once), (0, 0), (0, 0)))
    parted = padded.reshape(-1, at_once, channels, bands[0], grid[0], bands[1], grid[1])
    slowest: IntArray = parted.max(axis=(1, 4, 6)).sum(axis=(2, 3))
    return slowest


def _offsets(contraction: Contraction, shape: Geometry) -> list[IntArray]:
    """Offsets [list, place] of the row operand: for all images, or in weight_grad for each."""
    offset = contraction.rows.offset
    if contraction.taps is None:
        return [offset[image : image + 1] for image in range(offset.shape[0])]
    taps = shape.order[0][:, None] * contraction.taps[1] + shape.order[1]
    return [np.ascontiguousarray(offset[(taps.T if shape.width_outside else taps).reshape(-1)].T)]


def _bank_classes(datapath: Keys, shape: Geometry, rows: int) -> tuple[IntArray, IntArray, IntArray]:
    """Classes of rows and of results, and the bank of [class of row, class of result].

    Source: SCNN's hash as an independent simulator has it.
    """
    number, results = datapath.accumulator_banks, shape.results
    y, x, row = np.arange(results[0])[:, None], np.arange(results[1]), np.arange(rows)
    if datapath.bank_hash == "modulo":
        row_class, result_class = row * results[0] * results[1] % number, (y * results[1] + x) % number
        of = np.add.outer(np.arange(number), np.arange(number)) % number
    else:
        row_class, result_class = row % 8, y % 4 * 4 + x % 4
        filters, (height, width) = np.arange(8)[:, None], np.divmod(np.arange(16), 4)
        mixed = (filters & 4) << 2 ^ (height & 2) << 3 ^ (width & 2) << 3
        of = (mixed + ((height & 1) << 3) + ((width & 1) << 2) + (filters & 3)) % number
    return row_class, np.ascontiguousarray(result_class.T if shape.width_outside else result_class), of
