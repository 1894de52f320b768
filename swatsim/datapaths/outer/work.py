"""The work of all PEs on a contraction, image by image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swatsim.contraction import Contraction
from swatsim.datapaths.outer.geometry import Geometry
from swatsim.kernels.cartesian import ALL, EXACT, RANGE, Array, Axis, Banks, Operand, Work, multiply_image
from swatsim.keys.machine import Machine
from swatsim.keys.outer import Keys

IntArray = NDArray[np.int64]
FETCHED = {"none": ALL, "range": RANGE, "exact": EXACT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What the PEs do in the slowest PE's cycles."""

    cycles: IntArray  # [group, image, round of rows, channel]
    waits: tuple[int, int]  # PE-cycles until the PE with most in a round is done, and those between channels
    pe_cycles: int
    products: int  # multiplied
    inside: int  # of these, those that add to a result


def array_of(shape: Geometry, contraction: Contraction, machine: Machine[Keys], row_tiles: int) -> Array:
    """The PEs as the kernel sees them; grids that share the rows have about as many each."""
    swapped = _swapped(machine)
    return Array(
        grid=shape.grid[::-1] if swapped else shape.grid,
        per_step=(machine.tile.columns, machine.tile.rows),
        block_rows=min(shape.block_rows, -(-contraction.rows.vectors // row_tiles)),
        blocks_at_once=row_tiles,
        fetched=FETCHED[machine.datapath.anticipate],
    )


def _swapped(machine: Machine[Keys]) -> bool:
    """Whether the width is the outer axis."""
    return machine.mapping.window_order == "nqp"


def count(contraction: Contraction, shape: Geometry, array: Array, machine: Machine[Keys], *, dense: bool) -> Count:
    """Multiply all images and groups; the dense machine does the same for each channel, which is counted once."""
    swapped = _swapped(machine)
    axes = shape.axes[::-1] if swapped else shape.axes
    banks = _banks(machine.datapath, shape.results, contraction.rows.vectors, swapped)
    image, rows = contraction.image, contraction.rows
    images, channels = image.shape[0], image.shape[1] // rows.groups
    offsets = _offsets(contraction, shape, swapped)
    work = []
    for group in range(1 if dense else rows.groups):
        for number in range(1 if dense else images):
            if dense:
                plane = np.ones((1, *image.shape[2:]), dtype=np.uint8)
                operand = Operand(np.ones(1, np.uint8), np.zeros_like(rows.base[0]), np.zeros_like(offsets[0][:1]))
            else:
                plane = image[number, group * channels : (group + 1) * channels].view(np.uint8)
                operand = Operand(rows.present, rows.base[group], offsets[number % len(offsets)])
            plane = np.ascontiguousarray(plane.swapaxes(1, 2) if swapped else plane)
            done = _empty(array, rows.vectors, plane.shape[0], axes)
            multiply_image(plane, axes, operand, banks, array, done)
            work.append(done)
    cycles = np.stack([done.cycles for done in work])
    times = rows.groups * images * channels if dense else 1
    whole = (rows.groups, images, cycles.shape[1], channels)
    if dense:
        cycles = np.broadcast_to(cycles[:, None], whole)
    totals = times * np.sum([_totals(done, array, axes) for done in work], axis=0)
    return Count(
        cycles=cycles.reshape(whole), waits=(int(totals[0]), int(totals[1])), pe_cycles=int(totals[2]),
        products=times * sum(int(done.products[0]) for done in work),
        inside=times * sum(int(done.products[1]) for done in work),
    )  # fmt: skip


def _empty(array: Array, rows: int, channels: int, axes: tuple[Axis, Axis]) -> Work:
    blocks = -(-rows // array.block_rows)
    tiles = axes[0].tile_places.shape[0] * axes[1].tile_places.shape[0]
    return Work(
        cycles=np.zeros((-(-blocks // array.blocks_at_once), channels), dtype=np.int64),
        pe_cycles=np.zeros((blocks, tiles), dtype=np.int64),
        products=np.zeros(2, dtype=np.int64),
    )


def _totals(work: Work, array: Array, axes: tuple[Axis, Axis]) -> tuple[int, int, int]:
    """PE-cycles: waiting for the PE with most in a round and band, for others in single channels, and working."""
    blocks = work.pe_cycles.shape[0]
    tiles = [axis.tile_places.shape[0] for axis in axes]
    cycles = work.pe_cycles.reshape(blocks, *tiles)
    bands = [range(0, count, part) for count, part in zip(tiles, array.grid, strict=True)]
    most = sum(
        int(cycles[block : block + array.blocks_at_once, y : y + array.grid[0], x : x + array.grid[1]].max())
        for block in range(0, blocks, array.blocks_at_once) for y in bands[0] for x in bands[1]
    )  # fmt: skip
    pes = array.blocks_at_once * array.grid[0] * array.grid[1]
    working = int(cycles.sum())
    return most * pes - working, (int(work.cycles.sum()) - most) * pes, working


def _offsets(contraction: Contraction, shape: Geometry, swapped: bool) -> list[IntArray]:
    """Offsets [list, place] of the row operand: for all images, or in weight_grad for each."""
    offset = contraction.rows.offset
    if contraction.taps is None:
        return [offset[image : image + 1] for image in range(offset.shape[0])]
    taps = shape.order[0][:, None] * contraction.taps[1] + shape.order[1]
    return [np.ascontiguousarray(offset[(taps.T if swapped else taps).reshape(-1)].T)]


def _banks(datapath: Keys, results: tuple[int, int], rows: int, swapped: bool) -> Banks:
    """Source: SCNN's hash as an independent simulator has it."""
    number = datapath.accumulator_banks
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
        result=np.ascontiguousarray(result_class.T if swapped else result_class),
    )  # fmt: skip
