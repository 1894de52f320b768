"""A mapping from names to masks or weights of any number type: NumPy's .npz, or .safetensors."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

from swatsim.bits import BitTensor
from swatsim.errors import TraceError
from swatsim.plain_text import words_of
from swatsim.sources.archive import open_archive
from swatsim.sources.arrays import Entry, contents_of, read_bits, transposed
from swatsim.sources.source import MOST_LAYERS, Contents, Request, check_name, open_source, register
from swatsim.trace.json_values import Node, parse_json

_EXPECTED = "a .npz or .safetensors file of masks"
_ZIP_MAGIC = b"PK\x03\x04"
_LARGEST_HEADER_BYTES = 8 << 20
_MOST_ARRAYS = 4 * MOST_LAYERS  # with the biases and norms of each layer
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError,
)  # fmt: skip
# Beyond the size of the file itself: what is compressed is expanded, which takes time, before it is known to be zeros.
_LARGEST_EXPANSION_BYTES = 1 << 31
_Header = tuple[tuple[int, ...], bool, np.dtype[np.generic]]  # shape, whether in Fortran order, type
_NPY_MAGIC = b"\x93NUMPY\x01\x00"
_LONGEST_ARRAY_HEADER = 4096
_FLAGS = {"True": True, "False": False}
# Three keys in any order; Python 2 wrote its long integers with an L.
_SPACE = r"[ \t\r\n]*+"
_INTEGER = rf"-?+(?:0|[1-9][0-9]{{0,18}}+)L?+{_SPACE}"
_TYPE = r"[<>|=]?+[A-Za-z?][0-9A-Za-z]{0,15}+(?:\[[0-9A-Za-z]{1,9}\])?+"
_VALUE = rf"""'{_TYPE}'|"{_TYPE}"|True|False|\({_SPACE}(?:{_INTEGER},{_SPACE}){{0,64}}+(?:{_INTEGER})?+\)"""
_KEY = "(?:descr|fortran_order|shape)"
_FIELD = rf"""{_SPACE}('{_KEY}'|"{_KEY}"){_SPACE}:{_SPACE}({_VALUE}){_SPACE}"""
_ARRAY_HEADER = re.compile(rf"{_SPACE}\{{{_FIELD},{_FIELD},{_FIELD},?+{_SPACE}\}}{_SPACE}")
# safetensors' types: how each is read, and which bits say that a value is not zero where NumPy lacks the type.
_TYPES: dict[str, tuple[str, int | None]] = {
    "BOOL": ("|u1", None), "U8": ("|u1", None), "I8": ("|i1", None), "U16": ("<u2", None), "I16": ("<i2", None),
    "U32": ("<u4", None), "I32": ("<i4", None), "U64": ("<u8", None), "I64": ("<i8", None), "F16": ("<f2", None),
    "F32": ("<f4", None), "F64": ("<f8", None), "BF16": ("<u2", 0x7FFF), "F8_E4M3": ("|u1", 0x7F),
    "F8_E5M2": ("|u1", 0x7F),
}  # fmt: skip


@register("masks", suffixes=(".npz", ".safetensors"))
def read_masks(path: Path, request: Request) -> Contents:
    """Read every array of two dimensions or more; a non-zero element is one that is there."""
    with open_source(path, _EXPECTED) as file:
        start = file.read(len(_ZIP_MAGIC))
        try:
            entries = dict(_npz(file, path) if start == _ZIP_MAGIC else _safetensors(file, path))
            return contents_of(entries, path, request.layers, only_masks=False)
        except _DAMAGED as error:
            raise TraceError(f"{path}: got a damaged file ({words_of(error)}), expected {_EXPECTED}") from None


def _npz(file: BinaryIO, path: Path) -> Iterator[tuple[str, Entry]]:
    archive = open_archive(file, path, _MOST_ARRAYS)
    members = archive.infolist()
    _check_expansion(members, file.seek(0, 2), path)
    names: set[str] = set()
    for member in members:
        check_name(member.filename, str(path))
        name, where = member.filename, f"{path}: {member.filename!r}"
        if not name.endswith(".npy") or name in names:
            raise TraceError(f"{where}: got {'a second entry of this name' if name in names else 'another file'}, "
                             "expected different .npy arrays")  # fmt: skip
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            # Others may take memory that the archive chooses; NumPy writes none.
            raise TraceError(f"{where}: got compression {member.compress_type}, expected 0 or 8 (none or deflated)")
        names.add(name)
        with archive.open(member) as array:
            shape, fortran, dtype = _array_header(array, where)
        yield name.removesuffix(".npy"), _npy_entry(archive, member, (shape, fortran, dtype), where)


def _check_expansion(members: Sequence[zipfile.ZipInfo], file_bytes: int, path: Path) -> None:
    """No more than the directory says is ever expanded of a member."""
    expanded = sum(member.file_size for member in members)
    if expanded > file_bytes + _LARGEST_EXPANSION_BYTES:
        raise TraceError(f"{path}: got {expanded} bytes once expanded in a file of {file_bytes}, expected at most "
                         f"{_LARGEST_EXPANSION_BYTES} more than it has, or no compression (numpy.savez)")  # fmt: skip


def _array_header(array: IO[bytes], where: str) -> _Header:
    """Read what stands before an array's elements, by its own rules: NumPy takes it for a literal of Python first."""
    expected = "that of an array, as NumPy writes it"
    # NumPy writes version 1.0 unless the header is longer than 64 KiB, which no array of numbers has.
    start = array.read(len(_NPY_MAGIC) + 2)
    length = int.from_bytes(start[-2:], "little")
    if not start.startswith(_NPY_MAGIC) or len(start) != len(_NPY_MAGIC) + 2 or length > _LONGEST_ARRAY_HEADER:
        raise TraceError(f"{where}: got a damaged header (of another version or length), expected {expected}")
    found = _ARRAY_HEADER.fullmatch(array.read(length).decode("latin-1"))
    if found is None:
        raise TraceError(f"{where}: got a damaged header (other keys or values), expected {expected}")
    fields = dict(zip((key[1:-1] for key in found.groups()[::2]), found.groups()[1::2], strict=True))
    try:
        shape = tuple(map(int, filter(None, re.split(r"[(),\sL]+", fields["shape"]))))
        fortran, dtype = _FLAGS[fields["fortran_order"]], np.dtype(fields["descr"].strip("'\""))
        if len(shape) == 1 and "," not in fields["shape"]:
            raise ValueError("a shape that is a number")
    except (KeyError, ValueError, TypeError) as error:
        raise TraceError(f"{where}: got a damaged header ({words_of(error)}), expected {expected}") from None
    if dtype.kind not in "biuf":
        raise TraceError(f"{where}: got {dtype}, expected numbers or true and false (objects are never unpickled)")
    return shape, fortran, dtype


def _npy_entry(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    header: _Header,
    where: str,
) -> Entry:
    shape, fortran, dtype = header

    def read() -> BitTensor:
        with archive.open(member) as array:
            _array_header(array, where)
            bits = read_bits(array, shape[::-1] if fortran else shape, dtype, where)
            if array.read(1):
                raise TraceError(f"{where}: got bytes after the array, expected none")
        return transposed(bits) if fortran else bits

    return Entry(shape=shape, read=read, fortran=fortran)


def _safetensors(file: BinaryIO, path: Path) -> Iterator[tuple[str, Entry]]:
    """The entries of the header, which must describe the bytes behind it without a gap or an overlap."""
    size = file.seek(0, 2)
    file.seek(0)
    length = struct.unpack("<Q", file.read(8))[0] if size >= 8 else None
    if length is None or length > min(_LARGEST_HEADER_BYTES, size - 8):
        got = f"{size} bytes" if length is None else f"a header of {length} bytes in a file of {size}"
        raise TraceError(f"{path}: got {got}, expected {_EXPECTED}")
    root = Node(parse_json(file.read(length), f"{path}: header"), f"{path}: header")
    nodes = {name: node for name, node in root.entries(_MOST_ARRAYS) if name != "__metadata__"}
    end = 0
    for begin, name, shape, kind, stop in sorted((_tensor(name, node) for name, node in nodes.items()), key=_place):
        if begin != end:
            nodes[name].fail(f"data from byte {end}, where the tensor before it ends", got=f"byte {begin}")
        end = stop
        yield name, _tensor_entry(file, 8 + length + begin, (shape, kind), f"{path}: {name!r}")
    if end != size - 8 - length:
        raise TraceError(f"{path}: got {size - 8 - length} bytes of data, expected {end} as the header says")


def _tensor(name: str, node: Node) -> tuple[int, str, tuple[int, ...], str, int]:
    members = node.members(("dtype", "shape", "data_offsets"))
    kind = members["dtype"].text(20)
    if kind not in _TYPES:
        members["dtype"].fail(f"one of {', '.join(_TYPES)}")
    shape = members["shape"].shape(0, (1 << 31) - 1)
    begin, end = members["data_offsets"].integers(0, (1 << 63) - 1, 2)
    expected = np.dtype(_TYPES[kind][0]).itemsize
    for dimension in shape:
        expected *= dimension
    if end - begin != expected:
        members["data_offsets"].fail(f"{expected} bytes for {kind} of shape {list(shape)}", got=f"{end - begin} bytes")
    return begin, name, shape, kind, end


def _place(tensor: tuple[int, str, tuple[int, ...], str, int]) -> tuple[int, int]:
    return tensor[0], tensor[4]


def _tensor_entry(file: BinaryIO, start: int, what: tuple[tuple[int, ...], str], where: str) -> Entry:
    shape, kind = what

    def read() -> BitTensor:
        file.seek(start)
        text, significant = _TYPES[kind]
        return read_bits(file, shape, np.dtype(text), where, significant=significant)

    return Entry(shape=shape, read=read)
