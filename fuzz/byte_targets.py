"""Readers of bytes. Where a checksum would refuse nearly every input, half of the inputs get a right one."""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import sys
import zipfile
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np

from fuzz.judging import FoundError, accepts
from swatsim.architecture.loader import read_architecture
from swatsim.budgets import allocate, places_of
from swatsim.errors import SwatsimError
from swatsim.report.restoring import report_of
from swatsim.saved import load_saved, point_of_sweep
from swatsim.sources.masks import read_masks
from swatsim.sources.scalesim import read_topology
from swatsim.sources.smtx import read_smtx
from swatsim.sources.source import Contents, Request
from swatsim.sweeping.result import Sweep
from swatsim.sweeping.store import Store
from swatsim.trace import tensors
from swatsim.trace.manifest import format_manifest, parse_manifest
from swatsim.trace.records import StoredTensor

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

POINT_KEY = "0123456789abcdef"
BUDGET_PLACES = places_of([("conv1", "conv2d", (4, 3, 3, 3)), ("fc", "linear", (10, 4))])
_ENDING = re.compile("(mask|orig|weight)$")
_REQUEST = Request(positions=2)


def manifest(data: bytes, _: Path) -> bool:
    """An even first byte: the rest is the file. An odd one: the rest follows a digest that is right."""
    content = data[1:]
    if data[:1] and data[0] % 2:
        content = with_digest(content)

    def read() -> None:
        found = parse_manifest(content, "manifest.json")
        if parse_manifest(format_manifest(found), "written") != found:
            raise FoundError("what is written again is another manifest")

    return accepts(read)


def with_digest(rest: bytes) -> bytes:
    """A manifest of which this follows the digest."""
    return b'{"digest": "' + hashlib.sha256(rest).hexdigest().encode("ascii") + b'"' + rest


def tensor(data: bytes, folder: Path) -> bool:
    """The first byte says how the file is made of the rest, then come the number of dimensions, and each."""
    mode, count = (*data[:2], 0, 0)[:2]
    count %= 4
    shape = tuple(1 + size for size in data[2 : 2 + count])
    rest = data[2 + count :]
    record = StoredTensor(shape=shape, all_ones=bool(mode & 4))
    content = tensors.header(record) + rest if mode & 2 else rest
    file = zstd.compress(content, 1) if mode & 1 else content
    digest = hashlib.sha256(content if mode & 1 else expanded(file)).hexdigest()
    path = folder / tensors.file_name(digest if mode & 8 else "0" * 64)
    path.write_bytes(file)

    def read() -> None:
        found = tensors.read(path, digest, record)
        if found.shape != shape or tensors.encode(found)[0] != digest:
            raise FoundError("what is written again is another tensor")

    try:
        return accepts(read)
    finally:
        path.unlink()


def expanded(file: bytes) -> bytes:
    """What a zstd file holds, where it is one."""
    try:
        return zstd.ZstdDecompressor().decompress(file, max_length=1 << 16)
    except (zstd.ZstdError, EOFError, MemoryError):
        return b""


def npz(data: bytes, folder: Path) -> bool:
    """An even first byte: the rest is the file. An odd one: it is the arrays of one, at zero bytes 0xFF 0xFE apart."""
    content = data[1:]
    if data[:1] and data[0] % 2:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for part in content.split(b"\xff\xfe"):
                name, _, array = part.partition(b"\n")
                archive.writestr(zipfile.ZipInfo(name.decode("utf-8", "replace")), array)
        content = buffer.getvalue()
    return _masks(folder / "masks.npz", content, zipped=True, plain=_plain_npz)


def _plain_npz(content: bytes) -> Mapping[str, np.ndarray]:
    """Each array is read where it is looked up: one of fewer than two dimensions, of no weights, may be damaged."""
    found: Mapping[str, np.ndarray] = np.load(io.BytesIO(content), allow_pickle=False)
    return found


def _masks(path: Path, content: bytes, *, zipped: bool, plain: Callable[[bytes], Mapping[str, np.ndarray]]) -> bool:
    """Read masks; what is of the target's own kind is compared with what `plain` makes of the same bytes."""
    path.write_bytes(content)

    def read() -> None:
        found = read_masks(path, _REQUEST)
        if (content[:4] == b"PK\x03\x04") == zipped:
            _compare(found, plain(content))

    return accepts(read)


def _compare(found: Contents, expected: Mapping[str, np.ndarray]) -> None:
    """Weights are non-zeros of the arrays; where masks multiply or wrappers rename, nothing is compared."""
    if any(_ENDING.search(name) or name.startswith(("module.", "_orig_mod.")) for name in expected):
        return
    for name, bits in {**found.weights, **found.others}.items():
        if not np.array_equal(bits.to_bool(), expected[name] != 0):
            raise FoundError(f"{name!r}: other elements than NumPy reads")


def safetensors(data: bytes, folder: Path) -> bool:
    """An even first byte: the rest is the file. An odd one: a header as far as its last brace, and the data."""
    content = data[1:]
    if data[:1] and data[0] % 2:
        end = content.rfind(b"}") + 1
        content = struct.pack("<Q", end) + content
    return _masks(folder / "masks.safetensors", content, zipped=False, plain=_plain_safetensors)


def _plain_safetensors(content: bytes) -> dict[str, np.ndarray]:
    """Non-zeros by bytes: a value is zero where no byte of it has a bit but the sign of a float."""
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        count = int(np.prod(entry["shape"], dtype=object))
        values = np.frombuffer(content[begin:end], dtype=np.uint8)
        values = values.reshape(count, -1).copy() if count else np.zeros((0, 1), dtype=np.uint8)
        if entry["dtype"] in ("F16", "F32", "F64", "BF16", "F8_E4M3", "F8_E5M2") and count:
            values[:, -1] &= 0x7F
        found[name] = (values != 0).any(axis=1).reshape(entry["shape"])
    return found


def smtx(data: bytes, folder: Path) -> bool:
    """A matrix as text."""
    path = folder / "matrix.smtx"
    path.write_bytes(data)

    def read() -> None:
        (bits,) = read_smtx(path, _REQUEST).weights.values()
        if bits.size > 1 << 20:
            return
        lines = data.rstrip().split(b"\n")
        rows, columns, _ = (int(word) for word in re.findall(rb"[0-9]+", lines[0]))
        pointers, indices = ([int(word) for word in line.split()] for line in (*lines[1:], b"")[:2])
        expected = np.zeros((rows, columns), dtype=bool)
        for row in range(rows):
            expected[row, indices[pointers[row] : pointers[row + 1]]] = True
        if not np.array_equal(bits.to_bool(), expected):
            raise FoundError("other elements than the text has")

    return accepts(read)


def scalesim(data: bytes, folder: Path) -> bool:
    """A topology as CSV."""
    path = folder / "topology.csv"
    path.write_bytes(data)

    def read() -> None:
        specs = read_topology(path, Request()).specs or ()
        if not specs or any(min(spec.input_shape + spec.weight_shape + spec.output_shape) < 1 for spec in specs):
            raise FoundError("layers of no size")

    return accepts(read)


def budget(data: bytes, folder: Path) -> bool:
    """A learned budget as CSV, for a network of two layers."""
    path = folder / "learned.csv"
    path.write_bytes(data)

    def read() -> None:
        found = allocate(str(path), BUDGET_PLACES, Fraction(0))
        text = data.decode("utf-8-sig")
        # Without quotes, lines and commas are all that there is.
        cells = [line.split(",") for line in re.split("\r\n|\r|\n", text.rstrip("\r\n"))[1:]]
        if '"' not in text and {name: Fraction(number) for name, number in cells} != found:
            raise FoundError("another budget than the text's")
        path.write_text("".join(f"{name},{number}\n" for name, number in [("layer", "sparsity"), *found.items()]))
        if allocate(str(path), BUDGET_PLACES, Fraction(0)) != found:
            raise FoundError("what is written again is another budget")

    return accepts(read)


def saved(data: bytes, folder: Path) -> bool:
    """A document of a run, a comparison, a sweep or an exploration; a report is put together as well."""
    path = folder / "document.json"
    path.write_bytes(data)

    def read() -> None:
        found = load_saved(path)
        if found.document != json.loads(data):
            raise FoundError("another document than the file's")
        if found.kind == "report":
            report_of(found.document, "document.json")

    return accepts(read)


def sweep_point(data: bytes, folder: Path) -> bool:
    """A point of a sweep that was kept: what is damaged counts as not finished; what is read can be written.

    Hardly any input has the SHA-256 that a kept point says of itself, so it is not asked for.
    """
    (folder / f"{POINT_KEY}.json").write_bytes(data)
    Store(folder).read(POINT_KEY)
    try:
        found = point_of_sweep(data, "point")
    except SwatsimError:
        return False
    sweep = Sweep(grid={}, points=(found,))
    json.loads(sweep.to_json())
    sweep.to_csv()
    return bool(sweep.rows()) or not found["totals"]


def architecture(data: bytes, _: Path) -> bool:
    """An architecture file."""
    return accepts(lambda: check_architecture(data), several_lines=True)


def check_architecture(data: bytes) -> None:
    """Read it, and once more what is said of it."""
    found = read_architecture(data, "machine.yaml")
    if type(found).model_validate(found.model_dump(mode="json")) != found:
        raise FoundError("what is written again is another architecture")
