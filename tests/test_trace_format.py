"""docs/trace_format.md is enough to write and read a trace: its example, and a trace made here from its text alone."""

import errno
import hashlib
import json
import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from trace_files import refusal, small_trace, write_trace, zstd

import swatsim.layer
from swatsim.layer import Layer
from swatsim.trace import GraphNode, TraceMetadata, load_trace, plain_files, records

DOCUMENT = (Path(__file__).parent.parent / "docs" / "trace_format.md").read_text(encoding="utf-8")


def example_manifest():
    return re.search(r"```json\n(\{\"digest\".*?)```", DOCUMENT, re.DOTALL).group(1).encode()


def example_files():
    """Uncompressed contents by SHA-256, from the hexadecimal listing."""
    listing = re.search(r"```\n([0-9a-f]{64}\n.*?)```", DOCUMENT, re.DOTALL).group(1)
    found = {}
    for line in listing.splitlines():
        if re.fullmatch("[0-9a-f]{64}", line):
            content = found[line] = bytearray()
        else:
            offset, numbers, text = re.fullmatch(r"([0-9a-f]{8})  ((?:[0-9a-f]{2} ?)+) +\|(.*)\|", line).groups()
            row = bytes.fromhex(numbers)
            assert int(offset, 16) == len(content)
            assert text == "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
            content += row
    return {name: bytes(content) for name, content in found.items()}


def example_layer():
    budget = "2/3"
    return Layer.from_arrays(
        "fc", input=[[1, 0, 2], [0, 0, 3], [4, 5, 0], [0, 6, 7]], weight=[[0.5, 0, 0], [0, 0, 0.25]],
        output_grad=[[1, -1], [1, 1], [-1, 1], [2, 1]],
        operands={"weight_grad": {"input": [[0, 0, 0], [0, 0, 0], [4, 5, 0], [0, 6, 7]]}},
        sparsity={"forward": {"weight": budget}, "input_grad": {"weight": budget}, "weight_grad": {"input": budget}},
    )  # fmt: skip


def test_the_example_is_read(tmp_path):
    (tmp_path / "tensors").mkdir()
    (tmp_path / "manifest.json").write_bytes(example_manifest())
    for name, content in example_files().items():
        assert hashlib.sha256(content).hexdigest() == name
        (tmp_path / "tensors" / f"{name}.st.zst").write_bytes(zstd.compress(content))
    trace = load_trace(tmp_path)
    assert list(trace) == [example_layer()]
    assert trace.graph[1] == GraphNode(name="fc", op="linear", inputs=("x",), shape=(4, 2))


def test_the_example_is_what_the_writer_writes(tmp_path):
    graph = [
        GraphNode(name="x", op="input", shape=(4, 3)),
        GraphNode(name="fc", op="linear", inputs=("x",), shape=(4, 2)),
    ]
    members = json.loads(example_manifest())
    metadata = TraceMetadata(
        name=members["name"], network=members["network"], scheme="swat-u", sparsity="2/3", selection_period=1,
        optimizer="sgd", provenance=members["provenance"],
    )  # fmt: skip
    path = write_trace(tmp_path / "t", [example_layer()], graph=graph, metadata=metadata)
    assert (path / "manifest.json").read_bytes() == example_manifest()
    written = {file.name[:64]: zstd.decompress(file.read_bytes()) for file in (path / "tensors").iterdir()}
    assert written == example_files()
    assert list(written) != []


def test_the_python_of_the_document_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(re.search(r"```python\n(.*?)```", DOCUMENT, re.DOTALL).group(1), {})
    assert capsys.readouterr().out == "fc 1\n"
    assert load_trace("mine").graph[0].name == "fc"


class Writer:
    """A writer made from the document, with nothing of swatsim's."""

    def __init__(self, folder):
        self.folder = folder
        self.tensors = {}
        (folder / "tensors").mkdir()

    def tensor(self, array):
        flat = [bool(value) for value in np.asarray(array).reshape(-1)]
        packed = bytearray(-(-len(flat) // 8))
        for index, present in enumerate(flat):
            packed[index // 8] |= present << index % 8
        fill = "ones" if all(flat) else "bits"
        data = b"" if fill == "ones" else bytes(packed)
        template = re.search(r'^    (\{"__metadata__".*)$', DOCUMENT, re.MULTILINE).group(1)
        text = template.replace("FILL", fill).replace("SHAPE", ",".join(str(size) for size in np.shape(array)))
        text = text.replace("BYTES", str(len(data))).encode()
        while len(text) % 8:
            text += b" "
        content = struct.pack("<Q", len(text)) + text + data
        name = hashlib.sha256(content).hexdigest()
        (self.folder / "tensors" / f"{name}.st.zst").write_bytes(zstd.compress(content, 3))
        self.tensors[name] = {"shape": list(np.shape(array)), "fill": fill}
        return name

    def operand(self, array, sparsity=None):
        return {"tensor": self.tensor(array), "sparsity": sparsity}

    def manifest(self, layers, graph):
        members = {
            "layers": layers, "tensors": self.tensors, "graph": graph, "provenance": {"source": "synthetic"},
            "optimizer": "", "selection_period": None, "sparsity": None, "scheme": "Ünïcode", "network": "",
            "name": "by hand", "version": 1, "format": "swatsim-trace",
        }  # fmt: skip
        rest = ", " + json.dumps(members, indent=4, ensure_ascii=False)[1:]
        digest = hashlib.sha256(rest.encode()).hexdigest()
        (self.folder / "manifest.json").write_text(f'{{"digest": "{digest}"{rest}', encoding="utf-8")


@pytest.mark.parametrize("with_graph", [True, False])
def test_a_trace_written_from_the_document_alone(tmp_path, with_graph):
    random = np.random.default_rng(3)
    writer = Writer(tmp_path)
    image, weight = random.random((1, 4, 5, 6)) < 0.5, random.random((4, 2, 3, 2)) < 0.3
    gradient, top, mask = np.ones((1, 4, 3, 2)), random.random((1, 4, 5, 6)) < 0.1, random.random((4, 2, 3, 2)) < 0.3
    sequence, table, back = random.random((2, 3, 4)) < 0.5, np.zeros((5, 4)), random.random((2, 3, 5)) < 0.7
    no_mask = {"result_mask": None}
    convolution = {
        "passes": {
            "weight_grad": {
                "result_mask": writer.tensor(mask),
                "input": writer.operand(top, "0.90"), "output_grad": writer.operand(gradient),
            },
            "forward": {"weight": writer.operand(weight, "7/10"), "input": writer.operand(image), **no_mask},
        },
        "name": "conv", "kind": "conv2d", "needs_input_grad": False, "groups": 2, "dilation": [1, 2],
        "padding": [0, 2, 1, 0], "stride": [2, 3], "output_shape": [1, 4, 3, 2], "weight_shape": [4, 2, 3, 2],
        "input_shape": [1, 4, 5, 6],
    }  # fmt: skip
    linear = {
        "name": "fc", "kind": "linear", "input_shape": [2, 3, 4], "weight_shape": [5, 4], "output_shape": [2, 3, 5],
        "stride": [1, 1], "padding": [0, 0, 0, 0], "dilation": [1, 1], "groups": 1, "needs_input_grad": True,
        "passes": {
            "forward": {"input": writer.operand(sequence), "weight": writer.operand(table, "1"), **no_mask},
            "input_grad": {"output_grad": writer.operand(back), "weight": writer.operand(table, "1"), **no_mask},
            "weight_grad": {"output_grad": writer.operand(back), "input": writer.operand(sequence), **no_mask},
        },
    }  # fmt: skip
    graph = [
        {"name": "conv", "op": "conv2d", "inputs": [], "shape": [1, 4, 3, 2]},
        {"name": "silu", "op": "other:SiLU", "inputs": ["conv"], "shape": [1, 4, 3, 2]},
        {"shape": [2, 3, 5], "inputs": ["silu", "conv"], "op": "linear", "name": "fc"},
    ]
    writer.manifest([convolution, linear], graph if with_graph else [])

    trace = load_trace(tmp_path)
    expected = Layer.from_arrays(
        "conv", input=image, weight=weight, output_grad=gradient, stride=(2, 3), padding=(0, 2, 1, 0), dilation=(1, 2),
        groups=2, needs_input_grad=False, operands={"weight_grad": {"input": top}},
        sparsity={"forward": {"weight": "0.7"}, "weight_grad": {"input": "0.9"}},
    )  # fmt: skip
    got = trace.layer(0)
    assert got.spec == expected.spec
    assert got.passes["forward"] == expected.passes["forward"]
    assert got.passes["weight_grad"].operands == expected.passes["weight_grad"].operands
    assert np.array_equal(got.passes["weight_grad"].result_mask.to_bool(), mask)
    budgets = {"forward": {"weight": "1"}, "input_grad": {"weight": "1"}}
    plain = Layer.from_arrays("fc", input=sequence, weight=table, output_grad=back, sparsity=budgets)
    assert trace.layer(1) == plain
    assert (trace.manifest.scheme, len(trace.graph)) == ("Ünïcode", 3 if with_graph else 0)


def test_the_limits_are_those_of_the_code():
    for limit, text in {
        records.LARGEST_MANIFEST_BYTES: "| manifest.json | 8 MiB",
        records.LARGEST_TENSOR_ELEMENTS: "| elements of a tensor | 2³⁰",
        records.LARGEST_LAYER_ELEMENTS: "not counted | 2³¹ |",
        records.MOST_DIMENSIONS: "| dimensions of a shape | 16 |",
        records.LONGEST_NAME: "at most 500 characters",
        records.MOST_INPUTS: "at most 1000 names",
        records.MOST_FACTS: "an object of strings, at most 1000",
        swatsim.layer.LARGEST_DIMENSION - 1: "| any integer | 2³¹ − 1 |",
    }.items():
        assert text in DOCUMENT
        digits = text.translate(str.maketrans("⁰¹³", "013"))
        number = re.findall(r"8 MiB|230|231 − 1|231|\d+", digits)[-1]
        value = {"8 MiB": 8 << 20, "230": 1 << 30, "231": 1 << 31, "231 − 1": (1 << 31) - 1}
        assert limit == (value[number] if number in value else int(number))


def test_a_manifest_of_one_byte_more_than_the_most_is_refused(tmp_path):
    """Whatever the byte is: what is read is the file, or nothing."""
    path = small_trace(tmp_path / "t") / "manifest.json"
    path.write_bytes(path.read_bytes().ljust(records.LARGEST_MANIFEST_BYTES + 1))
    most = records.LARGEST_MANIFEST_BYTES
    assert refusal(load_trace, path.parent) == f"{path}: got {most + 1} bytes, expected at most {most}"


def test_a_manifest_on_a_damaged_disk_is_refused(tmp_path, monkeypatch):
    path = small_trace(tmp_path / "t") / "manifest.json"
    own = plain_files.open_file

    class Damaged:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def read(self, _):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(plain_files, "open_file", lambda *given: Damaged(own(*given)))
    said = refusal(load_trace, path.parent)
    assert said == f"{path}: got an error ({os.strerror(errno.EIO)}), expected the manifest of a trace"
