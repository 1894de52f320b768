"""How an image is tiled over a grid of PEs, and which places of the other operand its values meet."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.contraction import Contraction
from swatsim.datapaths.outer.keys import Keys
from swatsim.datapaths.outer.tables import Axis
from swatsim.errors import MappingError
from swatsim.keys.machine import Machine
from swatsim.sides import Windows
from swatsim.way import Split

IntArray = NDArray[np.int64]


class Pairing(NamedTuple):
    """Which coordinates y of the image meet which places of the other operand, along one axis."""

    result: IntArray  # [y, place]: coordinate of the result, -1 where the pair falls outside
    phase: IntArray  # [y]
    phase_places: IntArray  # [phase, 2]: first and last place, the last before the first where there is none
    order: IntArray  # [place]: tap (or position of the output gradient)


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """A contraction on the grid of PEs that works on one image."""

    axes: tuple[Axis, Axis]  # of height and width
    order: tuple[IntArray, IntArray]  # [place], as in `Pairing`
    grid: tuple[int, int]  # of PEs, for each of `blocks_at_once` blocks of rows
    bands: tuple[int, int]  # an image is worked on in so many, each on the grid
    results: tuple[int, int]
    block_rows: int
    blocks_at_once: int
    halo: int  # sums of a row that a PE sends to the neighbour that gets most, in all bands
    used: tuple[int, int]  # PEs of the grid that have something
    width_outside: bool  # whether the width is walked through outside of the height


def pair(contraction: Contraction) -> tuple[Pairing, Pairing]:
    """The exact convolution: tap r meets coordinate starts[r] + stride · u, u being the place in weight_grad."""
    return tuple(_pair_axis(contraction, axis) for axis in (0, 1))  # type: ignore[return-value]


def _pair_axis(contraction: Contraction, axis: int) -> Pairing:
    windows, size = contraction.windows, contraction.image.shape[2 + axis]
    starts, stride, count = windows.starts[axis], windows.stride[axis], windows.counts[axis]
    coordinates = np.arange(size)[:, None]
    phases = starts % stride
    if contraction.taps is None:
        order = np.arange(count)
        tap_at = np.full(2 * size + stride * count + 2 * int(np.abs(starts).max()) + 1, -1)
        # Negative distances count from the end, where nothing else is.
        tap_at[starts] = np.arange(starts.size)
        result = tap_at[coordinates - stride * order]
        phase_places = np.array([(0, count - 1 if phase in phases else -1) for phase in range(stride)])
    else:
        order = np.argsort(phases, kind="stable")
        position, rest = np.divmod(coordinates - starts[order], stride)
        result = np.where((rest == 0) & (position >= 0) & (position < count), position, -1)
        last = np.cumsum(np.bincount(phases, minlength=stride)) - 1
        phase_places = np.stack([np.append(0, last[:-1] + 1), last], axis=1)
    return Pairing(result, coordinates[:, 0] % stride, phase_places, order)


def geometry(
    contraction: Contraction, machine: Machine[Keys], split: Split, pairing: tuple[Pairing, Pairing] | None = None
) -> Geometry:
    """Tile the image over the grid of PEs that a split leaves for it.

    Raises MappingError where a PE cannot hold the sums of one row.
    """
    grid, rows = sub_grid(contraction, machine, split), contraction.rows.vectors
    assert grid is not None, "only splits with a grid are offered"
    share = -(-rows // split.row_tiles)
    results, bands, held = _held(contraction, machine.datapath, grid, share)
    sizes = contraction.image.shape[2:]
    pairings = pair(contraction) if pairing is None else pairing
    axes, tile = [], []
    for axis in (0, 1):
        before, after = contraction.windows.span(axis, sizes[axis])
        tiles = grid[axis] * bands[axis]
        tile.append(-(-(before + sizes[axis] + after) // tiles))
        start = np.clip(np.arange(tiles + 1) * tile[axis] - before, 0, sizes[axis])
        axes.append(_axis(pairings[axis], start, everywhere=contraction.taps is not None))
    used = tuple(
        min(int(np.count_nonzero(np.diff(axis.tile_start))), part) for axis, part in zip(axes, grid, strict=True)
    )
    return Geometry(
        axes=(axes[0], axes[1]), order=(pairings[0].order, pairings[1].order), grid=grid, bands=bands,
        results=results, used=(used[0], used[1]),
        block_rows=min(held, share), blocks_at_once=split.row_tiles,
        halo=_halo(contraction.windows, tile, axes) * bands[0] * bands[1],
        width_outside=machine.mapping.window_order == "nqp",
    )  # fmt: skip


def _held(
    contraction: Contraction, datapath: Keys, grid: tuple[int, int], share: int
) -> tuple[tuple[int, int], tuple[int, int], int]:
    """Results along both axes, bands, and of how many rows a PE can hold the sums; `share` is what it gets at most."""
    windows, entries = contraction.windows, datapath.accumulator_entries
    if contraction.taps is not None:
        bands = _bands(windows.counts, grid, entries // min(datapath.minimum_rows, share))
        return windows.counts, bands, entries // largest_area(windows.counts, (grid[0] * bands[0], grid[1] * bands[1]))
    results = (windows.starts[0].size, windows.starts[1].size)
    if results[0] * results[1] > entries:
        needed = f"{results[0]} x {results[1]} taps, of which a PE has to hold all sums in weight_grad"
        raise MappingError(f"got {needed}, expected at most datapath.accumulator_entries = {entries}")
    return results, (1, 1), entries // (results[0] * results[1])


def largest_area(results: tuple[int, int], grid: tuple[int, int]) -> int:
    """Results of the largest tile."""
    return -(-results[0] // grid[0]) * -(-results[1] // grid[1])


def _bands(results: tuple[int, int], grid: tuple[int, int], entries: int) -> tuple[int, int]:
    """Bands along each axis, so that a PE has at most `entries` results; along the height as far as that goes."""
    along = -(-results[1] // grid[1])
    if along <= entries:
        tallest = entries // along
        return -(-results[0] // (grid[0] * tallest)), 1
    return -(-results[0] // grid[0]), -(-results[1] // (grid[1] * entries))


def _axis(pairing: Pairing, tile_start: IntArray, *, everywhere: bool) -> Axis:
    present = pairing.result >= 0
    met = _first_and_last(present)
    places = np.tile(np.array([0, pairing.order.size - 1]), (tile_start.size - 1, 1))
    if not everywhere:
        tiles = [present[start:stop].any(axis=0) for start, stop in itertools.pairwise(tile_start)]
        places = _first_and_last(np.array(tiles))
    result = np.ascontiguousarray(pairing.result)
    return Axis(result, met, pairing.phase, pairing.phase_places, tile_start, places)


def _first_and_last(present: NDArray[np.bool_]) -> IntArray:
    """Of each line of a table; 0 and -1 where there is none."""
    first = present.argmax(axis=1)
    last = present.shape[1] - 1 - present[:, ::-1].argmax(axis=1)
    some = present.any(axis=1)
    return np.stack([np.where(some, first, 0), np.where(some, last, -1)], axis=1)


def _halo(windows: Windows, tile: Sequence[int], axes: Sequence[Axis]) -> int:
    extents = []
    for axis in (0, 1):
        starts = windows.starts[axis]
        alone = np.count_nonzero(np.diff(axes[axis].tile_start)) <= 1
        before, after = (0, 0) if alone else (max(int(starts.max()), 0), max(-int(starts.min()), 0))
        extents.append((before, tile[axis], after))
    return max(extents[0][i] * extents[1][j] for i in range(3) for j in range(3) if (i, j) != (1, 1))


def sub_grid(contraction: Contraction, machine: Machine[Keys], split: Split) -> tuple[int, int] | None:
    """The grid of column_tiles PEs that works on an image; None where the PEs cannot be divided so.

    Of several, the one with the smallest tiles, then the taller one.
    """
    height, width = machine.datapath.grid
    sizes = [size + sum(contraction.windows.span(axis, size)) for axis, size in enumerate(contraction.image.shape[2:])]
    fitting = [
        (tall, split.column_tiles // tall)
        for tall in range(1, height + 1)
        if height % tall == 0 and split.column_tiles % tall == 0 and width % (split.column_tiles // tall) == 0
    ]
    return min(fitting, key=lambda grid: (largest_area((sizes[0], sizes[1]), grid), -grid[0]), default=None)
