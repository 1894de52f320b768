"""What reading takes of memory: small files that once took that of the largest, each in a process of its own."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

SCRIPT = """
import json, sys
from pathlib import Path
from swatsim.errors import SwatsimError
from swatsim.saved import load_saved
from swatsim.sources import Request, import_trace
from swatsim.topologies import ROLES, topology_trace

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) << 10

path, before, said = Path(sys.argv[1]), peak(), ""
try:
    if path.suffix == ".json":
        load_saved(path)
    if path.suffix == ".csv":
        trace = topology_trace(path, dict.fromkeys(ROLES, 0.5), name="t")
    else:
        trace = import_trace(path, Request(positions=1), name="t")
    trace.layer(0)
except SwatsimError as error:
    said = str(error)
print(json.dumps([said, peak() - before]))
"""


def npz(path, arrays, elements, *, fortran):
    """Arrays of zeros, of so many elements each."""
    side = 1 << 12
    shape = (elements // side, side)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(arrays):
            with archive.open(f"l{number}.npy", "w") as member:
                description = {"descr": "|b1", "fortran_order": fortran, "shape": shape}
                np.lib.format.write_array_header_1_0(member, description)
                for _ in range(elements >> 20):
                    member.write(bytes(1 << 20))
    return path


def directory_of(path, entries, stated=None, *, in_64_bits=True):
    """An archive whose directory names one empty file so many times, and states another number."""
    name, count = b"a.npy", entries if stated is None else stated
    local = b"PK\3\4" + struct.pack("<5H3L2H", 20, 0, 0, 0, 0, 0, 0, 0, len(name), 0) + name
    entry = b"PK\1\2" + struct.pack("<6H3L5H2L", 20, 20, *(0,) * 7, len(name), *(0,) * 6) + name
    size = len(entry) * entries
    end_64 = b"PK\6\6" + struct.pack("<Q2H2L4Q", 44, 45, 45, 0, 0, count, count, size, len(local))
    locator = b"PK\6\7" + struct.pack("<LQL", 0, len(local) + size, 1)
    fields = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF) if in_64_bits else (count, count, size, len(local))
    end = b"PK\5\6" + struct.pack("<4H2LH", 0, 0, *fields, 0)
    path.write_bytes(local + entry * entries + (end_64 + locator if in_64_bits else b"") + end)
    return path


def matrix(path, rows, columns):
    """All elements of which are there."""
    pointers = " ".join(map(str, range(0, rows * columns + 1, columns)))
    row = " ".join(map(str, range(columns)))
    path.write_text(f"{rows}, {columns}, {rows * columns}\n{pointers}\n{f'{row} ' * rows}\n")
    return path


def topology(path, *lines):
    path.write_text("\n".join(("name,h,w,kh,kw,c,f,s,", *lines)))
    return path


def document(path, **repeated):
    """Arrays of the same text over and over, of what is no document."""
    arrays = (f'"{key}": [{",".join([text] * number)}]' for key, (text, number) in repeated.items())
    path.write_text(f"{{{','.join(arrays)}}}")
    return path


# By name: how the file is made, MiB that it may take, and what is said of it where it is refused.
INPUTS = {
    "a topology of 2,000,000 lines that name no layer": (
        lambda folder: topology(folder / "t.csv", *["x"] * 2_000_000), 96, "t.csv: got more than 10000 lines",
    ),
    "a topology of a layer of 2^25 elements": (
        lambda folder: topology(folder / "t.csv", "a,4096,4096,1,1,2,1,1,"), 96, "",
    ),
    "a topology of ten such layers": (
        lambda folder: topology(folder / "t.csv", *(f"a{number},4096,4096,1,1,2,1,1," for number in range(10))), 96, "",
    ),
    "an array in Fortran order": (lambda folder: npz(folder / "m.npz", 1, 1 << 25, fortran=True), 64, ""),
    "arrays in Fortran order": (lambda folder: npz(folder / "m.npz", 2, 1 << 24, fortran=True), 48, ""),
    "arrays in C order": (lambda folder: npz(folder / "m.npz", 4, 1 << 24, fortran=False), 24, ""),
    "a directory of 300,000 entries": (
        lambda folder: directory_of(folder / "m.npz", 300_000), 16, "got 300000 entries, expected at most 40000",
    ),
    "a directory of 600,000 entries that states 1": (
        lambda folder: directory_of(folder / "m.npz", 600_000, 1), 16, "got a directory of 30600000 bytes, expected",
    ),
    "a document of 700,000 objects": (
        lambda folder: document(folder / "d.json", a=("{}", 700_000)), 8, "got 700002 objects and arrays in",
    ),
    "a document of 3,000,000 numbers": (
        lambda folder: document(folder / "d.json", a=("0", 3_000_000)), 8, "got 2999999 commas in 6000008 bytes",
    ),
    "a document of one number of 8,000,000 digits": (
        lambda folder: document(folder / "d.json", a=("9" * 8_000_000, 1)), 48, "got an integer of 8000000 digits,",
    ),
    "a document of as many objects and numbers as are read": (
        lambda folder: document(folder / "d.json", a=('{"":0}', 499_000), b=("0.1", 1_500_000)), 224, "format: got",
    ),
    "a matrix of 2,000,000 elements as text": (lambda folder: matrix(folder / "m.smtx", 200_000, 10), 40, ""),
}  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of a process where Linux says it")
@pytest.mark.parametrize("name", INPUTS)
def test_peak(name, tmp_path):
    make, most_mebibytes, expected = INPUTS[name]
    command = [sys.executable, "-c", SCRIPT, str(make(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    said, peak_bytes = json.loads(done.stdout)
    assert expected in said
    assert bool(said) == bool(expected)
    assert peak_bytes < most_mebibytes << 20
