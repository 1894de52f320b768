"""How many bytes a tensor takes in each storage format, metadata included.

docs/storage_formats.md is written from the records below: `python -m swatsim.formats > docs/storage_formats.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

RUN_BITS = 4  # of the zeros that an entry of `run_length` says are before it (SCNN)
_RUN = 1 << RUN_BITS  # zeros in a row that are an entry of their own
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
    keeps_zeros: bool = False  # pieces of one shape take the same, whatever is in them

    def stored_bytes(self, pieces: Pieces, value_bytes: int) -> IntArray:
        """Bytes of each piece with its metadata, rounded up to a whole byte."""
        return self.stored_values(pieces) * value_bytes + -(-self.metadata_bits(pieces) // 8)


def stored_bytes(name: str, pieces: Pieces, value_bytes: int) -> IntArray:
    """Bytes of each piece in the named format; raises ValueError where its fillers were not counted."""
    return FORMATS[name].stored_bytes(pieces, value_bytes)


def needs_fillers(name: str) -> bool:
    """Whether the named format asks for `Pieces.fillers`, which takes a look at every value to count."""
    return FORMATS[name].needs_fillers


def keeps_zeros(name: str) -> bool:
    """Whether pieces of one shape take the same in the named format, whatever is in them."""
    return FORMATS[name].keeps_zeros


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
        name="dense", summary="every value, zeros too", bits="the values", source="—",
        stored_values=lambda pieces: _each(pieces, pieces.values),
        metadata_bits=lambda pieces: _each(pieces, 0),
        keeps_zeros=True,
    ),
    Format(
        name="bitmap", summary="the non-zeros, and a bit that says where they are for each value",
        bits="1 bit a value; the non-zeros", source="SparTen (MICRO 2019), its bit masks (R)",
        stored_values=lambda pieces: pieces.nonzeros,
        metadata_bits=lambda pieces: _each(pieces, pieces.values),
    ),
    Format(
        name="csr", summary="compressed sparse rows: the non-zeros row by row, each with its column",
        bits="rows + 1 pointers of ⌈log2(rows·columns + 1)⌉ bits; per non-zero ⌈log2(columns)⌉ bits and the value",
        source="the usual arrays (Saad, Iterative Methods for Sparse Linear Systems); their widths assumed",
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
        name="run_length", summary="the non-zeros and fillers, each with the number of zeros before it",
        bits=f"the number of entries in ⌈log2(rows·columns + 1)⌉ bits; per entry {RUN_BITS} bits and the value",
        source="SCNN (ISCA 2017) (R), fillers as in EIE (ISCA 2016); the width of the number of entries assumed",
        stored_values=_entries,
        metadata_bits=lambda pieces: _entries(pieces) * RUN_BITS + _index_bits(pieces.values + 1),
        needs_fillers=True,
    ),
    Format(
        name="zfnaf",
        summary="zero-free neuron array: the non-zeros of each brick packed to its start, the brick's room unchanged",
        bits=f"per brick ({BRICK_VALUES} columns of a row) {BRICK_VALUES} times {OFFSET_BITS} bits and a value",
        source="Cnvlutin (ISCA 2016) (R)",
        stored_values=lambda pieces: _each(pieces, _brick_values(pieces)),
        metadata_bits=lambda pieces: _each(pieces, _brick_values(pieces) * OFFSET_BITS),
        keeps_zeros=True,
    ),
)  # fmt: skip
FORMATS: dict[str, Format] = {each.name: each for each in _ALL}

# A filter of 3 × 3 taps and 64 channels, for the documentation.
_EXAMPLE = (9, 64)
_EXAMPLE_VALUE_BYTES = 2

_INTRODUCTION = """\
# Storage formats

<!-- Generated: python -m swatsim.formats > docs/storage_formats.md -->

Every level of the memory holds its operands in a format (`memory.<level>.format`), and what it moves is counted in
that format's bytes: from the real bits of the trace, metadata included.

A tensor is stored in *pieces*, each by itself and rounded up to a whole byte, so that it can be fetched alone. A piece
is a matrix of rows × columns, row by row:

| piece | rows | columns |
|---|---|---|
| an image row or column, of one group of the convolution | positions along it | channels |
| a filter, or all weights of an input channel | taps | channels, or filters |
| a channel, of all images | images · height | width |
| a vector of an operand, as a tile reads it | segments of the reduction | elements of a segment |
"""

_CHOICES = f"""\
(R) marks what is remembered from a publication and was not read again; *assumed*, what none states.

## Choices

- The numbers of `csr`, `csc` and `run_length` take the fewest bits that hold them in a piece of this shape (none where
  only one is possible): assumed. Pointers and numbers of entries go up to rows · columns, whatever is zero, so that
  their widths are known before the bits are.
- `csr` and `csc` store rows + 1 (columns + 1) pointers: the first, always 0, too.
- `run_length` runs on from row to row. An entry counts at most {_RUN - 1} zeros, so {_RUN} zeros in a row before a
  non-zero are an entry of their own, a *filler* with value zero: n zeros before a non-zero take ⌊n / {_RUN}⌋ fillers.
  Zeros after the last non-zero take none: the number of entries, with which SCNN's index vector begins (R), says where
  to stop.
- A brick of `zfnaf` never crosses a row; the last one of a row is padded. It keeps its room, so that bricks can be
  addressed: the format saves work on zeros, not their bytes, and costs {OFFSET_BITS} bits a value more than `dense`.
  A value of zero marks the end of a brick's non-zeros.
- Where each piece begins is known to whoever fetches it: no format stores a directory of its pieces.

## Example

Bytes of a filter of {_EXAMPLE[0]} taps and {_EXAMPLE[1]} channels, {_EXAMPLE_VALUE_BYTES} bytes a value, whose
non-zeros are evenly spaced:

"""


def document() -> str:
    """The page docs/storage_formats.md."""
    return "\n".join([_INTRODUCTION, *_format_lines(), "", _CHOICES + "\n".join(_example_lines()), ""])


def _format_lines() -> Iterator[str]:
    yield "| format | stores | bits | source |\n|---|---|---|---|"
    for each in FORMATS.values():
        yield f"| `{each.name}` | {each.summary} | {each.bits} | {each.source} |"


def _example_lines() -> Iterator[str]:
    rows, columns = _EXAMPLE
    steps = np.array([1, 2, 4, 8, 16, 32, 64])
    nonzeros = rows * columns // steps
    pieces = Pieces(rows=rows, columns=columns, nonzeros=nonzeros, fillers=nonzeros * ((steps - 1) // _RUN))
    yield f"| non-zeros | {' | '.join(map(str, nonzeros))} |\n|---{'|--:' * steps.size}|"
    for name in FORMATS:
        yield f"| `{name}` | {' | '.join(map(str, stored_bytes(name, pieces, _EXAMPLE_VALUE_BYTES)))} |"


if __name__ == "__main__":
    print(document(), end="")
