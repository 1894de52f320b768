"""Masks and weights from .npz and .safetensors: what comes out is what NumPy put in, and hostile files are refused."""

from __future__ import annotations

import json
import re
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refused_imports import refused_import
from test_memory_of_inputs import directory_of

import swatsim
from swatsim.errors import SwatsimError
from swatsim.networks import network_shapes
from swatsim.sources import Request, arrays, import_trace
from swatsim.sources.archive import open_archive
from swatsim.sources.source import optional_module

safetensors_numpy = pytest.importorskip("safetensors.numpy", reason="an independent writer of safetensors")

RANDOM = np.random.default_rng(11)


def refused(path, request=None, **options):
    """The one line with which an import is refused."""
    return refused_import(path, request or Request(positions=2), **options)


def weight_of(trace, name, pass_name="forward"):
    index = [spec.name for spec in trace.specs].index(name)
    return trace.layer(index).passes[pass_name].operands["weight"].bits.to_bool()


def save(path, arrays):
    if path.suffix == ".npz":
        np.savez_compressed(path, **arrays)
    else:
        safetensors_numpy.save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    return path


# -------------------------------------------------------------------------------------------------------- round trips

DTYPES = ("bool", "uint8", "int8", "int16", "uint32", "int64", "float16", "float32", "float64")


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@settings(max_examples=15)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    dtype=st.sampled_from(DTYPES),
    fortran=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_mapping_of_masks(tmp_path_factory, suffix, shape, dtype, fortran, seed):
    random = np.random.default_rng(seed)
    masks = {name: (random.random(shape) < 0.3) * random.choice([1, 3], shape) for name in ("b", "a")}
    stored = {name: np.asarray(mask, dtype=dtype, order="F" if fortran else "C") for name, mask in masks.items()}
    path = save(tmp_path_factory.mktemp("m") / f"masks{suffix}", stored)
    trace = import_trace(path, Request(positions=3), name="t")
    assert {spec.name for spec in trace.specs} == {"a", "b"}
    for spec in trace.specs:
        assert (spec.kind, spec.input_shape, spec.output_shape) == ("linear", (3, shape[1]), (3, shape[0]))
        np.testing.assert_array_equal(weight_of(trace, spec.name), masks[spec.name] != 0)
        np.testing.assert_array_equal(weight_of(trace, spec.name, "input_grad"), masks[spec.name] != 0)


def test_pieces_of_a_large_array_are_put_together(tmp_path):
    mask = RANDOM.random((1031, 1033)) < 0.5  # more than a piece, and no multiple of 8
    trace = import_trace(save(tmp_path / "m.npz", {"fc": mask}), Request(positions=1), name="t")
    np.testing.assert_array_equal(weight_of(trace, "fc"), mask)


def test_types_that_numpy_lacks(tmp_path):
    # bfloat16 1.0 is 0x3f80; -0.0 is 0x8000, which is zero. float8 alike.
    parts = {
        "b16": ("BF16", [1, 3], struct.pack("<3H", 0x0001, 0x8000, 0x0000)),
        "f8": ("F8_E5M2", [1, 3], bytes([0x80, 0x01, 0x00])),
    }
    path = tmp_path / "m.safetensors"
    path.write_bytes(safetensors_bytes(parts))
    trace = import_trace(path, Request(positions=1), name="t")
    assert weight_of(trace, "b16").tolist() == [[True, False, False]]
    assert weight_of(trace, "f8").tolist() == [[False, True, False]]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_pruned_pairs_are_multiplied(tmp_path, suffix):
    values = np.array([[0.0, 2.0, 3.0], [4.0, 0.0, -1.0]], dtype=np.float32)
    mask = np.array([[1, 1, 0], [0, 1, 1]], dtype=np.float32)
    arrays = {
        "fc.weight_orig": values,
        "fc.weight_mask": mask,
        "fc.bias": np.ones(2),
        "embedding.weight": np.ones((4, 4)),
    }
    trace = import_trace(save(tmp_path / f"m{suffix}", arrays), Request(positions=1), name="t")
    assert [spec.name for spec in trace.specs] == ["fc"]  # an embedding is no layer, and nothing says that this is one
    assert weight_of(trace, "fc").tolist() == [[False, True, False], [False, False, True]]
    assert "1 arrays of fewer than two dimensions" in trace.manifest.provenance["remarks"]


def test_wrappers_prefixes_are_no_part_of_a_name(tmp_path):
    path = save(tmp_path / "m.npz", {"module._orig_mod.fc.weight": np.eye(3), "module._orig_mod.out.weight": np.eye(3)})
    assert {spec.name for spec in import_trace(path, Request(positions=1), name="t").specs} == {"fc", "out"}


def test_a_network_gives_the_shapes(tmp_path):
    shapes = {spec.name: spec for spec in swatsim.networks.network_shapes("resnet18", images=2).layers}
    masks = {
        name: RANDOM.random(shapes[name].weight_shape) < 0.1
        for name in ("layer1.0.conv1", "layer2.0.downsample.0", "fc")
    }
    path = save(tmp_path / "m.npz", {f"{name}.weight": mask for name, mask in masks.items()})
    trace = import_trace(path, Request(network="resnet18", images=2), name="mine")
    assert trace.specs == tuple(shapes.values())
    assert [node.name for node in trace.graph if node.op == "add"]
    for layer in trace:
        name = layer.spec.name
        expected = masks.get(name, np.ones(layer.spec.weight_shape, dtype=bool))
        for pass_name, operands in layer.passes.items():
            assert operands.result_mask is None
            for role, operand in operands.operands.items():
                assert operand.sparsity is None
                if role == "weight":
                    np.testing.assert_array_equal(operand.bits.to_bool(), expected)
                else:  # nothing is known of it, and nothing is invented
                    assert operand.bits.nonzeros == operand.bits.size, (name, pass_name)
    made = trace.manifest.provenance
    assert made["source"] == "imported"
    assert "the file's in 3 of 21 layers, dense in conv1, " in made["operands"]
    assert "input and output gradient: dense" in made["operands"]


def test_up_to_five_dense_layers_are_named_and_where_shapes_are_from(tmp_path):
    specs = network_shapes("vgg16-cifar").layers
    assert len(specs) == 14
    for real, more in ((9, ""), (8, " and 1 more")):
        masks = {spec.name: np.ones(spec.weight_shape, dtype=bool) for spec in specs[:real]}
        request = Request(network="vgg16-cifar", images=3)
        made = import_trace(save(tmp_path / f"{real}.npz", masks), request, name="t").manifest.provenance
        names = ", ".join(spec.name for spec in specs[real : real + 5])
        assert f"the file's in {real} of 14 layers, dense in {names}{more};" in made["operands"] + ";"
        assert made["shapes"].endswith(", 3 images")
    made = import_trace(
        save(tmp_path / "fc.npz", {"fc": np.eye(3)}), Request(positions=7), name="t"
    ).manifest.provenance
    assert made["shapes"] == "7 positions a layer"


def test_the_gradient_of_absent_weights_may_be_left_out(tmp_path):
    mask = RANDOM.random((5, 7)) < 0.5
    path = save(tmp_path / "m.npz", {"fc": mask})
    layer = import_trace(path, Request(positions=4, weight_grad_mask=True), name="t").layer(0)
    np.testing.assert_array_equal(layer.passes["weight_grad"].result_mask.to_bool(), mask)
    assert layer.passes["forward"].result_mask is layer.passes["input_grad"].result_mask is None
    assert layer.passes["weight_grad"].operands["input"].bits.nonzeros == 4 * 7


def test_an_imported_trace_simulates_with_its_zeros_skipped(tmp_path):
    mask = np.zeros((16, 256))
    mask[:, :16] = 1
    trace = import_trace(save(tmp_path / "m.npz", {"fc": mask}), Request(positions=16), name="t")
    report = swatsim.simulate(swatsim.load_architecture("bit-tactical"), trace, workers=1)
    rows = {row.pass_name: row for row in report.records if row.layer == "fc"}
    assert rows["forward"].effectual_macs == 16 * 16 * 16
    assert rows["forward"].compute_cycles < rows["forward"].dense_compute_cycles
    assert rows["weight_grad"].compute_cycles == rows["weight_grad"].dense_compute_cycles


# ------------------------------------------------------------------------------------------------- what does not fit


def test_shapes_are_asked_for(tmp_path):
    path = save(tmp_path / "m.npz", {"conv": np.ones((4, 3, 3, 3))})
    assert "no shape of its input, expected --network NAME" in refused(path, Request())
    assert "both --network and --positions" in refused(path, Request(network="resnet18", positions=1))
    assert "conv: got a weight of shape [4, 3, 3, 3], expected two dimensions with --positions" in refused(path)
    assert "conv: got a weight of no layer, expected one of conv1, " in refused(path, Request(network="resnet18"))
    assert "expected one of" in refused(path, Request(network="no-such"))
    assert "no layer" in refused(save(tmp_path / "n.npz", {"fc": np.eye(3)}), Request(positions=1, layers="x*"))
    assert "--positions alone" in refused(path, Request(positions=1, images=2))


def test_a_weight_of_another_shape_is_refused_by_name(tmp_path):
    path = save(tmp_path / "m.npz", {"fc": np.ones((1000, 511))})
    assert "fc: got a weight of shape [1000, 511], expected [1000, 512]" in refused(path, Request(network="resnet18"))


def test_two_arrays_for_one_weight(tmp_path):
    path = save(tmp_path / "m.npz", {"fc": np.eye(3), "fc.weight": np.eye(3)})
    assert "fc: got two arrays for the plain of one layer" in refused(path)
    path = save(tmp_path / "o.npz", {"fc.weight_orig": np.eye(3)})
    assert "fc: got values without a mask" in refused(path)
    path = save(tmp_path / "p.npz", {"fc.weight_orig": np.eye(3), "fc.weight_mask": np.eye(4)})
    assert "fc: got shapes [3, 3] and [4, 4]" in refused(path)


def test_the_kind_is_told_by_the_suffix_or_asked_for(tmp_path):
    path = save(tmp_path / "m.npz", {"fc": np.eye(3)})
    other = path.rename(tmp_path / "m.dat")
    assert "got suffix '.dat', expected --kind" in refused(other)
    assert "--kind: got 'zip', expected auto or one of masks, onnx, scalesim, smtx, state-dict" in refused(
        other, kind="zip"
    )
    assert import_trace(other, Request(positions=1), name="t", kind="masks").specs[0].name == "fc"
    assert "No such file" in refused(tmp_path / "none.npz")
    assert "not a file" in refused(tmp_path, kind="masks")


# ------------------------------------------------------------------------------------------------------ hostile: npz


def npz(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def npy(shape, descr="|b1", data=b"", fortran=False):
    header = f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


class Bomb:
    def __reduce__(self):
        return (print, ("executed",))


def test_objects_are_never_unpickled(tmp_path, capsys):
    path = tmp_path / "m.npz"
    np.savez(path, fc=np.array([[Bomb()]], dtype=object))
    assert "objects are never unpickled" in refused(path)
    assert capsys.readouterr().out == ""
    for descr in ("<c8", "<U4", "|V8", "<M8[s]"):
        assert "expected numbers" in refused(npz(tmp_path / "n.npz", [("fc.npy", npy((1, 1), descr, bytes(16)))]))


def test_a_zip_bomb_costs_no_more_than_its_bits(tmp_path):
    path = tmp_path / "m.npz"
    side = 1 << 13
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("fc.npy", "w") as member:
        member.write(npy((side, side)))
        for _ in range(side * side >> 20):
            member.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 18
    tracemalloc.start()
    trace = import_trace(path, Request(positions=1), name="t")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert trace.layer(0).passes["forward"].operands["weight"].bits.nonzeros == 0
    assert peak < side * side / 8 + (8 << 20)  # 8 MiB of bits for 64 MiB of zeros


@pytest.mark.parametrize(("arrays", "fortran"), [(1, True), (2, True), (3, False)])
def test_bombs_of_other_orders_and_numbers(tmp_path, arrays, fortran):
    """In Fortran order, for which a byte of an element is held at a time; and the bits of several arrays."""
    side = 1 << 12
    array = npy((side, side), data=bytes(side * side), fortran=fortran)
    path = npz(tmp_path / "m.npz", [(f"l{number}.npy", array) for number in range(arrays)])
    tracemalloc.start()
    trace = import_trace(path, Request(positions=1), name="t")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [layer.passes["forward"].operands["weight"].bits.nonzeros for layer in trace] == [0] * arrays
    bits = side * side // 8
    assert peak < bits * (arrays + 1) + (side * side if fortran else 0) + (6 << 20)


HALF = (1 << 15, 1 << 15)  # of the elements of all arrays of a file


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([(f"{n}.npy", npy(HALF)) for n in range(3)], "got 3221225472 elements, expected at most 2147483648 in a file"),
        (
            [("fc.npy", npy(HALF, fortran=True))],
            "got 1073741824 elements in Fortran order, expected at most 134217728, or C order",
        ),
    ],
)  # fmt: skip
def test_what_is_too_much_is_not_read(tmp_path, members, expected):
    """The arrays have no bytes, which reading would say."""
    assert expected in refused(npz(tmp_path / "m.npz", members))


def test_fortran_order_counts_where_a_layer_is_chosen(tmp_path):
    path = npz(tmp_path / "m.npz", [("a.npy", npy((1, 1), data=b"\1")), ("b.npy", npy(HALF, fortran=True))])
    assert len(import_trace(path, Request(positions=1, layers="a"), name="t")) == 1


def test_a_directory_says_how_far_an_archive_expands(tmp_path):
    path = npz(tmp_path / "m.npz", [("fc.npy", npy((1 << 10, 1 << 10), "<f8"))])
    data = bytearray(path.read_bytes())
    data[(at := data.index(b"PK\1\2")) + 24 : at + 28] = struct.pack("<L", 3 << 30)
    path.write_bytes(data)
    got = f"got {3 << 30} bytes once expanded in a file of {len(data)}"
    assert f"{got}, expected at most {1 << 31} more than it has" in refused(path)


@pytest.mark.parametrize("comment", [b"", b"of " + bytes(70), b"x" * 65535])
@pytest.mark.parametrize("in_64_bits", [False, True])
def test_what_the_end_of_an_archive_says_is_read_first(tmp_path, monkeypatch, comment, in_64_bits):
    monkeypatch.setattr(zipfile, "ZipFile", None)
    for entries, stated, expected in (
        (101, 101, "m.zip: got 101 entries, expected at most 100"),
        (2000, 100, "m.zip: got a directory of 102000 bytes, expected at most 64000"),
    ):
        path = directory_of(tmp_path / "m.zip", entries, stated, in_64_bits=in_64_bits)
        whole = path.read_bytes()
        path.write_bytes(whole[:-2] + struct.pack("<H", len(comment)) + comment)
        with path.open("rb") as file, pytest.raises(SwatsimError, match=expected):
            open_archive(file, path, 100)


def test_the_record_of_64_bits_is_read_wherever_it_may_be(tmp_path):
    """Some versions of zipfile read it where the locator says, some before the locator."""
    path = directory_of(tmp_path / "m.zip", 101)
    whole = path.read_bytes()
    at = whole.index(b"PK\6\6")
    path.write_bytes(whole[: at + 56] + bytes(40) + whole[at + 56 :])
    with path.open("rb") as file, pytest.raises(SwatsimError, match="got 101 entries, expected at most 100"):
        open_archive(file, path, 100)


@pytest.mark.parametrize("data", [
    b"", b"PK\5\6", b"PK\5\6" + bytes(17), bytes(100), b"PK\6\7" + bytes(16) + b"PK\5\6",
    bytes(70_000) + b"PK\5\6" + bytes(17), bytes(70_000) + b"PK\5\6" + bytes(5),
])  # fmt: skip
def test_what_is_no_archive_is_left_to_zipfile(tmp_path, data):
    path = tmp_path / "m.zip"
    path.write_bytes(data)
    with path.open("rb") as file, pytest.raises(zipfile.BadZipFile):
        open_archive(file, path, 100)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([("fc.npy", npy((1 << 20, 1 << 20)))], "got shape [1048576, 1048576], expected"),
        ([("fc.npy", npy((0, 3)))], "got shape [0, 3]"),
        ([("fc.npy", npy((-1, 3)))], "got shape [-1, 3]"),
        ([("fc.npy", npy((3, 3)))], "got 0 bytes, expected 9"),
        ([("fc.npy", npy((3, 3), data=bytes(10)))], "got bytes after the array"),
        ([("fc.npy", b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 31))], "damaged header"),
        ([("fc.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000)], "damaged header"),
        ([("fc.npy", b"")], "damaged header"),
        ([("fc.txt", b"1 2 3")], "got another file"),
        ([("../../fc.npy", npy((1, 1), data=b"\1")), ("../../fc.npy", npy((1, 1), data=b"\1"))], "second entry"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_damaged_arrays(tmp_path, members, expected):
    assert expected in refused(npz(tmp_path / "m.npz", members))


def test_names_are_names_and_no_paths(tmp_path):
    path = npz(tmp_path / "m.npz", [("../../fc.npy", npy((1, 1), data=b"\1"))])
    assert import_trace(path, Request(positions=1), name="t").specs[0].name == "../../fc"
    path = npz(tmp_path / "n.npz", [("a\x1b[2Jb.npy", npy((1, 1), data=b"\1"))])
    assert "no control characters" in refused(path)


@pytest.mark.parametrize("name", ["a\nb", "a" * 501, "\u202eb"])
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_names_that_break_a_line_or_fill_a_screen(tmp_path, suffix, name):
    path = save(tmp_path / f"m{suffix}", {name: np.ones((2, 2))})
    assert "expected at most 500 printable ones, no control characters" in refused(path)


@pytest.mark.parametrize("name", ["", "module."])
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_an_array_without_a_name(tmp_path, suffix, name):
    path = save(tmp_path / f"m{suffix}", {name: np.ones((2, 2))})
    assert "got an array without a name, expected that of a layer" in refused(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_compression_that_numpy_does_not_write(tmp_path, compression):
    """Of LZMA, the archive says how much memory expanding takes."""
    path = npz(tmp_path / "m.npz", [("fc.npy", npy((1, 1), data=b"\1"))], compression)
    assert f"'fc.npy': got compression {compression}, expected 0 or 8 (none or deflated)" in refused(path)


def test_an_array_beyond_what_a_file_can_have(tmp_path):
    path = npz(tmp_path / "m.npz", [("fc.npy", npy((1, 1), data=b"\1"))])
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2")
    name_end = at + 46 + len("fc.npy")
    data[at + 42 : at + 46] = b"\xff" * 4  # the offset stands in a field of 64 bits
    data[at + 30 : at + 32] = struct.pack("<H", 12)
    data[name_end:name_end] = struct.pack("<HHQ", 1, 8, 1 << 63)
    end = data.index(b"PK\5\6")
    data[end + 12 : end + 16] = struct.pack("<L", end - at)
    path.write_bytes(data)
    assert "got a damaged file" in refused(path)


def test_a_type_of_no_parts(tmp_path):
    text = b"{'descr': (), 'fortran_order': False, 'shape': (1, 1)}"
    header = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    assert "damaged header" in refused(npz(tmp_path / "m.npz", [("fc.npy", header)]))


def headed(text):
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("{'descr': '|b1', 'fortran_order': False, 'shape': (2, 3)}", (2, 3)),
        ("{'shape':(2,3,),'fortran_order':True,'descr':'|b1',}\n", (2, 3)),
        ("{'descr': '|b1', 'fortran_order': False, 'shape': (2L, 3L), }   \n", (2, 3)),
        ("{'descr': '|b1', 'fortran_order': False, 'shape': (6,)}", None),
        (" {\"descr\": \"bool\", 'fortran_order': False,\n'shape': ( 2 , 3 ) }\t\r\n", (2, 3)),
        ("{'descr': '?', 'fortran_order': False, 'shape': (2, 3)}" + " " * 4000, (2, 3)),
        ("{'descr\": '|b1', 'fortran_order': False, 'shape': (2, 3)}", "damaged header (other keys or values)"),
        ("{'descr': '|b1', 'fortran_order': False, 'shape': (6)}", "damaged header (a shape that is a number)"),
        ("{'descr': '|b1', 'fortran_order': False, 'shape': (02, 3)}", "damaged header (other keys or values)"),
        ("{'descr': '|b1', 'fortran_order': False, 'shape': ()}", None),
        ("{'descr': '|b1', 'fortran_order': False, 'shape': (True, 6)}", "damaged header (other keys or values)"),
        ("{'descr': '|b1', 'fortran_order': 0, 'shape': (2, 3)}", "damaged header (other keys or values)"),
        ("{'descr': '|b1', 'descr': '|b1', 'shape': (2, 3)}", "damaged header ('fortran_order')"),
        ("{'descr': True, 'fortran_order': False, 'shape': (2, 3)}", "damaged header (data type 'True' not"),
        ("{'descr': '|b9', 'fortran_order': False, 'shape': (2, 3)}", "damaged header (data type '|b9' not"),
        ("{'descr': '|b1', 'fortran_order': False, 'shape': (2, 3), 'more': 1}", "damaged header (other"),
        ("{'descr': '|b1', 'fortran_order': False, 'shape': (2, 3)}" + " " * 5000, "damaged header (of another"),
    ],
)
def test_headers_of_arrays(tmp_path, text, shape):
    path = npz(tmp_path / "m.npz", [("fc.npy", headed(text) + b"\1\0\0\0\1\1"), ("b.npy", npy((1, 1), data=b"\1"))])
    if isinstance(shape, str):
        assert f"'fc.npy': got a {shape}" in refused(path)
        return
    layers = {layer.spec.name: layer for layer in import_trace(path, Request(positions=1), name="t")}
    assert ("fc" in layers) == (shape is not None)
    if shape is not None:
        expected = np.array([1, 0, 0, 0, 1, 1]).reshape(shape, order="F" if "True" in text else "C")
        np.testing.assert_array_equal(layers["fc"].passes["forward"].operands["weight"].bits.to_bool(), expected)


def test_a_header_of_more_dimensions_than_numpy_has(tmp_path):
    """As literals of Python, thousands of these took minutes."""
    text = f"{{'descr': '|b1', 'fortran_order': False, 'shape': ({'1L, ' * 66}), }}"
    assert "'fc.npy': got a damaged header (other" in refused(npz(tmp_path / "m.npz", [("fc.npy", headed(text))]))


def test_cut_and_changed_archives(tmp_path):
    whole = save(tmp_path / "m.npz", {"fc": RANDOM.random((40, 40))}).read_bytes()
    for cut in (0, 1, 30, len(whole) // 2, len(whole) - 1):
        (tmp_path / "c.npz").write_bytes(whole[:cut])
        refused(tmp_path / "c.npz")
    for place in range(0, len(whole), 89):
        changed = bytearray(whole)
        changed[place] ^= 0xFF
        (tmp_path / "c.npz").write_bytes(changed)
        try:
            import_trace(tmp_path / "c.npz", Request(positions=1), name="t")
        except SwatsimError as error:
            assert str(error).isprintable()


# ----------------------------------------------------------------------------------------------- hostile: safetensors


def safetensors_bytes(parts, header=None, data=None):
    body, members = b"", {}
    for name, (kind, shape, part) in parts.items():
        members[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(body), len(body) + len(part)]}
        body += part
    text = (json.dumps(members) if header is None else header).encode()
    return struct.pack("<Q", len(text)) + text + (body if data is None else data)


def entry(begin, end, shape=(2, 2), kind="U8"):
    return {"dtype": kind, "shape": list(shape), "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("header", "data", "expected"),
    [
        (json.dumps({"a": entry(0, 4), "b": entry(2, 6)}), bytes(6), "got byte 2, expected data from byte 4"),
        (json.dumps({"a": entry(0, 4), "b": entry(0, 4)}), bytes(4), "got byte 0, expected data from byte 4"),
        (json.dumps({"a": entry(0, 4), "b": entry(6, 10)}), bytes(10), "got byte 6, expected data from byte 4"),
        (json.dumps({"a": entry(0, 4)}), bytes(5), "got 5 bytes of data, expected 4"),
        (json.dumps({"a": entry(0, 4)}), bytes(3), "got 3 bytes of data, expected 4"),
        (json.dumps({"a": entry(0, 5)}), bytes(5), "got 5 bytes, expected 4 bytes for U8 of shape [2, 2]"),
        (json.dumps({"a": entry(0, 1 << 62, (1 << 31, 1 << 31))}), b"", "expected integers from 0 to 2147483647"),
        (json.dumps({"a": entry(0, 1 << 60, (1 << 30, 1 << 30))}), b"", "got 0 bytes of data"),
        (json.dumps({"a": entry(4, 0)}), bytes(4), "got -4 bytes"),
        (json.dumps({"a": entry(0, 4, kind="OBJECT")}), bytes(4), 'got "OBJECT", expected one of BOOL'),
        (json.dumps({"a": entry(0, 4) | {"path": "/etc/passwd"}}), bytes(4), 'got key "path"'),
        (f'{{"a": {json.dumps(entry(0, 4))}, "a": {json.dumps(entry(0, 4))}}}', bytes(4), 'got key "a" twice'),
        ("[]", b"", "expected an object"),
        ("{", b"", "not JSON"),
        ('{"a":' * 100_000, b"", "nested too deep"),
    ],
)
def test_hostile_headers(tmp_path, header, data, expected):
    path = tmp_path / "m.safetensors"
    path.write_bytes(safetensors_bytes({}, header, data))
    assert expected in refused(path)


@pytest.mark.parametrize("data", [b"", b"\0" * 7, struct.pack("<Q", 1 << 63), struct.pack("<Q", 9) + b"{}"])
def test_headers_longer_than_the_file(tmp_path, data):
    path = tmp_path / "m.safetensors"
    path.write_bytes(data)
    assert "expected a .npz or .safetensors file of masks" in refused(path)


@pytest.mark.parametrize(("limit", "message"), [
    ("LARGEST_TOTAL_ELEMENTS", "got 24 elements, expected at most 20 in a file"),
    ("MOST_LAYERS", "got 21 layers, expected at most 20"),
])  # fmt: skip
def test_what_a_file_holds_in_all_is_limited(tmp_path, monkeypatch, limit, message):
    names = ("a", "b") if limit == "LARGEST_TOTAL_ELEMENTS" else [f"l{number}" for number in range(21)]
    path = save(tmp_path / "m.npz", {f"{name}.weight_mask": np.ones((3, 4)) for name in names})
    monkeypatch.setattr(arrays, limit, 20)
    assert message in refused(path)


def test_layers_that_are_left_out_are_not_read(tmp_path):
    of_two_shapes = {"b.weight_mask": np.ones((3, 4)), "b.weight_orig": np.ones((3, 5))}
    path = save(tmp_path / "m.npz", {"a.weight_mask": np.eye(3), **of_two_shapes})
    assert "b: got shapes [3, 4] and [3, 5], expected one for all" in refused(path)
    assert [spec.name for spec in import_trace(path, Request(positions=2, layers="a*"), name="t").specs] == ["a"]


@pytest.mark.parametrize(("comment_bytes", "cut_bytes"), [(5, 5), (65535, 0)])
def test_entries_are_counted_where_a_comment_is_cut_or_as_long_as_can_be(
    tmp_path, monkeypatch, comment_bytes, cut_bytes
):
    path = tmp_path / "m.npz"
    with zipfile.ZipFile(path, "w") as made:
        for number in range(11):
            made.writestr(f"{number}", b"")
        made.comment = b"c" * comment_bytes
    path.write_bytes(path.read_bytes()[: path.stat().st_size - cut_bytes])
    with path.open("rb") as file:
        assert len(open_archive(file, path, 11).infolist()) == 11
        monkeypatch.setattr(zipfile, "ZipFile", None)
        with pytest.raises(SwatsimError, match=r"m\.npz: got 11 entries, expected at most 10$"):
            open_archive(file, path, 10)


@pytest.mark.parametrize(("error", "expected"), [
    (ModuleNotFoundError("No module named 'onnx'", name="onnx"), "got no onnx, expected"),
    (ModuleNotFoundError("No module named 'protobuf'", name="protobuf"), "got no onnx (No module named 'protobuf'),"),
    (ImportError("a symbol is missing", name="onnx"), "got no onnx (a symbol is missing), expected"),
])  # fmt: skip
def test_what_an_extra_lacks_is_said(monkeypatch, error, expected):
    def fail(_):
        raise error

    monkeypatch.setattr("swatsim.sources.source.importlib.import_module", fail)
    with pytest.raises(SwatsimError, match=re.escape(f"import: {expected}")):
        optional_module("onnx")
