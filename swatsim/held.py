"""Bytes of an operand as the levels of the memory hold it, counted from its real bits (docs/model.md §3)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swatsim.formats import Pieces, needs_fillers, stored_bytes
from swatsim.sides import Side, TouchedBy, fillers_of

IntArray = NDArray[np.int64]
# Of the sides of so many contractions: those of one shape touch the same lines.
SIDES_KEPT = 64


class HeldSide:
    """One side's vectors and lines in each storage format; a format is counted when it is first asked for.

    Vectors are numbered group by group (group · vectors + vector), and so are lines. Lines that no vector touches are
    not there: neither are their bytes.
    """

    def __init__(self, side: Side, value_bytes: int) -> None:
        self.side = side
        self._value_bytes = value_bytes
        self._vector_bytes: dict[str, IntArray] = {}
        self._line_bytes: dict[str, IntArray] = {}
        self._touched_bytes: dict[str, IntArray] = {}
        groups, lines = side.lines.start.shape
        (
            self.line_start, self.line_stop, self.touched,
            self.interval_of_vector, self.interval_start, self.interval_stop,
        ) = _touched_lines(side.touched_by, groups, lines, side.vectors)  # fmt: skip

    def vector_bytes(self, name: str) -> IntArray:
        """Bytes of each vector in the named format."""
        if name not in self._vector_bytes:
            side = self.side
            segments, elements = side.offset.shape
            fillers = (
                fillers_of(side.words, side.base, side.reduction.runs).reshape(-1) if needs_fillers(name) else None
            )
            pieces = Pieces(rows=segments, columns=elements, nonzeros=side.by_vector.reshape(-1), fillers=fillers)
            self._vector_bytes[name] = stored_bytes(name, pieces, self._value_bytes)
        return self._vector_bytes[name]

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


class TouchedLines(NamedTuple):
    """Which lines vectors touch, numbered without those that none touches.

    Neighbouring vectors that touch the same lines count as one interval when the lines of a block are collected.
    """

    start: IntArray  # [group · vector]: first line, and the one after the last
    stop: IntArray
    touched: NDArray[np.bool_]  # [group · line]: whether a vector touches it
    interval_of_vector: IntArray  # [group · vector]
    interval_start: IntArray  # [interval]
    interval_stop: IntArray


@lru_cache(maxsize=SIDES_KEPT)
def _touched_lines(by: TouchedBy, groups: int, lines: int, vectors: int) -> TouchedLines:
    shift = np.arange(groups)[:, None] * lines
    real = np.broadcast_to(by.first <= by.last, (groups, vectors)).reshape(-1)
    first, stop = (by.first + shift).reshape(-1), (by.last + shift).reshape(-1) + 1
    edges = np.bincount(first[real], minlength=groups * lines + 1) - np.bincount(
        stop[real], minlength=groups * lines + 1
    )
    touched = np.cumsum(edges)[:-1] > 0
    number = np.concatenate(([0], np.cumsum(touched)))
    start, end = number[np.where(real, first, 0)], number[np.where(real, stop, 0)]
    changes = np.ones(start.size, dtype=np.bool_)
    changes[1:] = (np.diff(start) != 0) | (np.diff(end) != 0)
    return TouchedLines(start, end, touched, np.cumsum(changes) - 1, start[changes], end[changes])
