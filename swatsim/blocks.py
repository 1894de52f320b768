"""Cut a scheduled contraction into blocks that fit the buffers (docs/model.md §3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swatsim.architecture import LEVELS, Architecture
from swatsim.formats import stored_bytes
from swatsim.mapping import Extent, extents
from swatsim.schedule import PairedSchedule, PresentCounts, Schedule
from swatsim.sides import Lines

IntArray = NDArray[np.int64]
DENSE = dict.fromkeys(LEVELS, "dense")


@dataclass(frozen=True, slots=True, kw_only=True)
class TileBytes:
    """Bytes of the vectors of one operand that the tiles hold, [group, round]."""

    largest: IntArray  # in the tile that holds most
    total: IntArray  # in all tiles of this side together


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A schedule and the sizes by which it is cut; rows and columns are those of the machine."""

    schedule: Schedule
    row_extent: Extent
    column_extent: Extent
    row_bytes: TileBytes  # in SB
    column_bytes: TileBytes  # through NBin
    column_counts: PresentCounts
    formats: dict[str, str]  # by level
    value_bytes: int

    @property
    def row_rounds(self) -> int:
        """Rounds of the rows of one group."""
        return int(self.row_bytes.total.shape[1])

    @property
    def column_rounds(self) -> int:
        """Rounds of the columns of one group."""
        return int(self.column_bytes.total.shape[1])

    def row_vectors(self, rounds: slice) -> slice:
        """Row vectors of some rounds."""
        return _vectors(rounds, self.row_extent, self.schedule.mapping.rows.vectors)

    def column_vectors(self, rounds: slice) -> slice:
        """Column vectors of some rounds."""
        return _vectors(rounds, self.column_extent, self.schedule.mapping.columns.vectors)

    def tensor_bytes(self, lines: Lines, groups: slice, vectors: slice, level: str) -> int:
        """Bytes, as stored at `level`, of all lines of a tensor that some vectors touch, each line once."""
        touched = np.zeros(lines.nonzeros.shape[1] + 1, dtype=np.int64)
        first, last = lines.first[vectors], lines.last[vectors]
        real = first <= last
        np.add.at(touched, first[real], 1)
        np.add.at(touched, last[real] + 1, -1)
        nonzeros = lines.nonzeros[groups, np.cumsum(touched)[:-1] > 0]
        return int(
            stored_bytes(self.formats[level], lines.values, nonzeros, self.value_bytes).sum() if nonzeros.size else 0
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Some rounds of rows times some rounds of columns, for some groups of the convolution."""

    groups: slice
    row_rounds: slice
    column_rounds: slice
    loads_rows: bool  # from DRAM into SB
    loads_columns: bool  # from DRAM into the central memory
    reduction_slices: int  # pieces in which the reduction passes through SB


def prepare_work(paired: PairedSchedule, architecture: Architecture, *, dense: bool) -> Work:
    """Measure the operands of a contraction as the machine holds them, with its formats or all dense."""
    schedule = paired.dense if dense else paired.actual
    row_extent, column_extent = extents(architecture, schedule.split)
    row_counts, column_counts = paired.rows, paired.columns
    if schedule.mapping.transposed:
        row_counts, column_counts = column_counts, row_counts
    formats = DENSE if dense else {level: getattr(architecture.memory, level).format for level in DENSE}
    value_bytes, elements = architecture.datapath.value_bytes, schedule.mapping.elements
    rows, columns = (
        stored_bytes(formats[level], elements, counts.by_vector, value_bytes)
        for level, counts in (("sb", row_counts), ("nbin", column_counts))
    )
    return Work(
        schedule=schedule, row_extent=row_extent, column_extent=column_extent,
        row_bytes=_tile_bytes(rows, row_extent), column_bytes=_tile_bytes(columns, column_extent),
        column_counts=column_counts, formats=formats, value_bytes=value_bytes,
    )  # fmt: skip


def cut(work: Work, architecture: Architecture, *, columns_resident: bool) -> list[Block]:
    """Cut the work into blocks, in the order in which they are computed.

    A row block fits half of each tile's SB, a column block and its results a quarter each of the central memory, so
    that the next one can be loaded meanwhile; what fits whole is loaded once. Rows are in the outer loop, or columns,
    whichever reads fewer bytes from DRAM.
    """
    blocks: list[Block] = []
    for groups in _bundles(work, architecture):
        rows = _row_blocks(work, architecture, groups)
        slices = _reduction_slices(work, architecture, groups)
        largest = max(rows, key=lambda block: block.stop - block.start)
        columns = _column_blocks(work, architecture, groups, largest)
        for row, column, first_row, first_column in _loop(work, groups, rows, columns):
            blocks.append(Block(
                groups=groups, row_rounds=row, column_rounds=column,
                loads_rows=first_row or slices > 1,
                loads_columns=first_column and not (columns_resident and len(columns) == 1),
                reduction_slices=slices,
            ))  # fmt: skip
    return blocks


def _vectors(rounds: slice, extent: Extent, vectors: int) -> slice:
    return slice(rounds.start * extent.at_once, min(rounds.stop * extent.at_once, vectors))


def _tile_bytes(by_vector: IntArray, extent: Extent) -> TileBytes:
    groups, vectors = by_vector.shape
    rounds = extent.rounds(vectors)
    padded = np.pad(by_vector, ((0, 0), (0, rounds * extent.at_once - vectors)))
    by_tile = padded.reshape(groups, rounds, extent.tiles, extent.per_tile).sum(axis=3)
    return TileBytes(largest=by_tile.max(axis=2), total=by_tile.sum(axis=2))


def _results_bytes(work: Work, rows: slice) -> int:
    """Bytes of the results of one round of columns with a block of rows."""
    vectors = work.row_vectors(rows)
    return int(vectors.stop - vectors.start) * work.column_extent.at_once * work.value_bytes


def _group_column_bytes(work: Work) -> IntArray:
    lines = work.schedule.mapping.columns.lines
    stored = stored_bytes(work.formats["central"], lines.values, lines.nonzeros, work.value_bytes)
    return np.asarray(stored.sum(axis=1), dtype=np.int64)


def _bundles(work: Work, architecture: Architecture) -> Iterator[slice]:
    """Groups of the convolution that are small enough to share a block, or one group each."""
    groups = work.schedule.mapping.groups
    capacity = architecture.memory
    half_sb, quarter_central = capacity.sb.capacity_bytes / 2, capacity.central.capacity_bytes / 4
    shares = np.maximum.reduce([
        work.row_bytes.largest.sum(axis=1) / half_sb,
        _group_column_bytes(work) / quarter_central,
        np.full(groups, work.column_rounds * _results_bytes(work, slice(0, work.row_rounds)) / quarter_central),
    ])  # fmt: skip
    first, used = 0, 0.0
    for group in range(groups):
        if group > first and used + shares[group] > 1:
            yield slice(first, group)
            first, used = group, 0.0
        used += float(shares[group])
    yield slice(first, groups)


def _row_blocks(work: Work, architecture: Architecture, groups: slice) -> list[slice]:
    occupied = work.row_bytes.largest[groups].sum(axis=0)
    capacity = architecture.memory.sb.capacity_bytes
    if occupied.sum() <= capacity:
        return [slice(0, work.row_rounds)]
    blocks, first, used = [], 0, 0
    for turn, size in enumerate(occupied.tolist()):
        if turn > first and used + size > capacity // 2:
            blocks.append(slice(first, turn))
            first, used = turn, 0
        used += size
    return [*blocks, slice(first, work.row_rounds)]


def _reduction_slices(work: Work, architecture: Architecture, groups: slice) -> int:
    half = max(1, architecture.memory.sb.capacity_bytes // 2)
    largest_round = int(work.row_bytes.largest[groups].max())
    return max(1, min(-(-largest_round // half), work.schedule.mapping.steps)) if largest_round > 2 * half else 1


def _column_blocks(work: Work, architecture: Architecture, groups: slice, row_block: slice) -> list[slice]:
    capacity = architecture.memory.central.capacity_bytes
    operand = int(_group_column_bytes(work)[groups].sum())
    results = (groups.stop - groups.start) * _results_bytes(work, row_block)
    rounds = work.column_rounds
    at_once = min(rounds, max(1, capacity // 4 // results))
    if operand > capacity // 2:
        at_once = min(at_once, max(1, rounds * (capacity // 4) // operand))
        lines = work.schedule.mapping.columns.lines
        while at_once > 1 and _largest_block(work, lines, groups, at_once) > capacity // 4:
            at_once = max(1, at_once * 4 // 5)
    return [slice(first, min(first + at_once, rounds)) for first in range(0, rounds, at_once)]


def _largest_block(work: Work, lines: Lines, groups: slice, at_once: int) -> int:
    firsts = range(0, work.column_rounds, at_once)
    blocks = (slice(first, min(first + at_once, work.column_rounds)) for first in firsts)
    return max(work.tensor_bytes(lines, groups, work.column_vectors(block), "central") for block in blocks)


def _loop(
    work: Work, groups: slice, rows: list[slice], columns: list[slice]
) -> Iterator[tuple[slice, slice, bool, bool]]:
    """Pairs of row and column block, and whether each has to be loaded."""
    mapping = work.schedule.mapping
    row_bytes = sum(work.tensor_bytes(mapping.rows.lines, groups, work.row_vectors(block), "dram") for block in rows)
    column_bytes = sum(
        work.tensor_bytes(mapping.columns.lines, groups, work.column_vectors(block), "dram") for block in columns
    )
    rows_outside = row_bytes + column_bytes * (len(rows) if len(columns) > 1 else 1)
    columns_outside = column_bytes + row_bytes * (len(columns) if len(rows) > 1 else 1)
    if rows_outside <= columns_outside:
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                yield row, column, j == 0, i == 0 or len(columns) > 1
    else:
        for j, column in enumerate(columns):
            for i, row in enumerate(rows):
                yield row, column, j == 0 or len(rows) > 1, i == 0
