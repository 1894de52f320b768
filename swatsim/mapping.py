"""Which rows and columns of the machine work on what, and in which steps (docs/model.md §1-2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.caches import bounded_cache
from swatsim.contraction import Contraction
from swatsim.kernels.gather import count_in_parts, list_runs
from swatsim.keys.machine import Machine
from swatsim.sides import Reduction, Side
from swatsim.way import Extent, Split

# Of so many reductions: layers of one shape, and the parts that each is cut into, share them.
STEPS_KEPT = 128


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


def map_contraction(contraction: Contraction, machine: Machine[Any]) -> Mapping:
    """Cut the reduction into steps of lanes, in the order that the machine asks for."""
    rows, columns = contraction.rows, contraction.columns
    row_offset, column_offset = (
        _steps(side.reduction, contraction.taps, _dealing(machine)) for side in (rows, columns)
    )
    return Mapping(rows=rows, columns=columns, row_offset=row_offset, column_offset=column_offset, transposed=False)


def transpose(mapping: Mapping) -> Mapping:
    """Put the column operand on the rows."""
    return Mapping(
        rows=mapping.columns, columns=mapping.rows,
        row_offset=mapping.column_offset, column_offset=mapping.row_offset,
        transposed=not mapping.transposed,
    )  # fmt: skip


def count_chunks(side: Side, offset: NDArray[np.int64], chunk_steps: int) -> NDArray[np.int64]:
    """Values present in each chunk [group, vector, chunk] of steps offset[step, lane]."""
    edges = np.append(np.arange(0, offset.size, chunk_steps * offset.shape[1]), offset.size)
    counts = np.empty((side.base.size, edges.size - 1), dtype=np.int64)
    count_in_parts(side.words, side.base.reshape(-1), *list_runs(offset.reshape(-1), edges), counts)
    return counts.reshape(side.groups, side.vectors, -1)


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
    return _extents(machine.tile.rows, machine.tile.columns, split)


@lru_cache(maxsize=STEPS_KEPT)
def _extents(rows: int, columns: int, split: Split) -> tuple[Extent, Extent]:
    return Extent.of(rows, split.row_tiles), Extent.of(columns, split.column_tiles)


class _Dealing(NamedTuple):
    """How elements are dealt to steps and lanes."""

    lanes: int
    step_order: str
    flatten: bool
    blocked: bool


def _dealing(machine: Machine[Any]) -> _Dealing:
    keys = machine.mapping
    return _Dealing(machine.tile.lanes, keys.step_order, keys.flatten == "auto", keys.lane_channels == "blocked")


@bounded_cache
def _steps(reduction: Reduction, taps: tuple[int, int] | None, dealing: _Dealing) -> NDArray[np.int64]:
    offset, lanes = reduction.offset, dealing.lanes
    if taps is None:
        return _bricks(offset, dealing).reshape(-1, lanes)
    elements = offset.shape[1]
    tap_axes = tuple("rs".index(letter) for letter in dealing.step_order if letter != "c")
    if dealing.flatten and elements < lanes and offset.shape[0] > 1:
        by_tap = offset.reshape(*taps, elements).transpose(*tap_axes, 2)
        return _bricks(by_tap.reshape(1, -1), dealing).reshape(-1, lanes)
    axes = tuple("rsc".index(letter) for letter in dealing.step_order)
    bricks = _bricks(offset, dealing).reshape(*taps, -1, lanes).transpose(*axes, 3)
    return np.ascontiguousarray(bricks).reshape(-1, lanes)


def _bricks(offset: NDArray[np.int64], dealing: _Dealing) -> NDArray[np.int64]:
    """Deal the elements of each segment to the lanes [segment, brick, lane]; -1 where there are no more."""
    lanes, (segments, elements) = dealing.lanes, offset.shape
    padded = offset
    if elements % lanes:
        padded = np.full((segments, -(-elements // lanes) * lanes), -1)
        padded[:, :elements] = offset
    if dealing.blocked:
        # A lane holds a contiguous part (Cnvlutin, ISCA 2016).
        return np.ascontiguousarray(padded.reshape(len(offset), lanes, -1).swapaxes(1, 2))
    return padded.reshape(len(offset), -1, lanes)
