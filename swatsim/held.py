"""Bytes of an operand as the levels of the memory hold it, counted from its real bits (docs/model.md §3)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.caches import bounded_cache
from swatsim.formats import Pieces, keeps_zeros, needs_fillers, stored_bytes
from swatsim.kernels.measure import FIRST_INTERVAL, FIRST_SUM, TIED, HeldBytes
from swatsim.kernels.touched import COLUMNS, RUNS, sum_lines, tie_intervals
from swatsim.sides import Side, TouchedBy, fillers_of

IntArray = NDArray[np.int64]


class HeldSide:
    """One side's vectors and lines in each storage format; lines are counted once, vectors whenever they are asked for.

    Vectors are numbered group by group (group · vectors + vector), and so are lines. Lines that no vector touches are
    not there: neither are their bytes.
    """

    def __init__(self, side: Side, value_bytes: int) -> None:
        self.side = side
        self._value_bytes = value_bytes
        self._line_bytes: dict[str, IntArray] = {}
        self._touched_bytes: dict[str, IntArray] = {}
        groups, lines = side.lines.start.shape
        self.touched, self.interval_of_vector, self.intervals = _touched_lines(side.touched_by, groups, lines)

    def vector_bytes(self, name: str) -> IntArray:
        """Bytes of each vector in the named format, or one number where all vectors take the same."""
        side = self.side
        segments, elements = side.offset.shape
        if keeps_zeros(name):
            pieces = Pieces(rows=segments, columns=elements, nonzeros=np.zeros(1, dtype=np.int64))
        else:
            fillers = self._fillers if needs_fillers(name) else None
            pieces = Pieces(rows=segments, columns=elements, nonzeros=side.by_vector.reshape(-1), fillers=fillers)
        return stored_bytes(name, pieces, self._value_bytes)

    @cached_property
    def _fillers(self) -> IntArray:
        """Of each vector."""
        return fillers_of(self.side.words, self.side.base, self.side.reduction.runs).reshape(-1)

    def line_bytes(self, name: str) -> IntArray:
        """Bytes of each touched line in the named format."""
        if name not in self._touched_bytes:
            self._touched_bytes[name] = self.all_line_bytes(name)[self.touched]
        return self._touched_bytes[name]

    def all_line_bytes(self, name: str) -> IntArray:
        """Bytes of each line of the tensor, touched or not."""
        if name not in self._line_bytes:
            self._line_bytes[name] = stored_bytes(name, self.side.lines.pieces(name), self._value_bytes)
        return self._line_bytes[name]


class HeldParts:
    """One operand in the parts of a contraction's reduction, in order.

    present : [line] of its tensor that are on chip already and stay there; only where the reduction is whole.
    """

    def __init__(self, parts: Sequence[HeldSide], present: NDArray[np.bool_] | None = None) -> None:
        self.parts = tuple(parts)
        self.present = present
        self.side = parts[0].side
        self._bytes: dict[tuple[str, ...], HeldBytes] = {}

    @property
    def full(self) -> bool:
        """Whether no part has a zero."""
        return all(part.side.full for part in self.parts)

    def bytes_of(self, formats: tuple[str, ...]) -> HeldBytes:
        """Bytes in the format of each level of its path, outermost first."""
        if formats not in self._bytes:
            self._bytes[formats] = _bytes_of(self.parts, formats, self.present)
        return self._bytes[formats]

    def more_room(self, name: str) -> int:
        """Bytes in the named format of what is on chip already, besides the lines that the operand touches."""
        if self.present is None:
            return 0
        (held,) = self.parts
        return int(held.all_line_bytes(name)[self.present & ~held.touched].sum())


def on_chip_formats(formats: tuple[str, ...]) -> tuple[str, ...]:
    """The different formats below the outermost level, as `HeldBytes` numbers them."""
    return tuple(dict.fromkeys(formats[1:]))


def _bytes_of(parts: Sequence[HeldSide], formats: tuple[str, ...], present: NDArray[np.bool_] | None) -> HeldBytes:
    lines = [(part.line_bytes(formats[0]), part.line_bytes(formats[1])) for part in parts]
    start = np.zeros((len(parts) + 1, TIED + 1), dtype=np.int64)
    for number, (part, (coming, _)) in enumerate(zip(parts, lines, strict=True)):
        start[number + 1, FIRST_INTERVAL] = start[number, FIRST_INTERVAL] + part.intervals.shape[0]
        start[number + 1, FIRST_SUM] = start[number, FIRST_SUM] + coming.size + 1
    sums = np.empty((start[-1, FIRST_SUM], RUNS), dtype=np.int64)
    tied = np.empty((start[-1, FIRST_INTERVAL], COLUMNS), dtype=np.int64)
    for number, (part, (coming, kept)) in enumerate(zip(parts, lines, strict=True)):
        new = np.ones(kept.size, dtype=np.bool_) if present is None else ~present[part.touched]
        (begin, at, _), (end, after, _) = start[number : number + 2]
        sum_lines(coming, kept, new, sums[at:after])
        start[number, TIED] = tie_intervals(part.intervals, sums[at:after], tied[begin:end])
    alone = len(parts) == 1
    return HeldBytes(
        vector_bytes=_vector_bytes(parts, on_chip_formats(formats)),
        line_sums=sums, tied=tied, start=start,
        intervals=parts[0].intervals if alone else np.concatenate([part.intervals for part in parts]),
        interval_of_vector=np.array([part.interval_of_vector for part in parts]),
        of_interval=parts[0].side.touched_by.vectors, stretches=parts[0].side.touched_by.stretches,
    )  # fmt: skip


def _vector_bytes(parts: Sequence[HeldSide], formats: tuple[str, ...]) -> IntArray:
    """As in `HeldBytes`."""
    same = all(map(keeps_zeros, formats))
    found = np.empty((len(parts), len(formats), 1 if same else parts[0].side.base.size), dtype=np.int64)
    for (number, part), (form, name) in product(enumerate(parts), enumerate(formats)):
        found[number, form] = part.vector_bytes(name)
    return found


class TouchedLines(NamedTuple):
    """Which lines vectors touch, numbered without those that none touches.

    Neighbouring vectors that touch the same lines count as one interval when the lines of a block are collected.
    """

    touched: NDArray[np.bool_]  # [group · line]: whether a vector touches it
    interval_of_vector: IntArray  # [group · vector // vectors that touch the same lines]
    intervals: IntArray  # [interval · stretch, 2]: first line, and the one after the last


@bounded_cache
def _touched_lines(by: TouchedBy, groups: int, lines: int) -> TouchedLines:
    shift = np.arange(groups)[:, None, None] * lines
    of_vector = [np.atleast_2d(edge).T + shift for edge in (by.first, by.last)]
    first, stop = (edge.reshape(-1, by.stretches) for edge in (of_vector[0], of_vector[1] + 1))
    real = first < stop
    edges = np.bincount(first[real], minlength=groups * lines + 1) - np.bincount(
        stop[real], minlength=groups * lines + 1
    )
    touched = np.cumsum(edges)[:-1] > 0
    number = np.concatenate(([0], np.cumsum(touched)))
    start, end = number[np.where(real, first, 0)], number[np.where(real, stop, 0)]
    changes = np.ones(len(start), dtype=np.bool_)
    changes[1:] = ((np.diff(start, axis=0) != 0) | (np.diff(end, axis=0) != 0)).any(axis=1)
    intervals = np.stack([start[changes], end[changes]], axis=2).reshape(-1, 2)
    return TouchedLines(touched, np.cumsum(changes) - 1, intervals)
