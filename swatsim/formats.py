"""How many bytes a tensor takes in each storage format, metadata included.

docs/storage_formats.md is written from the records below: `python -m swatsim.formats > docs/storage_formats.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

RUN_BITS = 4  # of the zeros that an entry of `run_length` says are before it (SCNN)
BRICK_VALUES = 16  # of `zfnaf` (Cnvlutin), along the columns
OFFSET_BITS = 4  # of each value's place in its brick


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """Parts of a tensor that are each stored by themselves, all of them matrices of one shape, row by row."""

    rows: int
    columns: int
    nonzeros: IntArray  # [any shape]: non-zero values in each piece
    fillers: IntArray | None = None  # [same shape]: placeholder entries of `run_length`, which alone needs them

    @property
    def values(self) -> int:
        """Values in each piece, zeros too."""
        return self.rows * self.columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A way to store a piece: some of its values, whole, and bits that say where they belong."""

    name: str
    summary: str
    bits: str  # what is stored, for a reader
    source: str
    stored_values: Callable[[Pieces], IntArray]
    metadata_bits: Callable[[Pieces], IntArray]
    needs_fillers: bool = False

    def stored_bytes(self, pieces: Pieces, value_bytes: int) -> IntArray:
        """Bytes of each piece with its metadata, rounded up to a whole byte."""
        return self.stored_values(pieces) * value_bytes + -(-self.metadata_bits(pieces) // 8)


def stored_bytes(name: str, pieces: Pieces, value_bytes: int) -> IntArray:
    """Bytes of each piece in the named format; raises ValueError where its fillers were not counted."""
    return FORMATS[name].stored_bytes(pieces, value_bytes)


def needs_fillers(name: str) -> bool:
    """Whether the named format asks for `Pieces.fillers`, which takes a look at every value to count."""
    return FORMATS[name].needs_fillers


def _each(pieces: Pieces, number: int) -> IntArray:
    """The same number for every piece."""
    return np.full(np.shape(pieces.nonzeros), number, dtype=np.int64)


def _index_bits(values: int) -> int:
    """Bits of a number from 0 to `values` - 1."""
    return max(values - 1, 0).bit_length()


def _compressed_bits(pieces: Pieces, lines: int, places: int) -> IntArray:
    pointers = (lines + 1) * _index_bits(pieces.values + 1)
    return pieces.nonzeros * _index_bits(places) + pointers


def _entries(pieces: Pieces) -> IntArray:
    if pieces.fillers is None:
        raise ValueError("run_length: got no fillers, expected their number in each piece")
    return pieces.nonzeros + pieces.fillers


def _brick_values(pieces: Pieces) -> int:
    return pieces.rows * -(-pieces.columns // BRICK_VALUES) * BRICK_VALUES


_ALL = (
    Format(
        name="dense", summary="every value, zeros too", bits="the values", source="",
        stored_values=lambda pieces: _each(pieces, pieces.values),
        metadata_bits=lambda pieces: _each(pieces, 0),
    ),
    Format(
        name="bitmap", summary="the non-zeros, and a bit that says where they are for each value",
        bits="1 bit a value; the non-zeros", source="SparTen (MICRO 2019), its bit masks",
        stored_values=lambda pieces: pieces.nonzeros,
        metadata_bits=lambda pieces: _each(pieces, pieces.values),
    ),
    Format(
        name="csr", summary="compressed sparse rows: the non-zeros row by row, each with its column",
        bits="rows + 1 pointers of ⌈log2(rows·columns + 1)⌉ bits; per non-zero ⌈log2(columns)⌉ bits and the value",
        source="the usual arrays (Saad, Iterative Methods for Sparse Linear Systems); widths: the fewest bits, assumed",
        stored_values=lambda pieces: pieces.nonzeros,
        metadata_bits=lambda pieces: _compressed_bits(pieces, pieces.rows, pieces.columns),
    ),
    Format(
        name="csc", summary="compressed sparse columns: the non-zeros column by column, each with its row",
        bits="columns + 1 pointers of ⌈log2(rows·columns + 1)⌉ bits; per non-zero ⌈log2(rows)⌉ bits and the value",
        source="as csr",
        stored_values=lambda pieces: pieces.nonzeros,
        metadata_bits=lambda pieces: _compressed_bits(pieces, pieces.columns, pieces.rows),
    ),
    Format(
        name="run_length", summary="the non-zeros, each with the number of zeros before it",
        bits=f"a count of entries of ⌈log2(rows·columns + 1)⌉ bits; per entry {RUN_BITS} bits and the value",
        source="SCNN (ISCA 2017), its compressed-sparse index vector; the width of the count: the fewest bits, assumed",
        stored_values=_entries,
        metadata_bits=lambda pieces: _entries(pieces) * RUN_BITS + _index_bits(pieces.values + 1),
        needs_fillers=True,
    ),
    Format(
        name="zfnaf", summary="zero-free neuron array: the non-zeros of each brick at its start, in a full brick of room",
        bits=f"per brick ({BRICK_VALUES} columns of a row) {BRICK_VALUES} times {OFFSET_BITS} bits and a value",
        source="Cnvlutin (ISCA 2016)",
        stored_values=lambda pieces: _each(pieces, _brick_values(pieces)),
        metadata_bits=lambda pieces: _each(pieces, _brick_values(pieces) * OFFSET_BITS),
    ),
)  # fmt: skip
FORMATS: dict[str, Format] = {each.name: each for each in _ALL}
