"""Matrices of the Deep Learning Matrix Collection: `rows, columns, nonzeros`, row pointers, column indices.

Source: Gale et al., "Sparse GPU Kernels for Deep Learning", SC 2020; one .smtx file is one weight matrix.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from swatsim.bits import BitTensor
from swatsim.errors import TraceError
from swatsim.files import read_at_most
from swatsim.sources.arrays import check_shape
from swatsim.sources.source import MOST_LAYERS, Contents, Request, open_source, register
from swatsim.trace import plain_files

_EXPECTED = "a .smtx file: rows, columns, nonzeros; then row pointers; then column indices"
_SUFFIX = ".smtx"
_LARGEST_FILE_BYTES = 1 << 31
_FIRST_LINE = re.compile(rb"\s*([0-9]{1,10})\s*,?\s+([0-9]{1,10})\s*,?\s+([0-9]{1,10})\s*,?\s*")
_Numbers = NDArray[np.int64]


@register("smtx", suffixes=(_SUFFIX,), folder=True)
def read_smtx(path: Path, request: Request) -> Contents:
    """Read one matrix, or all those of a folder by name; each is the weight (outputs, inputs) of a linear layer."""
    if not path.is_dir():
        with open_source(path, _EXPECTED) as file:
            return Contents(weights={path.stem: _matrix(file, path)})
    files = sorted(each for each in path.iterdir() if each.suffix == _SUFFIX)
    if not 1 <= len(files) <= MOST_LAYERS:
        raise TraceError(f"{path}: got {len(files)} {_SUFFIX} files, expected 1 to {MOST_LAYERS}")
    weights = {}
    for each in files:
        with plain_files.open_file(each, _EXPECTED) as file:
            weights[each.stem] = _matrix(file, each)
    return Contents(weights=weights)


def _matrix(file: BinaryIO, path: Path) -> BitTensor:
    data = read_at_most(file, _LARGEST_FILE_BYTES + 1)
    if len(data) > _LARGEST_FILE_BYTES:
        raise TraceError(f"{path}: got more than {_LARGEST_FILE_BYTES} bytes, expected no more")
    lines = data.rstrip().split(b"\n", 4)
    counts = _FIRST_LINE.fullmatch(lines[0])
    if counts is None or len(lines) > 3:
        raise TraceError(f"{path}: got {'another first line' if counts is None else 'more than 3 lines'}, "
                         f"expected {_EXPECTED}")  # fmt: skip
    rows, columns, nonzeros = map(int, counts.groups())
    check_shape((rows, columns), str(path))
    lines += [b""] * (3 - len(lines))
    pointers = _numbers(lines[1], rows + 1, f"{path}:2: row pointers")
    indices = _numbers(lines[2], nonzeros, f"{path}:3: column indices")
    lengths = np.diff(pointers)
    if pointers[0] != 0 or pointers[-1] != nonzeros or (lengths < 0).any():
        raise TraceError(f"{path}:2: row pointers: got other numbers, expected 0 rising to {nonzeros}")
    if nonzeros and not 0 <= indices.min() <= indices.max() < columns:
        got = f"{indices.min()} to {indices.max()}"
        raise TraceError(f"{path}:3: column indices: got {got}, expected 0 to {columns - 1}")
    flat = np.repeat(np.arange(rows, dtype=np.int64) * columns, lengths) + indices
    if (np.diff(flat) <= 0).any():
        place = int(np.argmax(np.diff(flat) <= 0))
        got = f"{indices[place + 1]} after {indices[place]} in row {flat[place + 1] // columns}"
        raise TraceError(f"{path}:3: column indices: got {got}, expected rising ones")
    packed = np.zeros(-(-math.prod((rows, columns)) // 8), dtype=np.uint8)
    np.bitwise_or.at(packed, flat >> 3, np.uint8(1) << (flat & 7).astype(np.uint8))
    return BitTensor(shape=(rows, columns), packed=packed)


def _numbers(line: bytes, count: int, where: str) -> _Numbers:
    """`count` integers between spaces. Nothing but digits and spaces is let through to NumPy's parser."""
    if line.translate(None, b"0123456789 \t\r"):
        raise TraceError(f"{where}: got other characters than digits and spaces, expected {count} integers")
    found: _Numbers = np.fromstring(line, dtype=np.int64, sep=" ") if line.strip() else np.zeros(0, dtype=np.int64)
    if found.size != count:
        raise TraceError(f"{where}: got {found.size} numbers, expected {count}")
    return found
