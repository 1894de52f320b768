"""What is known to break readers, by name: each reader refuses it in a line.

What it may take of time and memory is in `test_memory_of_inputs.py`, `test_trace_manifest.py` (a million layers),
`test_trace_tensors.py` (a zstd bomb) and `fuzz/`.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile

import pytest
from command_line import in_process
from trace_files import edit_manifest, small_trace, with_digest

from swatsim.architecture import load_architecture
from swatsim.errors import SwatsimError
from swatsim.saved import load_saved
from swatsim.sources import Request, import_trace
from swatsim.sweeping import read_grid
from swatsim.trace import load_trace

# That one file is told.
MOST_ERRORS = 202
HUGE = b"9" * 100_000
DEEP = 100_000
SIDE = 10**6  # of a shape of 10^12 elements


def manifest(change):
    """A trace whose manifest is changed, under a digest that fits."""

    def make(path):
        trace = small_trace(path)
        edit_manifest(trace, change)
        return trace

    return make


def text(change):
    """A trace with another manifest, made of the bytes of a valid one."""

    def make(path):
        trace = small_trace(path)
        file = trace / "manifest.json"
        file.write_bytes(change(file.read_bytes()))
        return trace

    return make


def a_shape(members):
    name = next(iter(members["tensors"]))
    members["tensors"][name]["shape"] = [SIDE, SIDE]


def not_a_number(members):
    members["provenance"] = {"loss": float("nan")}


def of_bytes(content):
    """A file of these bytes."""

    def make(path):
        path.write_bytes(content)
        return path

    return make


TRACES = {
    "a shape of 10^12 elements": manifest(a_shape),
    "NaN": manifest(not_a_number),
    "a key twice": text(lambda data: data.replace(b'"name"', b'"name":"x","name"', 1)),
    "a huge integer": text(lambda data: data.replace(b'"version": 1', b'"version": ' + HUGE).replace(
        b'"version":1', b'"version":' + HUGE)),
    "deep": text(lambda data: b'{"digest": ' + b"[" * DEEP),
    "deep, of a right digest": text(lambda _: with_digest({"name": json.loads("[" * 400 + "]" * 400)})),
    "not UTF-8": text(lambda data: data.replace(b'"small"', b'"sm\xff\xfell"')),
    "lone surrogates": text(lambda data: data.replace(b'"small"', b'"\\ud800"')),
}  # fmt: skip
LAUGHS = b"a0: &a0 [ha]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 20)
)
DOCUMENTS = {
    "deep, flow": b"name: " + b"[" * DEEP,
    "deep, blocks": b"".join(b" " * n + b"a:\n" for n in range(600)),
    "an anchor": b"name: &a x\n",
    "aliases of aliases": LAUGHS,
    "an alias of itself": b"name: &a [*a]\n",
    "merged keys": b"a: &a {x: 1}\n<<: *a\n",
    "a tag": b"name: !!python/object/apply:os.system [ls]\n",
    "a key twice": b"name: a\nname: b\n",
    "not UTF-8": b"name: \xff\xfe\n",
    "a null character": b"name: a\0b\n",
    "NaN": b"clock_hz: .nan\nname: x\n",
    "a huge integer": b"name: x\nclock_hz: " + HUGE + b"\n",
    "a huge exponent": b"name: x\nclock_hz: 1e999999999\n",
    "two documents": b"name: x\n---\nname: y\n",
    "nothing": b"",
}
JSON = {
    "deep": b"[" * DEEP,
    "deep objects": b'{"a":' * DEEP,
    "a key twice": b'{"format": "swatsim-report", "format": "swatsim-report"}',
    "NaN": b'{"format": "swatsim-report", "version": NaN}',
    "infinity": b'{"format": "swatsim-report", "version": 1e999}',
    "a huge integer": b'{"format": "swatsim-report", "version": ' + HUGE + b"}",
    "not UTF-8": b'{"format": "\xff"}',
    "lone surrogates": b'{"format": "\\ud800"}',
    "a million rows": b'{"format": "swatsim-report", "version": 2, "rows": [' + b"{}," * 999_999 + b"{}]}",
}


def npz(header):
    """A mask whose header says anything."""
    head = header.encode().ljust(118) + b"\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("layer.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head)
    return buffer.getvalue()


def safetensors(shape, end):
    header = json.dumps({"layer": {"dtype": "BOOL", "shape": shape, "data_offsets": [0, end]}}).encode()
    return struct.pack("<Q", len(header)) + header


MASKS = {
    "a shape of 10^12 elements.npz": npz(f"{{'descr': '|b1', 'fortran_order': False, 'shape': ({SIDE}, {SIDE})}}"),
    "objects that would be unpickled.npz": npz("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"),
    "a huge integer.npz": npz("{'descr': '|b1', 'fortran_order': False, 'shape': (" + "9" * 90 + ",)}"),
    "a shape of 10^12 elements.safetensors": safetensors([SIDE, SIDE], SIDE * SIDE),
    "a header of 2^63 bytes.safetensors": struct.pack("<Q", 1 << 63),
    "a shape of 10^12 elements.smtx": f"{SIDE}, {SIDE}, 0\n0 0\n\n".encode(),
    "a huge integer.smtx": HUGE + b", 1, 0\n0 0\n\n",
    "a shape of 10^12 elements.csv": f"name,M,N,K,\nlayer,{SIDE},{SIDE},{SIDE},\n".encode(),
    "not UTF-8.csv": b"name,M,N,K,\n\xff\xfe,1,1,1,\n",
}


def refused(read, path, lines=1):
    """The message has so many lines at most, each of which can be shown."""
    with pytest.raises(SwatsimError) as raised:
        read(path)
    message = str(raised.value)
    assert all(line.isprintable() for line in message.split("\n"))
    assert message.count("\n") < lines
    assert len(message) < 1500 * lines


@pytest.mark.parametrize("name", TRACES)
def test_traces(name, tmp_path):
    refused(load_trace, TRACES[name](tmp_path / "t"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_architectures(name, tmp_path):
    refused(load_architecture, of_bytes(DOCUMENTS[name])(tmp_path / "machine.yaml"), lines=MOST_ERRORS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_grids(name, tmp_path):
    refused(lambda path: read_grid(str(path)), of_bytes(DOCUMENTS[name])(tmp_path / "grid.yaml"), lines=MOST_ERRORS)


@pytest.mark.parametrize("name", JSON)
def test_saved_documents(name, tmp_path):
    refused(load_saved, of_bytes(JSON[name])(tmp_path / "saved.json"))


@pytest.mark.parametrize("name", MASKS)
def test_imports(name, tmp_path):
    path = of_bytes(MASKS[name])(tmp_path / f"file.{name.rpartition('.')[2]}")
    refused(lambda source: import_trace(source, Request(positions=4), name="t"), path)


def test_a_layer_of_10_to_the_12_elements_is_refused_by_a_run(tmp_path, capsys):
    """As a topology, which has no tensors."""
    path = of_bytes(MASKS["a shape of 10^12 elements.csv"])(tmp_path / "topology.csv")
    code, out, err = in_process(capsys, "run", "--arch", "dadiannao", "--trace", path, "--density", "1")
    assert (code, out) == (2, "")
    assert err == f"{path}: layer: input: got 1000000000000 elements, expected at most 1073741824\n"
