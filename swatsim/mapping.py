"""Which rows and columns of the machine work on what, and in which steps (docs/model.md §1-2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swatsim.contraction import Contraction
from swatsim.keys.machine import Machine
from swatsim.sides import Side
from swatsim.way import Extent, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A contraction in one orientation: what is on the rows, what on the columns, and the lanes of each step."""

    rows: Side
    columns: Side
    row_offset: NDArray[np.int64]  # [step, lane]: as Side.offset; -1 where a lane has no operand
    column_offset: NDArray[np.int64]
    transposed: bool  # rows and columns of the contraction were exchanged

    @property
    def groups(self) -> int:
        """Groups of the convolution, one after another."""
        return self.rows.groups

    @property
    def steps(self) -> int:
        """Steps of one buffer: the whole reduction of one row."""
        return int(self.row_offset.shape[0])

    @property
    def elements(self) -> int:
        """Elements of the reduction, the padding of lanes not counted."""
        return self.rows.offset.size


def map_contraction(contraction: Contraction, machine: Machine[Any]) -> Mapping:
    """Cut the reduction into steps of lanes, in the order that the machine asks for."""
    rows, columns = contraction.rows, contraction.columns
    row_offset, column_offset = (_steps(side.offset, contraction.taps, machine) for side in (rows, columns))
    return Mapping(rows=rows, columns=columns, row_offset=row_offset, column_offset=column_offset, transposed=False)


def transpose(mapping: Mapping) -> Mapping:
    """Put the column operand on the rows."""
    return Mapping(
        rows=mapping.columns, columns=mapping.rows,
        row_offset=mapping.column_offset, column_offset=mapping.row_offset,
        transposed=not mapping.transposed,
    )  # fmt: skip


def splits(machine: Machine[Any]) -> Iterator[Split]:
    """The allowed splits of the tiles, those with more row tiles first."""
    tiles = machine.tiles
    if machine.mapping.tile_split == "rows":
        yield Split(row_tiles=tiles, column_tiles=1)
    elif machine.mapping.tile_split == "columns":
        yield Split(row_tiles=1, column_tiles=tiles)
    else:
        yield from divisions(tiles)


def divisions(tiles: int) -> Iterator[Split]:
    """Every split of the tiles, those with more row tiles first."""
    for row_tiles in range(tiles, 0, -1):
        if tiles % row_tiles == 0:
            yield Split(row_tiles=row_tiles, column_tiles=tiles // row_tiles)


def extents(machine: Machine[Any], split: Split) -> tuple[Extent, Extent]:
    """The machine's row side and column side under a split."""
    return (
        Extent.of(machine.tile.rows, split.row_tiles),
        Extent.of(machine.tile.columns, split.column_tiles),
    )


def _steps(offset: NDArray[np.int64], taps: tuple[int, int] | None, machine: Machine[Any]) -> NDArray[np.int64]:
    lanes, step_order = machine.tile.lanes, machine.mapping.step_order
    if taps is None:
        return _bricks(offset, machine).reshape(-1, lanes)
    elements = offset.shape[1]
    tap_axes = tuple("rs".index(letter) for letter in step_order if letter != "c")
    if machine.mapping.flatten == "auto" and elements < lanes and offset.shape[0] > 1:
        by_tap = offset.reshape(*taps, elements).transpose(*tap_axes, 2)
        return _bricks(by_tap.reshape(1, -1), machine).reshape(-1, lanes)
    axes = tuple("rsc".index(letter) for letter in step_order)
    bricks = _bricks(offset, machine).reshape(*taps, -1, lanes).transpose(*axes, 3)
    return np.ascontiguousarray(bricks).reshape(-1, lanes)


def _bricks(offset: NDArray[np.int64], machine: Machine[Any]) -> NDArray[np.int64]:
    """Deal the elements of each segment to the lanes [segment, brick, lane]; -1 where there are no more."""
    lanes = machine.tile.lanes
    padded = np.pad(offset, ((0, 0), (0, -offset.shape[1] % lanes)), constant_values=-1)
    if machine.mapping.lane_channels == "blocked":
        # A lane holds a contiguous part (Cnvlutin, ISCA 2016).
        return np.ascontiguousarray(padded.reshape(len(offset), lanes, -1).swapaxes(1, 2))
    return padded.reshape(len(offset), -1, lanes)
