"""SCALE-Sim topologies and DLMC matrices: layers by hand, matrices by scipy's rule, and files with mistakes."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refused_imports import refused_import

import swatsim
from swatsim.errors import TraceError
from swatsim.sources import Request, import_trace, scalesim, source

CONVOLUTIONS = """Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
Conv1, 224, 224, 7, 7, 3, 64, 2,
Conv2a,56,30,1,3,64,128,1,

DP1, 14, 14, 3, 3, 32, 1, 2,
Last, 8, 6, 3, 2, 32, 10, 2, 1,
"""


def refused(path, text=None, request=None):
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return refused_import(path, request)


def imported(path, text, **asked):
    path.write_text(text, encoding="utf-8")
    return import_trace(path, Request(**asked), name="t")


# ---------------------------------------------------------------------------------------------------------- SCALE-Sim


def test_convolutions(tmp_path):
    trace = imported(tmp_path / "net.csv", CONVOLUTIONS, images=2)
    first, second, depthwise, last = trace.specs
    # (224 - 7) // 2 + 1 windows: SCALE-Sim has no padding, and counts 110 with one that is cut off.
    assert (first.name, first.input_shape, first.weight_shape) == ("Conv1", (2, 3, 224, 224), (64, 3, 7, 7))
    assert (first.output_shape, first.stride, first.padding) == ((2, 64, 109, 109), (2, 2), (0, 0, 0, 0))
    assert (first.needs_input_grad, second.needs_input_grad) == (False, True)
    assert (second.weight_shape, second.output_shape) == ((128, 64, 1, 3), (2, 128, 56, 28))
    assert (depthwise.groups, depthwise.weight_shape, depthwise.output_shape) == (32, (32, 1, 3, 3), (2, 32, 6, 6))
    assert (last.stride, last.output_shape) == ((2, 1), (2, 10, 3, 5))
    for layer in trace:
        for operands in layer.passes.values():
            assert all(operand.bits.nonzeros == operand.bits.size for operand in operands.operands.values())
    made = trace.manifest.provenance
    assert made["operands"].startswith("weight: dense, for the file has no weights")
    assert "no padding" in made["remarks"]
    assert "shapes" not in made
    assert trace.graph == ()


@pytest.mark.parametrize("header", ["Layer, M, N, K,", "Layer,M,N,K", "name, K, M, N,", "a,b,c,d,"])
def test_matrix_products(tmp_path, header):
    order = [word.strip() for word in header.split(",")[1:4]]
    sizes = {"M": 5, "N": 7, "K": 11} if set(order) == set("MNK") else dict(zip(order, (5, 7, 11), strict=True))
    line = "fc, " + ", ".join(str(sizes[word]) for word in order) + ",,\n"
    (spec,) = imported(tmp_path / "net.csv", f"{header}\n{line}").specs
    assert (spec.kind, spec.input_shape, spec.weight_shape, spec.output_shape) == ("linear", (5, 11), (7, 11), (5, 7))


def test_dense_cycles_are_dadiannaos(tmp_path):
    trace = imported(tmp_path / "net.csv", "Layer,H,W,R,S,C,K,stride,\nconv,10,10,3,3,32,512,1,\n")
    report = swatsim.simulate(swatsim.load_architecture("dadiannao"), trace, passes=["forward"], workers=1)
    (row,) = [row for row in report.records if row.layer == "conv" and row.pass_name == "forward"]
    assert row.dense_compute_cycles == 8 * 8 * (512 // 256) * (32 // 16) * 9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "got 0 lines"),
        ("Layer,M,N,K\n", "got 1 lines"),
        ("fc,1,2,3\nfc2,1,2,3\n", "got 2 lines, the first of 4 cells"),
        ("Layer,M,N,K\nfc,1,2\n", "net.csv:2: got 'fc, 1, 2', expected a topology"),
        ("Layer,M,N,K\nfc,1,2,three\n", "net.csv:2: got 'fc, 1, 2, three'"),
        ("Layer,M,N,K\nfc,1,2,-3\n", "net.csv:2"),
        ("Layer,M,N,K\nfc,1,2,1e3\n", "net.csv:2"),
        ("Layer,M,N,K\nfc,1,2,\u0663\n", "net.csv:2"),
        ("Layer,M,N,K\nfc,0,2,3\n", "expected integers from 1"),
        ("Layer,M,N,K\nfc,1,2,9999999999\n", "expected integers from 1"),
        ("Layer,M,N,K\nfc,1,2,3\nfc,1,2,3\n", "got a second layer named 'fc'"),
        ("Layer,M,N,K\ntotal,1,2,3\n", "layer name: got 'total'"),
        ("Layer,M,N,K\n\x1b[2J,1,2,3\n", "control characters"),
        ("Layer,M,N,K,Sparsity\nfc,1,2,3,2:4\n", "got sparsity 2:4, which says how many weights stay and not which"),
        ("L,H,W,R,S,C,K,s\nc,2,8,3,3,1,1,1\n", "filters no larger than the ifmap"),
        ("L,H,W,R,S,C,K,s\nc,8,8,3,3,1,1,0\n", "expected integers from 1"),
        (b"Layer,M,N,K\n\xff,1,2,3\n", "no CSV"),
        ('Layer,M,N,K\n"fc,1,2,3\n', "no CSV"),
    ],
)
def test_topologies_with_mistakes(tmp_path, text, expected):
    assert expected in refused(tmp_path / "net.csv", text)


def test_a_note_behind_the_last_comma_of_a_product_is_not_read(tmp_path):
    (spec,) = imported(tmp_path / "net.csv", "Layer,M,N,K,\nfc,1,2,3,a note\n").specs
    assert spec.weight_shape == (2, 3)


def test_a_first_line_that_ends_with_a_number_is_no_header(tmp_path):
    assert "got 2 lines, the first of 4 cells, expected" in refused(tmp_path / "net.csv", "fc,M,N,3\nfc2,1,2,3\n")


def test_a_topology_may_have_4_mib(tmp_path):
    text = "Layer,M,N,K\nfc,1,2,3\n"
    text += "\n" * ((4 << 20) - len(text))
    assert len(imported(tmp_path / "net.csv", text).specs) == 1
    assert "got more than 4194304 bytes" in refused(tmp_path / "more.csv", f"{text}\n")


@pytest.mark.parametrize(("layers", "expected"), [(19, None), (20, "got more than 20 lines, expected a topology")])
def test_a_topology_has_so_many_layers_at_most(tmp_path, monkeypatch, layers, expected):
    monkeypatch.setattr(scalesim, "MOST_LAYERS", 20)
    text = "Layer,M,N,K\n" + "".join(f"fc{number},1,2,3\n" for number in range(layers))
    if expected is None:
        assert len(imported(tmp_path / "net.csv", text).specs) == layers
    else:
        assert expected in refused(tmp_path / "net.csv", text)


def test_a_column_that_says_dense_is_no_mistake(tmp_path):
    (spec,) = imported(tmp_path / "net.csv", "Layer,M,N,K,Sparsity,\nfc,1,2,3,4:4,\n").specs
    assert spec.weight_shape == (2, 3)


def test_shapes_are_not_given_twice(tmp_path):
    path = tmp_path / "net.csv"
    assert "got --network for a file that has shapes" in refused(path, CONVOLUTIONS, Request(network="resnet18"))
    assert "got --positions" in refused(path, CONVOLUTIONS, Request(positions=3))
    assert "got --classes" in refused(path, CONVOLUTIONS, Request(classes=3))
    assert "expected no --images" in refused(path, "Layer,M,N,K\nfc,1,2,3\n", Request(images=2))


# --------------------------------------------------------------------------------------------------------------- smtx


def smtx(mask):
    """The text of a mask, row by row."""
    rows = [np.flatnonzero(row) for row in mask]
    pointers = [0]
    for row in rows:
        pointers.append(pointers[-1] + len(row))
    indices = [str(column) for row in rows for column in row]
    rows_text = " ".join(map(str, pointers))
    return f"{mask.shape[0]}, {mask.shape[1]}, {pointers[-1]}\n{rows_text}\n{' '.join(indices)}\n"


@settings(max_examples=25)
@given(
    rows=st.integers(1, 30), columns=st.integers(1, 30), density=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    seed=st.integers(0, 99), piece_bytes=st.sampled_from([5, 64, 1 << 20]),
)  # fmt: skip
def test_any_matrix(tmp_path_factory, rows, columns, density, seed, piece_bytes):
    mask = np.random.default_rng(seed).random((rows, columns)) < density
    path = tmp_path_factory.mktemp("m") / "a.b.smtx"
    with patch("swatsim.sources.smtx._PIECE_BYTES", piece_bytes):
        layer = imported(path, smtx(mask), positions=4).layer(0)
    assert (layer.spec.name, layer.spec.kind, layer.spec.input_shape) == ("a.b", "linear", (4, columns))
    np.testing.assert_array_equal(layer.passes["forward"].operands["weight"].bits.to_bool(), mask)


def test_a_folder_is_many_layers_in_order_of_their_names(tmp_path):
    masks = {name: np.random.default_rng(3).random((4, size)) < 0.5 for name, size in (("b", 5), ("a", 6))}
    for name, mask in masks.items():
        (tmp_path / f"{name}.smtx").write_text(smtx(mask))
    (tmp_path / "README").write_text("left alone")
    trace = import_trace(tmp_path, Request(positions=2), name="t")
    assert [(spec.name, spec.weight_shape) for spec in trace.specs] == [("a", (4, 6)), ("b", (4, 5))]
    assert "sha256" not in trace.manifest.provenance
    report = swatsim.simulate(swatsim.load_architecture("bit-tactical"), trace, workers=1)
    (row,) = [row for row in report.records if row.layer == "a" and row.pass_name == "forward"]
    assert row.effectual_macs == int(masks["a"].sum()) * 2
    (tmp_path / "link.smtx").symlink_to("/etc/passwd")
    assert "got a symbolic link" in refused(tmp_path, request=Request(positions=2))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "got another first line"),
        ("2, 3\n0 1 2\n0 1\n", "got another first line"),
        ("2, 3, 2, 9\n0 1 2\n0 1\n", "got another first line"),
        ("2, 3, -2\n0 1 2\n0 1\n", "got another first line"),
        ("2, 3, 2\n0 1 2\n0 1\n7\n", "more than 3 lines"),
        ("2, 3, 2\n0 1\n0 1\n", "row pointers: got 2 numbers, expected 3"),
        ("2, 3, 2\n0 1 2 2\n0 1\n", "row pointers: got 4 numbers, expected 3"),
        ("2, 3, 2\n1 1 2\n0 1\n", "expected 0 rising to 2"),
        ("2, 3, 2\n0 1 1\n0 1\n", "expected 0 rising to 2"),
        ("2, 3, 2\n0 3 2\n0 1\n", "expected 0 rising to 2"),
        ("2, 3, 2\n0 1 2\n0\n", "column indices: got 1 numbers, expected 2"),
        ("2, 3, 2\n0 1 2\n0 3\n", "column indices: got 0 to 3, expected 0 to 2"),
        ("2, 3, 2\n0 2 2\n2 1\n", "column indices: got 1 after 2 in row 0, expected rising ones"),
        ("2, 3, 2\n0 2 2\n1 1\n", "column indices: got 1 after 1 in row 0"),
        ("2, 3, 2\n0 1 2\n0 -1\n", "got other characters than digits"),
        ("2, 3, 2\n0 1 2\n0 x\n", "got other characters than digits"),
        ("2, 3, 2\n0 1 99999999999999999999999999\n0 1\n", "expected 0 rising to 2"),
        ("999999, 999999, 0\n0\n", "got shape [999999, 999999], expected"),
        ("0, 3, 0\n0\n", "got shape [0, 3]"),
        ("32768, 32768, 0\n0 0\n", "row pointers: got 2 numbers, expected 32769"),
        ("2, 3, 9999999999\n0 1 9999999999\n0 1\n", "column indices: got 2 numbers"),
    ],
)
@pytest.mark.parametrize("piece_bytes", [1 << 20, 27])
def test_matrices_with_mistakes(tmp_path, monkeypatch, text, expected, piece_bytes):
    monkeypatch.setattr("swatsim.sources.smtx._PIECE_BYTES", piece_bytes)
    assert expected in refused(tmp_path / "m.smtx", text, Request(positions=1))


def test_mistakes_across_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("swatsim.sources.smtx._PIECE_BYTES", 8)
    rising = refused(tmp_path / "m.smtx", "2, 9, 6\n0 1 6\n3 0 1 2 5 4\n", Request(positions=1))
    assert "column indices: got 4 after 5 in row 1, expected rising ones" in rising
    equal = refused(tmp_path / "m.smtx", "2, 9, 6\n0 1 6\n3 0 1 5 5 7\n", Request(positions=1))
    assert "column indices: got 5 after 5 in row 1" in equal
    word = refused(tmp_path / "m.smtx", f"1, 9, 1\n0 1\n{'0' * 50}3\n", Request(positions=1))
    assert "column indices: got a word of 8 characters, expected integers" in word


def test_too_many_rows(tmp_path):
    text = f"{(1 << 22) + 1}, 1, 0\n0\n"
    assert "got 4194305 rows, expected at most 4194304" in refused(tmp_path / "m.smtx", text, Request(positions=1))


def test_a_folder_has_a_limit_in_all(tmp_path):
    """Each of the files is within it."""
    half = 1 << 30
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.smtx").write_text(f"1, {half}, 1\n0 1\n7\n")
    message = refused(tmp_path, request=Request(positions=1))
    assert f"c.smtx: got {half} elements after {2 * half}, expected at most {2 * half} in a folder" in message


def test_positions_are_asked_for(tmp_path):
    assert "got a weight of shape [2, 3] in m and no shape of its input" in refused(
        tmp_path / "m.smtx", "2, 3, 2\n0 1 2\n0 1\n"
    )
    (tmp_path / "m.smtx").unlink()
    assert "got 0 .smtx files" in refused(tmp_path, request=Request(positions=1))


def test_larger_files_are_not_read(tmp_path, monkeypatch):
    for kind in ("scalesim", "smtx"):
        monkeypatch.setattr(f"swatsim.sources.{kind}._LARGEST_FILE_BYTES", 10)
    for name in ("net.csv", "fc.smtx"):
        assert f"{name}: got more than 10 bytes, expected " in refused(tmp_path / name, "1, 2, 3, 4\n")


def test_a_file_that_is_too_large_is_not_opened(tmp_path, monkeypatch):
    path, text = tmp_path / "fc.smtx", "1, 8, 1\n0 1\n3\n"
    monkeypatch.setattr(source, "LARGEST_FILE_BYTES", len(text))
    assert imported(path, text, positions=1).specs
    monkeypatch.setattr(source, "LARGEST_FILE_BYTES", len(text) - 1)
    monkeypatch.setattr(Path, "open", None)
    with pytest.raises(TraceError) as error:
        source.open_source(path, "a matrix")
    assert str(error.value) == f"{path}: got {len(text)} bytes, expected at most {len(text) - 1}"


@pytest.mark.parametrize(("line", "message"), [
    ("a\u202eb,3,5,4", "expected at most 500 printable ones"), ("a" * 501 + ",3,5,4", "expected at most 500"),
    ("total,3,5,4", "layer name: got 'total'"), ("fc,1,2,3", "got a second layer named 'fc', expected each once"),
])  # fmt: skip
def test_names_of_a_topology_are_refused_where_they_stand(tmp_path, line, message):
    path = tmp_path / "t.csv"
    path.write_text(f"Layer,M,N,K\nfc,1,2,3\n\n{line}\n")
    said = refused_import(path)
    assert said.startswith(f"{path}:4: ")
    assert message in said


def test_matrices_of_a_folder_whatever_the_case_of_their_names(tmp_path):
    for name in ("a.smtx", "B.SMTX"):
        (tmp_path / name).write_text("1, 2, 1\n0 1\n1\n")
    assert [spec.name for spec in import_trace(tmp_path, Request(positions=1), name="t").specs] == ["B", "a"]


def test_a_second_layer_of_any_name(tmp_path):
    (tmp_path / "t.csv").write_text("Layer,M,N,K\na,1,2,3\nb,1,2,3\nb,1,2,3\n")
    assert "t.csv:4: got a second layer named 'b', expected each once" in refused_import(tmp_path / "t.csv")
