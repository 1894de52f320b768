"""What is written is what is read, for any layer; and the same step gives the same bytes."""

import hashlib
import json
import pickle
import tempfile
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import trace_files
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swatsim.bits import BitTensor
from swatsim.errors import TraceError
from swatsim.layer import Layer, LayerSpec, Operand, PassOperands
from swatsim.passes import OPERANDS, RESULTS
from swatsim.trace import GraphNode, Trace, TraceMetadata, TraceWriter, load_trace, reader

dimensions = st.integers(1, 4)
fractions = st.none() | st.fractions(0, 1) | st.decimals(0, 1, places=3).map(Fraction)


@st.composite
def specs(draw, name):
    kind = draw(st.sampled_from(["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "linear"]))
    needs_input_grad = draw(st.booleans())
    if kind == "linear":
        leading = tuple(draw(st.lists(dimensions, max_size=3)))
        inputs, outputs = draw(dimensions), draw(dimensions)
        return LayerSpec(
            name=name, kind=kind, input_shape=(*leading, inputs), weight_shape=(outputs, inputs),
            output_shape=(*leading, outputs), needs_input_grad=needs_input_grad,
        )  # fmt: skip
    groups, images, channels, filters = draw(st.integers(1, 3)), draw(dimensions), draw(dimensions), draw(dimensions)
    sides = []
    for axis in range(2):
        if axis == 0 and kind.endswith("1d"):
            sides.append((1, 1, 0, 0, 1, 1, 1))
            continue
        kernel, stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
        before, after, results = draw(st.integers(0, 2)), draw(st.integers(0, 2)), draw(dimensions)
        size = (results - 1) * stride + dilation * (kernel - 1) + 1 - before - after
        if size < 1:
            before, after, size = 0, 0, size + before + after
        sides.append((kernel, stride, before, after, dilation, size, results))
    keep = slice(1, 2) if kind.endswith("1d") else slice(0, 2)
    many, few = tuple(side[5] for side in sides[keep]), tuple(side[6] for side in sides[keep])
    large, small = (images, channels * groups, *many), (images, filters * groups, *few)
    transposed = kind.startswith("conv_transpose")
    return LayerSpec(
        name=name, kind=kind, input_shape=small if transposed else large, output_shape=large if transposed else small,
        weight_shape=(filters * groups, channels, *(side[0] for side in sides[keep])),
        stride=(sides[0][1], sides[1][1]), dilation=(sides[0][4], sides[1][4]),
        padding=(sides[0][2], sides[0][3], sides[1][2], sides[1][3]), groups=groups, needs_input_grad=needs_input_grad,
    )  # fmt: skip


@st.composite
def layers(draw, name):
    spec = draw(specs(name))
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))

    def bits(shape):
        return BitTensor.from_array(random.random(shape) < draw(st.sampled_from([0, 0.1, 0.5, 0.9, 1])))

    passes = {
        pass_name: PassOperands(
            operands={
                role: Operand(bits=bits(spec.shape_of(role)), sparsity=draw(fractions)) for role in OPERANDS[pass_name]
            },
            result_mask=bits(spec.shape_of(RESULTS[pass_name])) if draw(st.booleans()) else None,
        )
        for pass_name in spec.passes
    }
    return Layer(spec=spec, passes=passes)


# A layer may have a name that Unicode allows, even one that looks like a path.
names = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=8)
texts = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=8)
metadata = st.builds(
    TraceMetadata, name=names, network=texts, scheme=texts, sparsity=fractions, optimizer=texts,
    selection_period=st.none() | st.integers(1, 2**31 - 1), provenance=st.dictionaries(names, texts, max_size=3),
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_every_kind_and_shape_survives(data):
    layer_names = data.draw(st.lists(names.filter(lambda name: name != "total"), min_size=1, max_size=3, unique=True))
    written = [data.draw(layers(name)) for name in layer_names]
    facts = data.draw(metadata)
    with tempfile.TemporaryDirectory() as folder:
        path = trace_files.write_trace(Path(folder, "t"), written, metadata=facts)
        trace = load_trace(path)
        assert (trace.manifest, trace.name, len(trace)) == (facts, facts.name, len(written))
        assert trace.specs == tuple(layer.spec for layer in written)
        assert list(trace) == written
        for got, expected in zip(trace, written, strict=True):
            for pass_name, operands in expected.passes.items():
                for role, operand in operands.operands.items():
                    bits = got.passes[pass_name].operands[role].bits
                    assert np.array_equal(bits.to_bool(), operand.bits.to_bool())


def test_the_small_trace_with_its_graph(tmp_path):
    trace = load_trace(trace_files.write_trace(tmp_path / "t"))
    assert list(trace) == trace_files.small_layers()
    assert trace.graph == tuple(trace_files.small_graph())
    assert trace.layer(-1) == trace.layer(2)
    with pytest.raises(IndexError):
        trace.layer(3)


def test_the_same_step_gives_the_same_bytes(tmp_path):
    def contents(path):
        return {file.relative_to(path): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}

    first = contents(trace_files.write_trace(tmp_path / "a"))
    assert first == contents(trace_files.write_trace(tmp_path / "b"))
    assert len(first) > 5


def test_the_digest_identifies_the_contents(tmp_path):
    layers = trace_files.small_layers()
    digests = [load_trace(trace_files.write_trace(tmp_path / str(i), layers[i:])).digest for i in range(3)]
    again = load_trace(trace_files.write_trace(tmp_path / "again", layers)).digest
    assert again == digests[0]
    assert len(set(digests)) == 3


def test_another_trace_than_the_expected_one_is_refused(tmp_path):
    trace_files.write_trace(tmp_path / "t")
    digest = load_trace(tmp_path / "t").digest
    assert load_trace(tmp_path / "t", digest=digest).digest == digest
    with pytest.raises(TraceError, match=f"t: got a trace of digest {digest}, expected 0000$"):
        load_trace(tmp_path / "t", digest="0000")


def test_a_bare_name_is_that_of_a_shipped_trace(tmp_path, monkeypatch):
    shipped = Path(__file__).parent.parent / "traces" / "smallcnn"
    monkeypatch.chdir(tmp_path)
    assert load_trace("smallcnn").digest == load_trace(shipped).digest
    with pytest.raises(TraceError, match=r"^nosuch: got nothing"):
        load_trace("nosuch")
    trace_files.write_trace(tmp_path / "smallcnn")
    assert load_trace("smallcnn").digest == load_trace(tmp_path / "smallcnn").digest != load_trace(shipped).digest


def test_equal_tensors_are_stored_once_and_read_once_per_layer(tmp_path, monkeypatch):
    layers = trace_files.small_layers()
    path = trace_files.write_trace(tmp_path / "t", layers)
    bits = [operand.bits for layer in layers for given in layer.passes.values() for operand in given.operands.values()]
    different = {(tensor.shape, tensor.to_bool().tobytes()) for tensor in bits}
    assert len(list((path / "tensors").iterdir())) == len(different) < len(bits)

    reads = []
    real = reader.tensors.read
    monkeypatch.setattr(reader.tensors, "read", lambda *given: reads.append(given[1]) or real(*given))
    layer = load_trace(path).layer(2)
    assert len(reads) == len(set(reads)) == 3
    assert layer.passes["forward"].operands["input"].bits is layer.passes["weight_grad"].operands["input"].bits


def test_nothing_is_read_before_it_is_asked_for(tmp_path, monkeypatch):
    path = trace_files.write_trace(tmp_path / "t")
    monkeypatch.setattr(reader.tensors, "read", None)
    assert len(load_trace(path).specs) == 3


def test_a_full_tensor_of_packed_bits_is_stored_as_ones(tmp_path):
    ones = BitTensor(shape=(2, 3), packed=np.array([0b111111], dtype=np.uint8))
    layer = Layer.from_arrays("fc", input=np.eye(2, 3), weight=np.eye(3), output_grad=np.eye(2, 3))
    forward = {**layer.passes["forward"].operands, "input": Operand(bits=ones)}
    layer = Layer(spec=layer.spec, passes={**layer.passes, "forward": PassOperands(operands=forward)})
    read = load_trace(trace_files.write_trace(tmp_path / "t", [layer])).layer(0)
    assert read.passes["forward"].operands["input"].bits.packed is None


def test_files_are_named_by_what_they_hold(tmp_path):
    path = trace_files.write_trace(tmp_path / "t")
    files = list((path / "tensors").iterdir())
    for file in files:
        content = trace_files.zstd.decompress(file.read_bytes())
        assert file.name == f"{hashlib.sha256(content).hexdigest()}.st.zst"
    assert {file.name[:64] for file in files} == set(json.loads((path / "manifest.json").read_bytes())["tensors"])


def test_the_safetensors_library_reads_the_files(tmp_path):
    safetensors = pytest.importorskip("safetensors", reason="the reference library is not installed")
    path = trace_files.write_trace(tmp_path / "t")
    shapes = json.loads((path / "manifest.json").read_bytes())["tensors"]
    for file in (path / "tensors").iterdir():
        plain = tmp_path / "plain.safetensors"
        plain.write_bytes(trace_files.zstd.decompress(file.read_bytes()))
        with safetensors.safe_open(plain, framework="numpy") as opened:
            assert list(opened.keys()) == ["bits"]
            expected = shapes[file.name[:64]]
            facts = opened.metadata()
            assert (facts["fill"], json.loads(facts["shape"])) == (expected["fill"], expected["shape"])
            bits = opened.get_tensor("bits")
        assert bits.dtype == np.uint8
        assert bits.size == (0 if expected["fill"] == "ones" else -(-np.prod(expected["shape"]) // 8))


def test_threads_read_layers_at_the_same_time(tmp_path):
    trace = load_trace(trace_files.write_trace(tmp_path / "t"))
    expected = trace_files.small_layers()
    with ThreadPoolExecutor(8) as pool:
        for index, layer in enumerate(pool.map(trace.layer, [0, 1, 2] * 40)):
            assert layer == expected[index % 3]


def test_a_trace_can_be_sent_to_another_process(tmp_path):
    trace = pickle.loads(pickle.dumps(load_trace(trace_files.write_trace(tmp_path / "t"))))
    assert list(trace) == trace_files.small_layers()


def test_bits_cannot_be_changed(tmp_path):
    layer = load_trace(trace_files.write_trace(tmp_path / "t")).layer(2)
    with pytest.raises(ValueError, match="read-only"):
        layer.passes["forward"].operands["input"].bits.packed[0] = 0


def test_a_trace_in_memory():
    layers = trace_files.small_layers()
    trace = Trace("mine", layers)
    assert (trace.name, trace.manifest.name, len(trace), trace.graph) == ("mine", "mine", 3, ())
    assert [layer.spec for layer in trace] == list(trace.specs)
    assert trace.layer(1) is layers[1]
    for wrong, message in (([], "no layers"), ([layers[0], layers[0]], "two layers named 'first'")):
        with pytest.raises(TraceError, match=message):
            Trace("mine", wrong)


def test_a_trace_is_opened_through_a_link_and_beside_other_files(tmp_path):
    path = trace_files.write_trace(tmp_path / "t")
    (path / "README.md").write_text("how it was made")
    (path / "tensors" / "notes").write_text("not looked at")
    (tmp_path / "link").symlink_to(path)
    assert trace_files.read_all(str(tmp_path / "link")) == trace_files.small_layers()


def test_numbers_from_other_libraries_are_written_as_integers(tmp_path):
    layer = Layer.from_arrays("c", input=np.ones((1, 1, 4)), weight=np.ones((1, 1, 2)), output_grad=np.ones((1, 1, 3)))
    node = GraphNode(name="c", op="conv1d", shape=tuple(np.array([1, 1, 3])))
    with TraceWriter(tmp_path / "t", metadata=TraceMetadata(name="t")) as writer:
        writer.add(layer)
        writer.set_graph([node])
    assert load_trace(tmp_path / "t").graph[0].shape == (1, 1, 3)
