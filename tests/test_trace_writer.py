"""The writer: a whole trace or none, and never one that the reader would refuse."""

import dataclasses
import errno
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from trace_files import read_all, refusal, small_graph, small_layers, write_trace

from swatsim.bits import BitTensor
from swatsim.errors import TraceError
from swatsim.layer import Layer, LayerSpec, Operand, PassOperands
from swatsim.trace import GraphNode, TraceMetadata, TraceWriter, load_trace, tensors

METADATA = TraceMetadata(name="small")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_trace_appears_at_the_end(tmp_path):
    with TraceWriter(tmp_path / "t", metadata=METADATA) as writer:
        for layer in small_layers():
            writer.add(layer)
            assert not (tmp_path / "t").exists()
        writer.set_graph(small_graph())
    assert names(tmp_path) == ["t"]
    assert names(tmp_path / "t") == ["manifest.json", "tensors"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_in_the_block_leaves_nothing(tmp_path, error):
    def fail():
        with TraceWriter(tmp_path / "t", metadata=METADATA) as writer:
            writer.add(small_layers()[0])
            raise error("in the user's code")

    with pytest.raises(error, match="in the user's code"):
        fail()
    assert names(tmp_path) == []


def test_tensors_are_written_as_layers_come(tmp_path):
    """Nothing is held back: memory does not grow with the layers."""
    with TraceWriter(tmp_path / "t", metadata=METADATA) as writer:
        counts = []
        for layer in small_layers():
            writer.add(layer)
            counts.append(sum(1 for _ in tmp_path.glob(".*/tensors/*")))
    assert counts == sorted(set(counts))
    assert counts[0] > 0


def test_an_existing_trace_is_refused_before_any_work(tmp_path):
    write_trace(tmp_path / "t")
    message = refusal(TraceWriter(tmp_path / "t", metadata=METADATA).__enter__)
    assert message == f"{tmp_path / 't'}: got a path that exists, expected a new one to write the trace to"
    assert len(read_all(tmp_path / "t")) == 3


def test_overwriting_replaces_it_only_when_all_went_well(tmp_path):
    path = write_trace(tmp_path / "t")
    one = small_layers()[:1]
    refusal(lambda: write_trace(path, [*one, *one], overwrite=True))
    assert len(read_all(path)) == 3
    write_trace(path, one, overwrite=True)
    assert read_all(path) == one
    assert names(tmp_path) == ["t"]


def test_a_directory_that_holds_something_else_is_not_replaced(tmp_path):
    path = tmp_path / "home"
    path.mkdir()
    write_trace(path, overwrite=True)  # nothing is in it
    assert len(read_all(path)) == 3
    (path / "manifest.json").rename(path / "notes")
    message = refusal(lambda: write_trace(path, overwrite=True))
    assert message == f"{path}: got a directory that is no trace, expected one with a manifest.json to replace"
    assert names(path) == ["notes", "tensors"]


def test_a_folder_that_is_not_there(tmp_path):
    message = refusal(write_trace, tmp_path / "none" / "t")
    assert message == f"{tmp_path / 'none' / 't'}: the trace cannot be written: No such file or directory"


@pytest.mark.parametrize("failing", ["tensors", "manifest.json", "rename"])
def test_a_full_disk_is_one_line(tmp_path, monkeypatch, failing):
    real_write, real_rename = Path.write_bytes, Path.rename

    def write(path, data):
        if failing in path.parts:
            real_write(path, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(path, data)

    def rename(path, target):
        if failing == "rename":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_rename(path, target)

    monkeypatch.setattr(Path, "write_bytes", write)
    monkeypatch.setattr(Path, "rename", rename)
    message = refusal(write_trace, tmp_path / "t")
    assert message == f"{tmp_path / 't'}: the trace cannot be written: No space left on device"
    assert names(tmp_path) == []


def test_two_layers_of_one_name(tmp_path):
    layer = small_layers()[0]
    assert "first: got a second layer of this name" in refusal(write_trace, tmp_path / "t", [layer, layer])
    assert names(tmp_path) == []


def test_no_layers(tmp_path):
    writer = TraceWriter(tmp_path / "t", metadata=METADATA)

    def write_nothing():
        with writer:
            pass

    assert "layers: got [], expected at least one layer" in refusal(write_nothing)
    assert names(tmp_path) == []  # while the writer is still held


def test_a_tensor_is_written_once(tmp_path, monkeypatch):
    written = []
    real = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda path, data: written.append(path.name) or real(path, data))
    last = small_layers()[2]
    again = Layer(spec=dataclasses.replace(last.spec, name="again"), passes=last.passes)
    path = write_trace(tmp_path / "t", [*small_layers(), again])
    assert sorted(written) == sorted(["manifest.json", *names(path / "tensors")])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(0), "0"),
        (Fraction(1), "1"),
        (Fraction("0.80"), "0.8"),
        (Fraction(1, 40), "0.025"),
        (Fraction(2, 3), "2/3"),
        (Fraction(1, 10**30), "0." + "0" * 29 + "1"),
        (Fraction(1, 10**31), f"1/{10**31}"),
        (Fraction(1, 2**30), "0.000000000931322574615478515625"),
        (Fraction(1, 2**31), "1/2147483648"),
        (Fraction(3, 5**30), "0.000000000000000000003221225472"),
    ],
)
def test_a_budget_is_written_exactly(tmp_path, value, text):
    path = write_trace(tmp_path / "t", small_layers()[:1], metadata=TraceMetadata(name="x", sparsity=value))
    assert json.loads((path / "manifest.json").read_bytes())["sparsity"] == text
    assert load_trace(path).manifest.sparsity == value


def test_a_layer_outside_of_the_block(tmp_path):
    writer = TraceWriter(tmp_path / "t", metadata=METADATA)
    assert "outside of the writer's with block" in refusal(writer.add, small_layers()[0])
    with writer:
        writer.add(small_layers()[0])
    assert "outside of the writer's with block" in refusal(writer.add, small_layers()[1])
    assert len(load_trace(tmp_path / "t")) == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": ""}, 'name: got "", expected a string that is not empty'),
        ({"name": "a\nb"}, 'name: got "a\\nb", expected no control characters'),
        ({"sparsity": Fraction(3, 2)}, 'sparsity: got "3/2", expected a string such as'),
        ({"sparsity": Fraction(-1, 2)}, 'sparsity: got "-1/2", expected a string such as'),
        ({"selection_period": 0}, "selection_period: got 0, expected an integer from 1"),
        ({"provenance": {"step": 3}}, 'provenance["step"]: got 3, expected a string'),
        ({"provenance": {"": "x"}}, 'provenance key: got "", expected a string that is not empty'),
    ],
)
def test_wrong_metadata_is_refused_before_any_work(tmp_path, given, expected):
    metadata = TraceMetadata(**({"name": "x"} | given))
    with pytest.raises(TraceError, match="expected") as caught:
        TraceWriter(tmp_path / "t", metadata=metadata)
    assert expected in str(caught.value)


def test_provenance_may_have_lines(tmp_path):
    facts = {"loss": "step\tloss\n1\t6.9\n", "source": "captured"}
    path = write_trace(tmp_path / "t", metadata=TraceMetadata(name="x", provenance=facts))
    assert load_trace(path).manifest.provenance == facts


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        (small_graph()[:-1], 'graph: got none for layer "last"'),
        ([small_graph()[2], *small_graph()], 'graph[0].inputs[0]: got "first", expected the name of an earlier node'),
        ([GraphNode(name="first", op="conv1d", shape=(2, 4, 5, 4))], "expected conv2d with shape [2, 4, 5, 4]"),
    ],
)
def test_a_wrong_graph_leaves_nothing(tmp_path, nodes, expected):
    message = refusal(lambda: write_trace(tmp_path / "t", small_layers(), graph=nodes))
    assert message.startswith(f"{tmp_path / 't' / 'manifest.json'}: graph")
    assert expected in message
    assert names(tmp_path) == []


def test_bits_that_are_a_view_of_a_larger_array(tmp_path):
    """A stride of two bytes, say, is not what is written."""
    wide = np.array([0b101, 0xFF, 1, 0xFF], dtype=np.uint8)
    layer = Layer.from_arrays("fc", input=np.eye(3), weight=np.eye(3), output_grad=np.eye(3))
    forward = dict(layer.passes["forward"].operands)
    forward["input"] = Operand(bits=BitTensor(shape=(3, 3), packed=wide[::2]))
    layer = Layer(spec=layer.spec, passes={**layer.passes, "forward": PassOperands(operands=forward)})
    read = load_trace(write_trace(tmp_path / "t", [layer])).layer(0)
    assert read.passes["forward"].operands["input"].bits.packed.tolist() == [0b101, 1]


def test_a_tensor_larger_than_the_limit_is_refused(tmp_path):
    rows = (1 << 20) + 1
    zeros = BitTensor(shape=(rows, 1024), packed=np.zeros(rows * 128, dtype=np.uint8))
    ones = BitTensor(shape=(rows, 1), packed=None)
    spec = LayerSpec(
        name="fc", kind="linear", input_shape=(rows, 1024), weight_shape=(1, 1024), output_shape=(rows, 1),
        needs_input_grad=False,
    )  # fmt: skip
    passes = {
        "forward": PassOperands(operands={
            "input": Operand(bits=zeros), "weight": Operand(bits=BitTensor(shape=(1, 1024), packed=None)),
        }),
        "weight_grad": PassOperands(operands={"input": Operand(bits=zeros), "output_grad": Operand(bits=ones)}),
    }  # fmt: skip
    message = refusal(write_trace, tmp_path / "t", [Layer(spec=spec, passes=passes)])
    assert "expected at most 1073741824 elements" in message


def test_frames_need_no_more_than_the_window_that_the_format_allows(tmp_path):
    """16 MiB of bits that zstd would like a large window for: what is written is read."""
    random = np.random.default_rng(1)
    block = random.integers(0, 256, 1 << 20, dtype=np.uint8)
    bits = BitTensor(shape=(1 << 27,), packed=np.tile(block, 16))
    digest, tensor, frame = tensors.encode(bits)
    (tmp_path / "x").write_bytes(frame)
    assert tensors.read(tmp_path / "x", digest, tensor) == bits
    assert len(frame) < 2 << 20


def test_a_shape_of_sixteen_dimensions_is_allowed_and_no_longer_one(tmp_path):
    leading = (1,) * 14
    for count, shape in enumerate([(*leading, 2), (*leading, 1, 2)]):
        array = np.ones(shape)
        layer = Layer.from_arrays("fc", input=array, weight=np.ones((1, 2)), output_grad=array[..., :1])
        assert read_all(write_trace(tmp_path / str(count), [layer])) == [layer]
    array = np.ones((*leading, 1, 1, 2))
    layer = Layer.from_arrays("fc", input=array, weight=np.ones((1, 2)), output_grad=array[..., :1])
    assert "expected an array of at most 16 integers" in refusal(write_trace, tmp_path / "more", [layer])
