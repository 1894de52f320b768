"""Matrices of the Deep Learning Matrix Collection: `rows, columns, nonzeros`, row pointers, column indices.

Source: Gale et al., "Sparse GPU Kernels for Deep Learning", SC 2020; one .smtx file is one weight matrix.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from swatsim.bits import BitTensor
from swatsim.errors import TraceError
from swatsim.sources import arrays
from swatsim.sources.arrays import check_shape
from swatsim.sources.source import MOST_LAYERS, Contents, Request, open_source, register
from swatsim.trace import plain_files

_EXPECTED = "a .smtx file: rows, columns, nonzeros; then row pointers; then column indices"
_SUFFIX = ".smtx"
_LARGEST_FILE_BYTES = 1 << 31
_MOST_ROWS = 1 << 22  # whose pointers are held: 32 MiB
_PIECE_BYTES = 1 << 20  # of text: as numbers 4 MiB
_LONGEST_FIRST_LINE = 200
_FIRST_LINE = re.compile(rb"\s*([0-9]{1,10})\s*,?\s+([0-9]{1,10})\s*,?\s+([0-9]{1,10})\s*,?\s*")
_Numbers = NDArray[np.int64]


@register("smtx", suffixes=(_SUFFIX,), folder=True)
def read_smtx(path: Path, request: Request) -> Contents:
    """Read one matrix, or all those of a folder by name; each is the weight (outputs, inputs) of a linear layer."""
    if not path.is_dir():
        with open_source(path, _EXPECTED) as file:
            return Contents(weights={path.stem: _matrix(file, path, arrays.LARGEST_TOTAL_ELEMENTS)})
    files = sorted(each for each in path.iterdir() if each.suffix.lower() == _SUFFIX)
    if not 1 <= len(files) <= MOST_LAYERS:
        raise TraceError(f"{path}: got {len(files)} {_SUFFIX} files, expected 1 to {MOST_LAYERS}")
    weights: dict[str, BitTensor] = {}
    left = arrays.LARGEST_TOTAL_ELEMENTS
    for each in files:
        with plain_files.open_file(each, _EXPECTED) as file:
            weights[each.stem] = _matrix(file, each, left)
        left -= weights[each.stem].size
    return Contents(weights=weights)


def _matrix(file: BinaryIO, path: Path, most_elements: int) -> BitTensor:
    """Read a matrix piece by piece: beside its bits, row pointers are all that is held."""
    if file.seek(0, 2) > _LARGEST_FILE_BYTES:
        raise TraceError(f"{path}: got more than {_LARGEST_FILE_BYTES} bytes, expected no more")
    first, second, third, *others = _lines(file)
    counts = _FIRST_LINE.fullmatch(_first_line(file, first))
    if counts is None or others:
        raise TraceError(f"{path}: got {'another first line' if counts is None else 'more than 3 lines'}, "
                         f"expected {_EXPECTED}")  # fmt: skip
    rows, columns, nonzeros = map(int, counts.groups())
    check_shape((rows, columns), str(path))
    if rows > _MOST_ROWS:
        raise TraceError(f"{path}: got {rows} rows, expected at most {_MOST_ROWS}")
    if rows * columns > most_elements:
        got = f"{rows * columns} elements after {arrays.LARGEST_TOTAL_ELEMENTS - most_elements}"
        raise TraceError(f"{path}: got {got}, expected at most {arrays.LARGEST_TOTAL_ELEMENTS} in a folder")
    pointers = _row_pointers(_numbers(file, second, rows + 1, f"{path}:2: row pointers"), rows, nonzeros, path)
    packed = np.zeros(-(-math.prod((rows, columns)) // 8), dtype=np.uint8)
    for flat in _places(_numbers(file, third, nonzeros, f"{path}:3: column indices"), pointers, columns, path):
        np.bitwise_or.at(packed, flat >> 3, np.uint8(1) << (flat & 7).astype(np.uint8))
    return BitTensor(shape=(rows, columns), packed=packed)


def _lines(file: BinaryIO) -> list[tuple[int, int]]:
    """Where the first three lines begin and end, empty ones where there are none, and a fourth for all others."""
    breaks: list[int] = []
    start = end = 0
    file.seek(0)
    while piece := file.read(_PIECE_BYTES):
        if content := piece.rstrip():
            end = start + len(content)
        place = piece.find(b"\n")
        while place >= 0 and len(breaks) < 3:
            breaks.append(start + place)
            place = piece.find(b"\n", place + 1)
        start += len(piece)
    within = [place for place in breaks if place < end]
    lines = list(zip([0, *(place + 1 for place in within)], [*within, end], strict=True))
    return lines + [(end, end)] * (3 - len(lines))


def _first_line(file: BinaryIO, line: tuple[int, int]) -> bytes:
    """Nothing where it is far longer than three numbers."""
    file.seek(0)
    return file.read(line[1]) if line[1] <= _LONGEST_FIRST_LINE else b""


def _row_pointers(pieces: Iterator[_Numbers], rows: int, nonzeros: int, path: Path) -> _Numbers:
    pointers: _Numbers = np.empty(rows + 1, dtype=np.int64)
    start = 0
    for piece in pieces:
        pointers[start : start + piece.size] = piece
        start += piece.size
    if pointers[0] != 0 or pointers[-1] != nonzeros or (pointers[1:] < pointers[:-1]).any():
        raise TraceError(f"{path}:2: row pointers: got other numbers, expected 0 rising to {nonzeros}")
    return pointers


def _places(pieces: Iterator[_Numbers], pointers: _Numbers, columns: int, path: Path) -> Iterator[_Numbers]:
    """The elements, in C order, that are present; columns must rise within each row."""
    where = f"{path}:3: column indices"
    start, last = 0, -1
    for indices in pieces:
        if not 0 <= indices.min() <= indices.max() < columns:
            raise TraceError(f"{where}: got {indices.min()} to {indices.max()}, expected 0 to {columns - 1}")
        flat = _rows_of(pointers, start, start + indices.size) * columns + indices
        rising = np.diff(flat, prepend=last) > 0
        if not rising.all():
            place = int(np.argmin(rising))
            row = int(flat[place]) // columns
            before = (int(flat[place - 1]) if place else last) - row * columns
            raise TraceError(f"{where}: got {indices[place]} after {before} in row {row}, expected rising ones")
        start, last = start + indices.size, int(flat[-1])
        yield flat


def _rows_of(pointers: _Numbers, start: int, stop: int) -> _Numbers:
    """The row of each of consecutive non-zeros."""
    first = int(np.searchsorted(pointers, start, side="right")) - 1
    last = int(np.searchsorted(pointers, stop, side="left"))
    ends = np.clip(pointers[first : last + 1], start, stop)
    return np.repeat(np.arange(first, last, dtype=np.int64), ends[1:] - ends[:-1])


def _numbers(file: BinaryIO, line: tuple[int, int], count: int, where: str) -> Iterator[_Numbers]:
    """`count` integers between spaces. Nothing but digits and spaces is let through to NumPy's parser."""
    found = 0
    for text in _texts(file, line, where):
        if text.translate(None, b"0123456789 \t\r"):
            raise TraceError(f"{where}: got other characters than digits and spaces, expected {count} integers")
        if not text.strip():
            continue
        numbers: _Numbers = np.fromstring(text, dtype=np.int64, sep=" ")
        found += numbers.size
        if found <= count:
            yield numbers
    if found != count:
        raise TraceError(f"{where}: got {found} numbers, expected {count}")


def _texts(file: BinaryIO, line: tuple[int, int], where: str) -> Iterator[bytes]:
    """A line in pieces that end where a number does."""
    start, stop = line
    file.seek(start)
    rest = b""
    while start < stop and (data := file.read(min(_PIECE_BYTES, stop - start))):
        start += len(data)
        text = rest + data
        cut = max(text.rfind(space) for space in (b" ", b"\t", b"\r")) + 1 if start < stop else len(text)
        if len(text) - cut >= _PIECE_BYTES:
            raise TraceError(f"{where}: got a word of {_PIECE_BYTES} characters, expected integers")
        yield text[:cut]
        rest = text[cut:]
    yield rest
