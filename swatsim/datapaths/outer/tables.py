"""The tables of the kernel: which places a tile visits, and in which lane of a word a bank is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.kernels.cartesian import Array, Grid
from swatsim.kernels.cartesian_steps import Banks, Lanes

IntArray = NDArray[np.int64]


class Axis(NamedTuple):
    """Which coordinates and places of one axis meet, and which PE has them; an empty range ends before its start."""

    result: IntArray  # [coordinate, place]: coordinate of the result, -1 where the pair falls outside
    met: IntArray  # [coordinate, 2]: first and last place with a result
    phase: IntArray  # [coordinate]: coordinates of one phase are worked on together
    phase_places: IntArray  # [phase, 2]: first and last place that a phase is paired with
    tile_start: IntArray  # [tile + 1]: first coordinate
    tile_places: IntArray  # [tile, 2]: first and last place that a tile has


def pack_axes(axes: tuple[Axis, Axis]) -> Grid:
    """The outer and the inner axis, and what each tile visits: phases of which it has places."""
    outer, inner = (np.column_stack([axis.phase, axis.met, axis.result]) for axis in axes)
    shape = [size for axis in axes for size in (axis.tile_places.shape[0], axis.phase_places.shape[0])]
    tile_y, phase_y, tile_x, phase_x = np.indices(shape).transpose(0, 1, 3, 2, 4).reshape(4, -1)
    columns = [tile_y * shape[2] + tile_x]
    places = []
    for axis, tile, phase in ((axes[0], tile_y, phase_y), (axes[1], tile_x, phase_x)):
        columns += [axis.tile_start[tile], axis.tile_start[tile + 1]]
        places += [
            np.maximum(axis.phase_places[phase, 0], axis.tile_places[tile, 0]),
            np.minimum(axis.phase_places[phase, 1], axis.tile_places[tile, 1]),
        ]
    visits = np.stack([*columns, phase_y, phase_x, *places], axis=1)
    return Grid(outer, inner, visits[(places[0] <= places[1]) & (places[2] <= places[3])])


def pack_banks(of: IntArray, result_class: IntArray, queue: int, array: Array) -> Banks:
    """Lanes of banks of[class of row, class of result], in which the products of a step and two more have room."""
    most = queue + array.at_once * array.per_step + 2
    bits = next(bits for bits in (8, 16, 32, 64) if most <= 1 << bits - 1)
    words = max(4, -(-(int(of.max()) + 1) * bits // 64))
    word, lane = np.divmod(of.T, 64 // bits)
    one = np.zeros((*word.shape, words), dtype=np.uint64)
    np.put_along_axis(one, word[..., None], np.uint64(1) << (lane * bits).astype(np.uint64)[..., None], axis=2)
    ones = np.uint64(sum(1 << lowest for lowest in range(0, 64, bits)))
    return Banks(
        one.reshape(one.shape[0], -1),
        result_class,
        Lanes(np.uint64(queue + 1) * ones, words, np.uint64(bits - 1), ones, ones << np.uint64(bits - 1)),
    )
