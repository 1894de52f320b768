"""What users of Python pass that is no argument: one line that says so, and never a wrong number."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import subprocess
import sys

import numpy as np
import pytest
from trace_files import write_trace

import swatsim
from swatsim.bits import BitTensor
from swatsim.errors import LayerError, SwatsimError
from swatsim.layer import Layer, LayerSpec
from swatsim.networks import network_shapes
from swatsim.report.document import to_json
from swatsim.report.scalesim_reports import scalesim_files
from swatsim.trace import GraphNode, TraceMetadata, TraceWriter

SHAPES = {"input_shape": (2, 4, 8, 8), "weight_shape": (3, 4, 3, 3), "output_shape": (2, 3, 8, 8)}


@pytest.fixture
def trace(tmp_path):
    write_trace(tmp_path / "trace")
    return str(tmp_path / "trace")


def layer(name="a"):
    random = np.random.default_rng(3)
    arrays = {"input": (2, 4, 8, 8), "weight": (3, 4, 3, 3), "output_grad": (2, 3, 8, 8)}
    return Layer.from_arrays(name, **{role: random.integers(0, 2, shape) for role, shape in arrays.items()}, padding=1)


def small(values, kind):
    return tuple(map(kind, values))


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.int64])
def test_integers_of_numpy_are_pythons_own(kind):
    shapes = {name: small(shape, kind) for name, shape in SHAPES.items()}
    numbers = {"stride": small((1, 1), kind), "padding": small((1,) * 4, kind), "dilation": list(small((1, 1), kind))}
    spec = LayerSpec(name="a", kind="conv2d", **shapes, **numbers, groups=kind(1))
    assert spec == layer().spec
    for values in (spec.input_shape, spec.stride, spec.padding, spec.dilation, (spec.groups,)):
        assert {type(value) for value in values} == {int}
        assert type(values) is tuple
    bits = BitTensor(shape=small((100, 100), kind), packed=None)
    assert (bits.size, {type(size) for size in bits.shape}) == (10_000, {int})
    found = swatsim.simulate("dadiannao", swatsim.Trace("t", [Layer(spec=spec, passes=layer().passes)]), workers=1)
    again = swatsim.simulate("dadiannao", swatsim.Trace("t", [layer()]), workers=1)
    assert to_json(found) == to_json(again)


@pytest.mark.parametrize(("given", "said"), [
    ({"stride": (1.0, 1.0)}, "a: stride: got 1.0, expected an integer"),
    ({"stride": (1, 1, 7)}, "a: stride: got (1, 1, 7), expected a tuple of 2 integers"),
    ({"dilation": (1, 1, 7)}, "a: dilation: got (1, 1, 7), expected a tuple of 2 integers"),
    ({"padding": (1, 1, 1, 1, 5)}, "a: padding: got (1, 1, 1, 1, 5), expected a tuple of 4 integers"),
    ({"padding": 1}, "a: padding: got 1, expected a tuple of 4 integers"),
    ({"groups": True}, "a: groups: got True, expected an integer"),
    ({"needs_input_grad": "no"}, "a: needs_input_grad: got 'no', expected True or False"),
    ({"input_shape": "2488"}, "a: input_shape: got '2488', expected a tuple of integers"),
    ({"kind": 3}, "a: kind: got 3, expected one of conv1d"),
    ({"name": 3}, "layer name: got 3, expected a name"),
])  # fmt: skip
def test_a_spec_of_something_else(given, said):
    with pytest.raises(LayerError) as failure:
        LayerSpec(**{"name": "a", "kind": "conv2d", **SHAPES, "padding": (1,) * 4, **given})
    assert str(failure.value).startswith(said)


@pytest.mark.parametrize(("packed", "said"), [
    ([255, 3], "got list, expected a flat array of uint8"),
    (np.array([255, 3], dtype=np.uint64), "got ndarray, expected a flat array of uint8"),
    (np.array([[255, 3]], dtype=np.uint8), "got ndarray, expected a flat array of uint8"),
    (np.array([255, 7], dtype=np.uint8), "got ones after the last element, expected zeros"),
    (np.array([255], dtype=np.uint8), "got 1 bytes, expected 2"),
])  # fmt: skip
def test_bits_of_something_else(packed, said):
    with pytest.raises(LayerError, match=said):
        BitTensor(shape=(10,), packed=packed)


def test_bits_that_do_not_lie_together():
    strided = np.array([255, 0, 3, 0], dtype=np.uint8)[::2]
    assert BitTensor(shape=(10,), packed=strided).nonzeros == 10
    assert BitTensor(shape=(10,), packed=strided).words.tolist()[0] == 1023


@pytest.mark.parametrize(("given", "said"), [
    ({"kind": 3}, "a: kind: got 3, expected one of"),
    ({"stride": np.array(1.0)}, "a: stride: got array(1.), expected an integer"),
    ({"operands": 3}, "a: got 3, expected operands by pass"),
    ({"operands": []}, "a: got [], expected operands by pass"),
    ({"operands": {"forward": None}}, "a: forward: got None, expected operands by role"),
])  # fmt: skip
def test_a_layer_of_something_else(given, said):
    arrays = {"input": np.ones((1, 1, 1, 1)), "weight": np.ones((1, 1, 1, 1)), "output_grad": np.ones((1, 1, 1, 1))}
    with pytest.raises(LayerError) as failure:
        Layer.from_arrays("a", **arrays, **given)
    assert str(failure.value).startswith(said)
    assert Layer.from_arrays("a", **arrays, stride=np.array(1)).spec.stride == (1, 1)


@pytest.mark.parametrize(("make", "said"), [
    (lambda: swatsim.Trace(None, [layer()]), "trace: name: got null, expected a string that is not empty"),
    (lambda: swatsim.Trace(float("nan"), [layer()]), "trace: name: got NaN, expected a string"),
    (lambda: swatsim.Trace(b"x", [layer()]), "trace: name: got b'x', expected a string"),
    (lambda: swatsim.Trace("", [layer()]), 'trace: name: got "", expected a string that is not empty'),
    (lambda: swatsim.Trace("a\nb", [layer()]), r'trace: name: got "a\nb", expected no control characters'),
    (lambda: swatsim.Trace("a", [None]), "layers: got null, expected a Layer each"),
    (lambda: swatsim.Trace("a", [layer()], manifest=3), "a: got 3, expected how the trace was made"),
    (lambda: swatsim.Trace("a", [layer()], manifest=TraceMetadata(name="a", sparsity=float("nan"))),
     'a: sparsity: got "nan", expected a string such as'),
    (lambda: swatsim.Trace("a", [layer()], manifest=TraceMetadata(name="a", sparsity=True)),
     'a: sparsity: got "True", expected a string such as'),
    (lambda: swatsim.Trace("a", [layer()], manifest=TraceMetadata(name="a", selection_period=np.int64(3))),
     "a: selection_period: got np.int64(3), expected an integer"),
    (lambda: swatsim.Trace("a", [layer()], manifest=TraceMetadata(name="a", scheme=b"x")),
     "a: scheme: got b'x', expected a string"),
    (lambda: swatsim.Trace("a", [layer()], graph=[3]), "a: graph: got 3, expected a GraphNode"),
    (lambda: swatsim.Trace("a", [layer()], graph=[GraphNode(name="b", op="relu", inputs=("zz",), shape=(1,))]),
     'a: graph[0].inputs[0]: got "zz", expected the name of an earlier node'),
    (lambda: swatsim.Trace("a", [layer()], graph=[GraphNode(name="b", op="relu", inputs=(), shape=(-4,))]),
     "a: graph[0].shape: got [-4], expected integers from 0"),
    (lambda: TraceWriter("a\0b", metadata=TraceMetadata(name="a")).__enter__(), r"a\x00b: the trace cannot be written"),
    (lambda: TraceWriter("a\ud800", metadata=TraceMetadata(name="a")).__enter__(), r"a\ud800: the trace"),
])  # fmt: skip
def test_a_trace_of_something_else(make, said):
    with pytest.raises(SwatsimError) as failure:
        make()
    assert str(failure.value).startswith(said)


@pytest.mark.parametrize(("call", "said"), [
    (lambda trace: swatsim.simulate("dadiannao", trace, passes=None), "passes: got None, expected some of"),
    (lambda trace: swatsim.simulate("dadiannao", trace, passes=1), "passes: got 1, expected some of"),
    (lambda trace: swatsim.simulate("dadiannao", trace, objective=[]), "objective: got [], expected one of"),
    (lambda trace: swatsim.simulate("dadiannao", trace, formats="csr"), "formats: got 'csr', expected formats"),
    (lambda trace: swatsim.simulate("dadiannao", trace, formats=0), "formats: got 0, expected formats by tensor"),
    (lambda trace: swatsim.simulate("dadiannao", trace, formats={"weight": []}), "format of weight: got [], expected"),
    (lambda _: swatsim.load_architecture(None), "architecture: got None, expected a path"),
    (lambda _: swatsim.load_architecture(b"x"), "architecture: got b'x', expected a path"),
    (lambda _: swatsim.load_architecture("dadiannao", overrides=3), "overrides: got 3, expected keys and their values"),
    (lambda _: swatsim.load_architecture("dadiannao", overrides=""), "overrides: got '', expected keys and their"),
    (lambda _: swatsim.load_trace(None), "trace: got None, expected a path"),
    (lambda _: swatsim.load_trace(b"x"), "trace: got b'x', expected a path"),
    (lambda _: swatsim.load_trace("x" * 5000), "xxx"),
    (lambda _: swatsim.load_report(b"x"), "path: got b'x', expected a path"),
    (lambda trace: swatsim.compare(None, trace), "architectures: got None, expected one or several"),
    (lambda trace: swatsim.sweep("dadiannao", trace, shard=5), "shard: got 5, expected i and n"),
    (lambda trace: swatsim.sweep("dadiannao", trace, shard="x"), "shard: got 'x', expected i and n"),
    (lambda trace: swatsim.sweep("dadiannao", trace, shard=(1.0, 2)), "shard: got [1.0, 2], expected i and n"),
    (lambda trace: swatsim.sweep("dadiannao", trace, shard=()), "shard: got [], expected i and n"),
    (lambda trace: swatsim.sweep(3, trace), "arch: got [3], expected at least one name"),
    (lambda trace: swatsim.sweep("dadiannao", trace, overrides=[4]), "set: got [4], expected keys of the architecture"),
    (lambda trace: swatsim.sweep("dadiannao", trace, overrides={"tiles": "48"}), "tiles: got '48', expected a list"),
    (lambda trace: swatsim.sweep("dadiannao", trace, overrides={"tiles": b"x"}), "tiles: got b'x', expected a list"),
    (lambda trace: swatsim.sweep("dadiannao", trace, overrides={"tiles": 4}), "tiles: got 4, expected a list"),
    (lambda trace: swatsim.sweep("dadiannao", trace, folder=""), "folder: got an empty name, expected a folder"),
    (lambda trace: swatsim.sweep("dadiannao", trace, folder="a\0b"), "folder: got 'a\\x00b', expected a path"),
    (lambda trace: swatsim.sweep("dadiannao", trace, folder="\ud800"), r"folder: got '\ud800', expected a path"),
    (lambda trace: swatsim.explore("dadiannao", trace, budget="x"), "budget: got 'x', expected measures"),
    (lambda trace: swatsim.explore("dadiannao", trace, budget=False), "budget: got false, expected measures"),
    (lambda _: network_shapes([]), "network: got [], expected one of"),
    (lambda trace: scalesim_files(swatsim.simulate("dadiannao", trace, workers=1)), "timeline: got a report"),
])  # fmt: skip
def test_something_else(trace, tmp_path, monkeypatch, call, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SwatsimError) as failure:
        call(trace)
    assert str(failure.value).startswith(said)
    assert {path.name for path in tmp_path.iterdir()} == {"trace"}


def test_what_can_be_read_once_is_read_once(trace):
    values = {"tiles": [1, 2]}
    grid = swatsim.sweep("dadiannao", trace, overrides=values)
    once = swatsim.sweep(iter(["dadiannao"]), iter([trace]), overrides={"tiles": iter([1, 2])}, workers=1)
    assert [point["parameters"]["tiles"] for point in once.points] == [1, 2]
    assert once.to_json() == grid.to_json()
    found = swatsim.explore("dadiannao", trace, overrides={"tiles": (tiles for tiles in (1, 2))}, workers=1)
    assert len(found.tried) == 3


def test_machines_and_traces_are_paths_too(trace, tmp_path):
    machine = swatsim.load_architecture("dadiannao").model_dump_json()
    (tmp_path / "a.yaml").write_text(machine)
    named = swatsim.sweep([str(tmp_path / "a.yaml")], trace, workers=1)
    assert swatsim.sweep(tmp_path / "a.yaml", tmp_path / "trace", workers=1).to_json() == named.to_json()


def test_a_parameter_called_like_a_column_has_one_of_its_own(trace):
    mapping = swatsim.load_architecture("dadiannao").model_dump(mode="json")["mapping"]
    given = [mapping, {**mapping, "overlap": "none"}]
    rows = swatsim.sweep("dadiannao", trace, overrides={"mapping": given, "tiles": [1]}, workers=1).rows()
    assert len({row["set.mapping"] for row in rows}) == 2
    assert {row["tiles"] for row in rows} == {1}
    assert {row["mapping"] for row in rows if row["pass"] == "step"} == {""}


def test_reports_with_timelines_are_compared(trace):
    first, again, other = (
        swatsim.simulate(name, trace, keep_timeline=True, workers=1) for name in ("dadiannao", "dadiannao", "cnvlutin")
    )
    assert first == again == pickle.loads(pickle.dumps(first)) == copy.deepcopy(first)
    assert first.timeline[0] == again.timeline[0]
    assert hash(first.timeline[0].spans) == hash(again.timeline[0].spans)
    assert first != other
    changed = first.timeline[0].spans.table.copy()
    changed[-1, -1] += 1
    assert first.timeline[0].spans != type(first.timeline[0].spans)(changed)
    assert first.timeline[0].spans != (first.timeline[0].spans.table,)


def in_pool(trace):
    report = swatsim.simulate("dadiannao", trace, workers=2)
    sweep = swatsim.sweep("dadiannao", trace, overrides={"tiles": [1, 2]}, workers=2)
    return to_json(report), sweep.to_json()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_in_a_process_that_may_have_no_children(trace, method):
    with multiprocessing.get_context(method).Pool(1) as pool:
        found = pool.apply(in_pool, (trace,))
    assert found == in_pool(trace)


def test_a_file_whose_name_is_no_text_in_a_table(trace, tmp_path):
    pytest.importorskip("pandas")
    path = tmp_path / "b\udcff.yaml"
    path.write_text(swatsim.load_architecture("dadiannao").model_dump_json())
    shown = str(tmp_path / r"b\udcff.yaml")
    assert set(swatsim.sweep(str(path), trace, workers=1).to_dataframe()["arch"]) == {shown}
    assert set(swatsim.compare([path], trace, workers=1).to_dataframe()["machine"]) == {shown}
    found = swatsim.explore(str(path), trace, overrides={"tiles": [1]}, workers=1)
    assert set(found.to_dataframe()["arch"]) == {shown}


def test_a_pickled_machine_is_one_in_another_process(trace):
    """Nothing of pydantic's has been built there yet, as in a worker of a cluster."""
    machine = swatsim.load_architecture("dadiannao", overrides={"tiles": 2})
    code = "import pickle, sys, swatsim; from swatsim.report.document import to_json\n"
    code += "print(to_json(swatsim.simulate(pickle.loads(sys.stdin.buffer.read()), sys.argv[1], workers=1)), end='')"
    command = [sys.executable, "-c", code, trace]
    done = subprocess.run(command, input=pickle.dumps(machine), capture_output=True, check=True)
    assert done.stdout.decode() == to_json(swatsim.simulate(machine, trace, workers=1))


@pytest.mark.parametrize(("given", "said"), [
    ({"columns": []}, "column: got none, expected at least one"),
    ({"columns": ()}, "column: got none, expected at least one"),
    *(({"tolerance": value}, f"tolerance: got {str(value)!r}, expected a share such as 0.01")
      for value in ("x", float("nan"), float("inf"), None, -1, "1e999999999")),
])  # fmt: skip
def test_a_check_of_nothing(swatsim_check, trace, tmp_path, given, said):
    path = tmp_path / "report.json"
    path.write_text(to_json(swatsim.simulate("dadiannao", trace, workers=1)))
    swatsim_check(path, path)
    with pytest.raises(SwatsimError) as failure:
        swatsim_check(path, path, **given)
    assert str(failure.value).startswith(said)
