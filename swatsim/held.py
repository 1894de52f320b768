"""Bytes of an operand as the levels of the memory hold it, counted from its real bits (docs/model.md §3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swatsim.formats import RUN_BITS, Pieces, needs_fillers, stored_bytes
from swatsim.kernels.formats import count_fillers, count_line_fillers
from swatsim.sides import Side

IntArray = NDArray[np.int64]


class HeldSide:
    """One side's vectors and lines in each storage format; a format is counted when it is first asked for.

    Vectors are numbered group by group (group · vectors + vector), and so are lines. Lines that no vector touches are
    not there: neither are their bytes.
    """

    def __init__(self, side: Side, present_by_vector: IntArray, value_bytes: int) -> None:
        self.side = side
        self._present = present_by_vector.reshape(-1)
        self._value_bytes = value_bytes
        self._vector_bytes: dict[str, IntArray] = {}
        self._line_bytes: dict[str, IntArray] = {}
        self.line_start, self.line_stop, self.touched = _touched_lines(side)  # touched[group · line]
        changes = np.ones(self.line_start.size, dtype=np.bool_)
        changes[1:] = (np.diff(self.line_start) != 0) | (np.diff(self.line_stop) != 0)
        # Neighbouring vectors that touch the same lines count as one when the lines of a block are collected.
        self.interval_of_vector = np.cumsum(changes) - 1
        self.interval_start, self.interval_stop = self.line_start[changes], self.line_stop[changes]

    def vector_bytes(self, name: str) -> IntArray:
        """Bytes of each vector in the named format."""
        if name not in self._vector_bytes:
            segments, elements = self.side.offset.shape
            fillers = None
            if needs_fillers(name):
                fillers = np.empty(self._present.size, dtype=np.int64)
                count_fillers(
                    self.side.present, self.side.base.reshape(-1), self.side.offset.reshape(-1), RUN_BITS, fillers
                )
            pieces = Pieces(rows=segments, columns=elements, nonzeros=self._present, fillers=fillers)
            self._vector_bytes[name] = stored_bytes(name, pieces, self._value_bytes)
        return self._vector_bytes[name]

    def line_bytes(self, name: str) -> IntArray:
        """Bytes of each touched line in the named format."""
        return self.all_line_bytes(name)[self.touched]

    def all_line_bytes(self, name: str) -> IntArray:
        """Bytes of each line of the tensor, touched or not."""
        if name not in self._line_bytes:
            lines = self.side.lines
            fillers = None
            if needs_fillers(name):
                fillers = np.empty(lines.nonzeros.size, dtype=np.int64)
                count_line_fillers(lines.bits(), RUN_BITS, fillers)
            pieces = Pieces(
                rows=lines.shape[0], columns=lines.shape[1], nonzeros=lines.nonzeros.reshape(-1), fillers=fillers
            )
            self._line_bytes[name] = stored_bytes(name, pieces, self._value_bytes)
        return self._line_bytes[name]


def _touched_lines(side: Side) -> tuple[IntArray, IntArray, NDArray[np.bool_]]:
    """For each vector the first touched line and the one after the last, and which lines are touched at all."""
    groups, lines = side.lines.nonzeros.shape
    shift = np.arange(groups)[:, None] * lines
    real = np.broadcast_to(side.lines.first <= side.lines.last, (groups, side.vectors)).reshape(-1)
    first = (side.lines.first + shift).reshape(-1)
    stop = (side.lines.last + shift).reshape(-1) + 1
    edges = np.zeros(groups * lines + 1, dtype=np.int64)
    np.add.at(edges, first[real], 1)
    np.add.at(edges, stop[real], -1)
    touched = np.cumsum(edges)[:-1] > 0
    number = np.concatenate(([0], np.cumsum(touched)))
    first, stop = np.where(real, first, 0), np.where(real, stop, 0)
    return number[first], number[stop], touched
