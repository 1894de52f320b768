"""The work of all PEs on a contraction, image by image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.contraction import Contraction
from swatsim.datapaths.outer.geometry import Geometry
from swatsim.datapaths.outer.keys import Keys
from swatsim.kernels.cartesian import ALL, EXACT, RANGE, Array, Axis, Banks, Operand, Work, multiply_image
from swatsim.keys.machine import Machine

IntArray = NDArray[np.int64]
FETCHED = {"none": ALL, "range": RANGE, "exact": EXACT}


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
        found = (
            _multiply(contraction, shape, setting, None if dense else (group, number), products)
            for number in range(1 if dense else images)
        )
        rounds = (_weight_grad_rounds if weight_grad else _image_rounds)(found, shape)
        together.append(rounds[0])
        each.append(rounds[1])
        working += rounds[2]
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
    axes: tuple[Axis, Axis]  # outer and inner
    offsets: list[IntArray]
    banks: Banks
    array: Array


def _setting(contraction: Contraction, shape: Geometry, machine: Machine[Keys]) -> _Setting:
    datapath = machine.datapath
    return _Setting(
        axes=shape.axes[::-1] if shape.width_outside else shape.axes,
        offsets=_offsets(contraction, shape),
        banks=_banks(datapath, shape, contraction.rows.vectors),
        array=Array(
            per_step=(machine.tile.columns, machine.tile.rows), block_rows=shape.block_rows,
            fetched=FETCHED[datapath.anticipate], bank_queue=datapath.bank_queue,
            # In weight_grad the accumulators are emptied after each channel.
            runs_on=datapath.barrier == "round" and contraction.taps is not None,
        ),
    )  # fmt: skip


def _multiply(
    contraction: Contraction, shape: Geometry, setting: _Setting, which: tuple[int, int] | None, products: IntArray
) -> IntArray:
    """Cycles [block of rows, channel, tile] of a group of an image, or of ones in both operands' place."""
    image, rows = contraction.image, contraction.rows
    channels = image.shape[1] // rows.groups
    if which is None:
        plane = np.ones((1, *image.shape[2:]), dtype=np.uint8)
        operand = Operand(np.ones(2, np.uint64), np.zeros_like(rows.base[0]), np.zeros_like(setting.offsets[0][:1]))
    else:
        group, number = which
        plane = image.values[number, group * channels : (group + 1) * channels].view(np.uint8)
        operand = Operand(rows.words, rows.base[group], setting.offsets[number % len(setting.offsets)])
    plane = np.ascontiguousarray(plane.swapaxes(1, 2) if shape.width_outside else plane)
    tiles = setting.axes[0].tile_places.shape[0] * setting.axes[1].tile_places.shape[0]
    cycles = np.zeros((-(-rows.vectors // shape.block_rows), channels, tiles), dtype=np.int64)
    multiply_image(plane, setting.axes, operand, setting.banks, setting.array, Work(cycles, products))
    return cycles


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


def _banks(datapath: Keys, shape: Geometry, rows: int) -> Banks:
    """Source: SCNN's hash as an independent simulator has it."""
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
    return Banks(
        of=of.astype(np.int32), row=row_class, banks=number,
        result=np.ascontiguousarray(result_class.T if shape.width_outside else result_class),
    )  # fmt: skip
