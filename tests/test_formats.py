"""Storage formats: their sizes are those of encodings that can be read back."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import twins_formats as twins
from hypothesis import example, given
from hypothesis import strategies as st
from kernel_cases import DENSITIES, packed_words, randoms

from swatsim.formats import FORMATS, RUN_BITS, Pieces, document, needs_fillers, stored_bytes
from swatsim.kernels.formats import count_fillers

ROOT = Path(__file__).parent.parent
NAMES = ("dense", "bitmap", "csr", "csc", "run_length", "zfnaf")
# Zeros before a non-zero: around one, two and three counts of four bits.
RUNS = st.sampled_from([0, 1, 7, 14, 15, 16, 17, 30, 31, 32, 33, 47, 48, 49])


def measured(table, rows, columns):
    """What swatsim counts of pieces, table[piece, value]."""
    fillers = np.full(len(table), -7)
    values = table.shape[1]
    tensor, base = packed_words((table != 0).reshape(-1).tolist()), np.arange(len(table)) * values
    count_fillers(tensor, base, np.array([[0, values, 0]]), RUN_BITS, fillers)
    return Pieces(rows=rows, columns=columns, nonzeros=np.count_nonzero(table, axis=1), fillers=fillers)


def check_encodings(name, table, rows, columns, value_bytes):
    """Each piece can be read back from its encoding, which has as many bytes as swatsim says."""
    expected = []
    for values in table.tolist():
        piece = twins.in_rows(values, rows, columns)
        bits = twins.encode(name, piece, rows, columns, value_bytes)
        assert twins.decode(name, bits, rows, columns, value_bytes) == piece
        expected.append(len(bits) // 8)
    assert stored_bytes(name, measured(table, rows, columns), value_bytes).tolist() == expected


@st.composite
def random_pieces(draw):
    """(table[piece, value], rows, columns, value_bytes): pieces of one shape and of several densities."""
    random = draw(randoms())
    rows, columns = draw(st.integers(0, 9)), draw(st.integers(0, 40))
    value_bytes = draw(st.integers(1, 4))
    densities = np.array(draw(st.lists(DENSITIES, max_size=4))).reshape(-1, 1)
    shape = (len(densities), rows * columns)
    table = random.integers(1, 256**value_bytes, shape) * (random.random(shape) < densities)
    return table, rows, columns, value_bytes


@st.composite
def pieces_of_runs(draw):
    """One piece that is made of runs of zeros, in a shape that cuts them anywhere."""
    runs = draw(st.lists(RUNS, max_size=6))
    values = [value for run in runs for value in [0] * run + [1 + run % 255]] + [0] * draw(RUNS)
    columns = draw(st.integers(1, 40))
    values += [0] * (-len(values) % columns)
    return np.array(values, np.int64).reshape(1, -1), len(values) // columns, columns, draw(st.integers(1, 4))


@pytest.mark.parametrize("name", NAMES)
@given(random_pieces())
@example((np.zeros((1, 1), np.int64), 1, 1, 1))
@example((np.ones((1, 1), np.int64), 1, 1, 1))
@example((np.zeros((2, 0), np.int64), 0, 5, 2))
@example((np.full((1, 9 * 33), 65535), 9, 33, 2))
def test_sizes_are_those_of_encodings(name, case):
    check_encodings(name, *case)


@pytest.mark.parametrize("name", NAMES)
@given(pieces_of_runs())
def test_sizes_of_runs_are_those_of_encodings(name, case):
    check_encodings(name, *case)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("zeros", [15, 16, 17, 31, 32, 33])
@pytest.mark.parametrize("values", [[7], [0], [7, 0]])
def test_sizes_of_one_run_are_those_of_encodings(name, zeros, values):
    """A run of zeros at the start of a piece and before a value; alone; at its end too."""
    table = np.array([[*values, *[0] * zeros, *values]])
    check_encodings(name, table, 1, table.size, 2)
    check_encodings(name, table, table.size, 1, 2)


@pytest.mark.parametrize(
    "name, rows, columns, nonzeros, fillers, bits",
    [
        ("dense", 3, 5, 4, 0, 15 * 16),
        ("bitmap", 3, 5, 4, 0, 15 + 4 * 16),
        ("csr", 3, 5, 4, 0, 4 * 4 + 4 * (3 + 16)),  # pointers to 15, columns to 4
        ("csc", 3, 5, 4, 0, 6 * 4 + 4 * (2 + 16)),
        ("csr", 4, 4, 9, 0, 5 * 5 + 9 * (2 + 16)),  # 16 takes a fifth bit, columns to 3 only two
        ("csr", 1, 1, 1, 0, 2 * 1 + 1 * (0 + 16)),
        ("csc", 1, 8, 8, 0, 9 * 4 + 8 * (0 + 16)),
        ("run_length", 3, 5, 4, 0, 4 + 4 * (4 + 16)),
        ("run_length", 9, 64, 9, 27, 10 + 36 * (4 + 16)),
        ("zfnaf", 3, 5, 4, 0, 3 * 16 * (4 + 16)),
        ("zfnaf", 3, 17, 4, 0, 3 * 2 * 16 * (4 + 16)),
    ],
)
def test_bits_by_hand(name, rows, columns, nonzeros, fillers, bits):
    pieces = Pieces(rows=rows, columns=columns, nonzeros=np.array(nonzeros), fillers=np.array(fillers))
    assert stored_bytes(name, pieces, 2) == -(-bits // 8)


@pytest.mark.parametrize("name", NAMES)
def test_a_piece_is_rounded_by_itself_and_arrays_keep_their_shape(name):
    nonzeros = np.arange(6).reshape(2, 3)
    fillers = nonzeros[::-1] % 2
    together = stored_bytes(name, Pieces(rows=3, columns=7, nonzeros=nonzeros, fillers=fillers), 2)
    assert (together.shape, together.dtype) == ((2, 3), np.int64)
    for place in np.ndindex(2, 3):
        alone = Pieces(rows=3, columns=7, nonzeros=nonzeros[place], fillers=fillers[place])
        assert stored_bytes(name, alone, 2) == together[place]
    empty = np.zeros((4, 0), np.int64)
    assert stored_bytes(name, Pieces(rows=3, columns=7, nonzeros=empty, fillers=empty), 2).shape == (4, 0)


@pytest.mark.parametrize("name", NAMES)
def test_more_values_never_take_fewer_bytes(name):
    nonzeros = np.arange(9 * 33 + 1)
    sizes = stored_bytes(name, Pieces(rows=9, columns=33, nonzeros=nonzeros, fillers=np.zeros_like(nonzeros)), 2)
    assert all(fewer <= more for fewer, more in pairwise(sizes.tolist()))
    wider = stored_bytes(name, Pieces(rows=9, columns=34, nonzeros=nonzeros, fillers=np.zeros_like(nonzeros)), 2)
    assert (wider >= sizes).all()


@pytest.mark.parametrize("name", NAMES)
def test_sizes_do_not_wrap(name):
    """A gibi of values of 16 bytes, all of them there."""
    pieces = Pieces(rows=1 << 15, columns=1 << 15, nonzeros=np.array([1 << 30]), fillers=np.array([0]))
    assert stored_bytes(name, pieces, 16)[0] >= 1 << 34


def test_only_run_length_needs_fillers():
    assert tuple(FORMATS) == NAMES == tuple(twins.CODECS)
    assert [name for name in FORMATS if needs_fillers(name)] == ["run_length"]
    pieces = Pieces(rows=2, columns=40, nonzeros=np.array([3]))
    for name in FORMATS:
        if needs_fillers(name):
            with pytest.raises(ValueError, match=f"{name}: got no fillers"):
                stored_bytes(name, pieces, 2)
        else:
            stored_bytes(name, pieces, 2)


def test_the_page_is_current():
    done = subprocess.run(
        [sys.executable, "-m", "swatsim.formats"], cwd=ROOT, capture_output=True, text=True, encoding="utf-8",
        stdin=subprocess.DEVNULL, check=True, env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (document(), "")
    command = "python -m swatsim.formats > docs/storage_formats.md"
    written = (ROOT / "docs" / "storage_formats.md").read_text(encoding="utf-8")
    assert written == document(), f"docs/storage_formats.md is stale: {command}"
    assert command in written


def test_the_page_has_every_format_and_no_row_out_of_shape():
    for each in FORMATS.values():
        assert f"| `{each.name}` | {each.summary} |" in document()
    tables = document().split("\n\n")
    for table in (part.splitlines() for part in tables if part.startswith("|")):
        assert len({line.count("|") for line in table}) == 1, table[0]
