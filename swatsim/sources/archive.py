"""Zip archives from strangers: what their last bytes say of them is looked at before anything is made of it."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from swatsim.errors import TraceError

_END, _END_64, _LOCATOR_64 = b"PK\5\6", b"PK\6\6", b"PK\6\7"
_END_BYTES, _END_64_BYTES, _LOCATOR_64_BYTES = 22, 56, 20
_LARGEST_COMMENT_BYTES = (1 << 16) - 1
_ELSEWHERE = (0xFFFF, 0xFFFFFFFF)  # of an entry count and of bytes: they stand in the record of 64 bits
_ENTRY_BYTES = 640  # in the directory, with a name of 500 characters


def open_archive(file: BinaryIO, path: Path, most_entries: int) -> zipfile.ZipFile:
    """Open an archive whose directory is short enough for so many entries; zipfile would hold it whole first.

    Raises TraceError, and for a damaged archive what zipfile raises.
    """
    for entries, directory_bytes in _directories(file):
        if entries > most_entries:
            raise TraceError(f"{path}: got {entries} entries, expected at most {most_entries}")
        if directory_bytes > most_entries * _ENTRY_BYTES:
            got = f"a directory of {directory_bytes} bytes"
            raise TraceError(f"{path}: got {got}, expected at most {most_entries * _ENTRY_BYTES}")
    archive = zipfile.ZipFile(file)
    if (entries := len(archive.infolist())) > most_entries:
        raise TraceError(f"{path}: got {entries} entries, expected at most {most_entries}")
    return archive


def _directories(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """(Entries, bytes) of the directory by each record that a reader may believe: versions of zipfile differ."""
    end = _end_of_directory(file)
    if end is None:
        return
    locator = _read_at(file, end - _LOCATOR_64_BYTES, _LOCATOR_64_BYTES)
    places = []
    if locator.startswith(_LOCATOR_64):
        places = [end - _LOCATOR_64_BYTES - _END_64_BYTES, struct.unpack_from("<Q", locator, 8)[0]]
    records = [_read_at(file, place, _END_64_BYTES) for place in places]
    found = [record for record in records if record.startswith(_END_64) and len(record) == _END_64_BYTES]
    for record in found:
        yield struct.unpack_from("<QQ", record, 32)
    stated = struct.unpack_from("<HL", _read_at(file, end, _END_BYTES), 10)
    entries, size = (0 if found and each == other else each for each, other in zip(stated, _ELSEWHERE, strict=True))
    yield entries, size


def _end_of_directory(file: BinaryIO) -> int | None:
    """Where the last record begins: at the end of the file, or before the comment."""
    size = file.seek(0, 2)
    last = _read_at(file, size - _END_BYTES, _END_BYTES)
    if last.startswith(_END) and last.endswith(b"\0\0"):
        return size - _END_BYTES
    start = max(0, size - _END_BYTES - _LARGEST_COMMENT_BYTES - 1)
    place = _read_at(file, start, size - start).rfind(_END)
    return start + place if 0 <= place <= size - start - _END_BYTES else None


def _read_at(file: BinaryIO, place: int, size: int) -> bytes:
    """Nothing where the place is none of the file."""
    if not 0 <= place < 1 << 63:
        return b""
    file.seek(place)
    return file.read(size)
