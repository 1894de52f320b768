"""`swatsim trace` called in this process: what it writes and prints, exit codes, and a user's mistakes."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import in_process, on_terminal, refused_in_one_line, swatsim
from test_imports import modules_after
from trace_files import edit_manifest, first_tensor, small_graph, small_layers, small_trace, write_trace

from swatsim.bits import BitTensor
from swatsim.cli import main
from swatsim.layer import Layer, LayerSpec, Operand, PassOperands
from swatsim.trace import GraphNode, TraceMetadata, load_trace
from swatsim.trace import clustering as clusters
from swatsim.trace.measures import measure_layer


def clustering(mask, axis=0):
    return clusters.clustering(BitTensor.from_array(mask), axis)


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """(exit code, standard output, standard error) of `swatsim trace` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments):
        return in_process(capsys, "trace", *arguments)

    return call


def refused(result, *parts):
    code, out, err = result
    assert (code, out) == (2, ""), (code, out, err)
    assert len(err.splitlines()) == 1 or err.startswith("Usage"), err
    for part in parts:
        assert part in err, err


def masked_layers():
    """Of every kind of result: one mask in each pass, on tensors that have images."""
    random = np.random.default_rng(23)

    def bits(*shape):
        return BitTensor.from_array(random.random(shape) < 0.4)

    spec = LayerSpec(name="fc", kind="linear", input_shape=(6, 3, 7), weight_shape=(5, 7), output_shape=(6, 3, 5))
    shared = bits(6, 3, 7)
    passes = {
        "forward": PassOperands(
            operands={"input": Operand(bits=shared), "weight": Operand(bits=bits(5, 7))}, result_mask=bits(6, 3, 5)
        ),
        "input_grad": PassOperands(
            operands={"output_grad": Operand(bits=bits(6, 3, 5)), "weight": Operand(bits=bits(5, 7))},
            result_mask=shared,
        ),
        "weight_grad": PassOperands(
            operands={"output_grad": Operand(bits=bits(6, 3, 5)), "input": Operand(bits=shared)}, result_mask=bits(5, 7)
        ),
    }
    return [Layer(spec=spec, passes=passes)]


# -------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", "x\ny\x07", "-o", "new"),
        ("import", "x\ny\x07.npz", "-o", "new"),
        ("import", "x\ny\x07.smtx", "-o", "new"),
        ("import", "x.csv", "-o", "no/x\ny\x07"),
        ("import", "x.csv", "--density", "x\ny\x07=1", "-o", "new"),
        ("import", "x.npz", "--kind", "x\ny\x07", "-o", "new"),
        ("import", "folder", "--kind", "smtx", "--positions", "1", "-o", "new"),
        ("validate", "x\ny\x07"),
        ("info", "x\ny\x07"),
        ("info", "x", "--json", "no/x\ny\x07"),
        ("select", "x\ny\x07", "-o", "new"),
        ("select", "x", "--images", "x\ny\x07", "-o", "new"),
        ("synth", "x\ny\x07", "-o", "new"),
        ("synth", "--like", "x\ny\x07", "-o", "new"),
        ("synth", "resnet18", "--budget", "x\ny\x07.csv", "-o", "new"),
    ],
)
def test_no_name_breaks_its_line_or_the_terminal(capsys, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("folder", "x\ny\x07.smtx").write_text("bad\n")
    assert r"x\ny\x07" in refused_in_one_line(capsys, "trace", *arguments)


def test_what_is_said_of_a_trace_of_a_hostile_name_is_a_line(run):
    code, out, err = run("synth", "resnet18-cifar", "--images", "1", "--name", "x", "-o", "x\ny\x07")
    assert (code, out, err) == (0, "x\\ny\\x07: 21 layers\n", "")


# ------------------------------------------------------------------------------------------------------------- import


def test_import_says_what_it_assumes(run, tmp_path):
    np.savez(tmp_path / "masks.npz", **{"fc.weight": np.eye(4, 6)})
    code, out, err = run("import", "masks.npz", "-o", "made", "--positions", 3, "--weight-grad-mask")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "made: 1 layers",
        "weight: the file's; input and output gradient: dense, for nothing is known of their zeros; "
        "weight gradient: needed where the weight is",
    ]
    trace = load_trace(tmp_path / "made")
    made = trace.manifest.provenance
    assert (trace.name, made["source"], made["file"], made["kind"]) == ("made", "imported", "masks.npz", "masks")
    assert re.fullmatch("[0-9a-f]{64}", made["sha256"])
    np.testing.assert_array_equal(trace.layer(0).passes["weight_grad"].result_mask.to_bool(), np.eye(4, 6) != 0)
    assert run("validate", "made")[0] == 0


def test_the_same_import_gives_the_same_bytes(run, tmp_path):
    np.savez(tmp_path / "masks.npz", fc=np.eye(4, 6))
    digests = []
    for name in ("a", "b"):
        assert run("import", "masks.npz", "-o", name, "--positions", 3, "--name", "mine")[0] == 0
        digests.append(load_trace(tmp_path / name).digest)
    assert digests[0] == digests[1]


def test_nothing_is_left_of_an_import_that_fails(run, tmp_path):
    np.savez(tmp_path / "masks.npz", fc=np.eye(4, 6))
    refused(run("import", "masks.npz", "-o", "made"), "got a weight of shape [4, 6] in fc and no shape of its input")
    refused(run("import", "none.npz", "-o", "made", "--positions", 1), "none.npz: got No such file or directory")
    refused(
        run("import", "masks.npz", "-o", "no/such/made", "--positions", 1), "expected one in a directory that exists"
    )
    refused(run("import", "masks.npz", "-o", "", "--positions", 1), "got an empty name")
    refused(run("import", "masks.npz", "-o", "made", "--positions", 0), "x>=1")
    refused(run("import", "masks.npz", "--positions", 1), "Missing option '-o'")
    (tmp_path / "made").mkdir()
    refused(run("import", "masks.npz", "-o", "made", "--positions", 1), "got a path that exists")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "masks.npz"]
    assert run("import", "masks.npz", "-o", "made", "--positions", 1, "--overwrite")[0] == 0
    assert load_trace(tmp_path / "made").specs[0].input_shape == (1, 6)


def test_an_imported_topology_runs(run, tmp_path, capsys):
    (tmp_path / "net.csv").write_text("Layer,H,W,R,S,C,K,stride,\nconv,8,8,3,3,16,16,1,\n")
    assert run("import", "net.csv", "-o", "made", "--images", 2)[0] == 0
    main(["run", "--arch", "dadiannao", "--trace", "made"])
    assert "conv" in capsys.readouterr().out


# --------------------------------------------------------------------------------------------------------------- info


@pytest.mark.parametrize("text", ["x" * 3_000_000, "word\n" * 600_000])
def test_info_shows_the_begin_of_a_long_text_and_its_json_all(run, tmp_path, text):
    write_trace(tmp_path / "t", small_layers()[:1], metadata=TraceMetadata(name="mine", provenance={"told": text}))
    code, out, err = run("info", "t")
    assert (code, err) == (0, "")
    assert 2000 < len(out.partition("told: ")[2].partition("…")[0]) < 2100
    assert json.loads(run("info", "t", "--json", "-")[1])["provenance"]["told"] == text


def test_info_counts_what_numpy_counts(run, tmp_path):
    layers = [*small_layers()[:2], replace(masked_layers()[0])]
    write_trace(tmp_path / "t", layers, metadata=TraceMetadata(name="mine", scheme="rigl", provenance={"step": "7"}))
    code, out, err = run("info", "t", "--json", "-")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert (document["name"], document["scheme"], document["provenance"]) == ("mine", "rigl", {"step": "7"})
    assert document["file_bytes"] == sum(path.stat().st_size for path in (tmp_path / "t").rglob("*") if path.is_file())
    rows = iter(document["rows"])
    for layer in layers:
        for name in layer.spec.passes:
            given = layer.passes[name]
            for role, operand in given.operands.items():
                present, row = operand.bits.to_bool(), next(rows)
                assert (row["layer"], row["pass"], row["operand"]) == (layer.spec.name, name, role)
                assert (row["nonzeros"], row["density"]) == (int(present.sum()), present.mean())
                assert row["sparsity"] == (None if operand.sparsity is None else str(float(operand.sparsity)))
                if given.result_mask is not None:
                    assert row["needed_results"] == int(given.result_mask.to_bool().sum())
                channel = present.ndim - 1 if layer.spec.kind == "linear" and role != "weight" else 1
                expected = clustering(present, channel)
                assert row["clustering_by_channel"] == (None if math.isnan(expected) else expected)
                assert row["clustering_by_filter"] == (clustering(present, 0) if role == "weight" else None)
    assert next(rows, None) is None
    code, text, _ = run("info", "t", "--csv", "-")
    assert [(row["layer"], row["nonzeros"]) for row in csv.DictReader(io.StringIO(text))] == [
        (row["layer"], str(row["nonzeros"])) for row in document["rows"]
    ]


def test_clustering_is_one_for_a_random_mask_and_more_for_a_clustered_one():
    random = np.random.default_rng(1)
    measured = [clustering(random.random((64, 32, 3, 3)) < 0.2) for _ in range(40)]
    assert abs(np.mean(measured) - 1) < 0.05
    halves = np.zeros((8, 10), dtype=bool)
    halves[:4] = True
    # Counts are 10 or 0, of deviation 5; hypergeometric variance 10·½·½·(80-10)/(80-1).
    assert clustering(halves) == pytest.approx(5 / math.sqrt(2.5 * 70 / 79))
    assert math.isnan(clustering(np.ones((3, 3), dtype=bool)))
    # Counts are 10 or 0 of 20 places, all in one of two slices; of a single slice there is nothing to compare.
    assert clustering(halves[3:5]) == pytest.approx(5 / math.sqrt(2.5 * 10 / 19))
    assert math.isnan(clustering(halves[3:5].reshape(1, 20)))


@pytest.mark.parametrize("piece", [1, 7, 64, 1 << 22])
def test_clustering_piece_by_piece(monkeypatch, piece):
    monkeypatch.setattr(clusters, "_PIECE_ELEMENTS", piece)
    random = np.random.default_rng(3)
    for shape in ((2, 5), (3, 4, 5), (2, 3, 5, 7), (40,)):
        mask = random.random(shape) < 0.4
        for axis in range(-1, len(shape)):
            others = tuple(each for each in range(len(shape)) if each != axis % len(shape))
            counts, density, each = mask.sum(axis=others), mask.mean(), mask.size // mask.shape[axis]
            chance = each * density * (1 - density) * (mask.size - each) / (mask.size - 1)
            assert clustering(mask, axis) == pytest.approx(math.sqrt(counts.var() / chance))


def test_filters_of_a_transposed_convolution_are_its_second_index():
    random = np.random.default_rng(2)
    weight = random.random((4, 6, 3, 3)) < 0.3
    layer = Layer.from_arrays(
        "up", kind="conv_transpose2d", input=np.ones((1, 4, 5, 5)), weight=weight, output_grad=np.ones((1, 6, 7, 7)),
    )  # fmt: skip
    measured = measure_layer(layer).operands["forward", "weight"]
    assert (measured.by_filter, measured.by_channel) == (clustering(weight, 1), clustering(weight, 0))


def test_info_fits_and_is_plain_in_a_pipe(run, tmp_path):
    long = [Layer(spec=replace(layer.spec, name=layer.spec.name * 30), passes=layer.passes) for layer in small_layers()]
    write_trace(tmp_path / "t", long, metadata=TraceMetadata(name="x", provenance={"data": "words " * 60}))
    code, out, err = run("info", "t")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 100
    assert "\x1b" not in out
    assert out.count("weight_grad") == 3


def test_info_obeys_no_color(tmp_path):
    small_trace(tmp_path / "t")
    shown, _, code = on_terminal("trace", "info", tmp_path / "t")
    assert (code, "\x1b[1m" in shown) == (0, True)
    result = swatsim("trace", "info", tmp_path / "t")
    assert (result.returncode, result.stderr) == (0, "")
    assert b"\x1b" not in result.stdout


def test_info_writes_files_and_refuses_both_on_standard_output(run, tmp_path):
    small_trace(tmp_path / "t")
    _, table, _ = run("info", "t")
    assert run("info", "t", "--json", "i.json", "--csv", "i.csv") == (0, table, "")
    assert (tmp_path / "i.json").read_text() == run("info", "t", "--json", "-")[1]
    assert (tmp_path / "i.csv").read_text() == run("info", "t", "--csv", "-")[1]
    refused(run("info", "t", "--json", "-", "--csv", "-"), "cannot both write to standard output")
    refused(run("info", "t", "--json", "no/such/file"), "cannot be written")
    refused(run("info", "none"), "none: got nothing there, expected a trace")


# ----------------------------------------------------------------------------------------------------------- validate


def test_validate_reads_everything_and_goes_on(run, tmp_path):
    for name in ("good", "bad", "last"):
        write_trace(tmp_path / name, [small_layers()[0], small_layers()[2]])
    _, _, file = first_tensor(tmp_path / "bad")
    damaged = bytearray(file.read_bytes())
    damaged[-3] ^= 1
    file.write_bytes(damaged)
    code, out, err = run("validate", "good", "bad", "missing", "last")
    assert code == 2
    size = sum(path.stat().st_size for path in (tmp_path / "good").rglob("*") if path.is_file())
    # The weight's budget in the forward pass alone, of 1/2 and drawn at random: 54 of 108, or not
    counted = rf"ok: 2 layers, 6 tensors, {size:,} bytes; budgets: 1 (exact|more|fewer); no graph"
    first, second, third = out.splitlines()
    assert re.fullmatch(f"good: {counted}", first)
    assert re.fullmatch(f"last: {counted}", second)
    assert third.startswith("Not checked, for a trace holds no values")
    assert [line.split(":")[0] for line in err.splitlines()] == [f"bad/tensors/{file.name}", "missing"]
    refused(run("validate", "bad"))
    refused(run("validate"), "Missing argument")


def test_validate_counts_budgets(run, tmp_path):
    def layer(name, kept, sparsity):
        bits = np.arange(20) < kept
        return Layer.from_arrays(
            name, input=np.ones((2, 20)), weight=bits.reshape(1, 20), output_grad=np.ones((2, 1)),
            sparsity={"forward": {"weight": sparsity}, "input_grad": {"weight": sparsity}},
        )  # fmt: skip

    # ceil(0.33 · 20) = 7, and of 1/3 kept also 7
    layers = [
        layer("a", 7, "0.67"),
        layer("b", 7, "2/3"),
        layer("c", 8, "0.67"),
        layer("d", 6, "0.67"),
        layer("e", 20, "0.67"),
    ]
    write_trace(tmp_path / "t", layers)
    assert "; budgets: 4 exact, 4 more, 2 fewer; no graph" in run("validate", "t")[1]


def test_validate_refuses_what_was_selected_of_nothing(run, tmp_path):
    natural = np.array([[1, 0, 1, 0]])
    layer = Layer.from_arrays(
        "fc", input=natural, weight=np.ones((1, 4)), output_grad=np.ones((1, 1)),
        operands={"weight_grad": {"input": [[1, 1, 0, 0]]}}, sparsity={"weight_grad": {"input": "0.5"}},
    )  # fmt: skip
    write_trace(tmp_path / "t", [layer])
    refused(run("validate", "t"), "t: fc: weight_grad.input: got 1 selected elements that are zero in another pass")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"relu": {"shape": (2, 4, 5, 5)}}, "t: graph: relu: got [2, 4, 5, 4] from first, expected what makes relu"),
        (
            {"image": {"shape": (2, 3, 9, 9)}},
            "first: got [2, 3, 9, 9] from image, expected what makes conv2d [2, 3, 9, 8]",
        ),
        ({"view": {"op": "flatten", "inputs": ("second",)}}, "view: got [2, 6, 5, 4] from second"),
        ({"view": {"op": "add", "inputs": ("second",)}}, "view: got [2, 6, 5, 4] from second"),
        ({"view": {"op": "concatenate", "inputs": ("second",)}}, "view: got [2, 6, 5, 4] from second"),
    ],
)
def test_validate_refuses_graphs_that_contradict_themselves(run, tmp_path, change, expected):
    graph = [replace(node, **change.get(node.name, {})) for node in small_graph()]
    write_trace(tmp_path / "t", small_layers(), graph=graph)
    refused(run("validate", "t"), expected)


@pytest.mark.parametrize("channels", [(2, 3), (5,), (4, 1)])
def test_validate_accepts_what_is_joined_along_one_axis(run, tmp_path, channels):
    inputs = [GraphNode(name=f"x{size}", op="input", shape=(2, size, 7)) for size in channels]
    joined = GraphNode(name="joined", op="concatenate", inputs=tuple(node.name for node in inputs), shape=(2, 5, 7))
    view = GraphNode(name="view", op="other", inputs=("joined",), shape=(2, 7, 5))
    rest = [
        GraphNode(name="x", op="input", shape=(6, 3, 7)),
        GraphNode(name="fc", op="linear", inputs=("x",), shape=(6, 3, 5)),
    ]
    write_trace(tmp_path / "t", masked_layers(), graph=[*inputs, joined, view, *rest])
    assert run("validate", "t")[0] == 0


def test_validate_accepts_a_shipped_trace(run):
    code, out, err = run("validate", Path(__file__).parent.parent / "traces" / "smallcnn")
    assert (code, err) == (0, "")
    assert "ok: 4 layers, 15 tensors" in out


# ------------------------------------------------------------------------------------------------------------- select


def test_select_is_what_numpy_slices(run, tmp_path):
    layers = masked_layers()
    graph = [
        GraphNode(name="x", op="input", shape=(6, 3, 7)),
        GraphNode(name="fc", op="linear", inputs=("x",), shape=(6, 3, 5)),
    ]
    write_trace(tmp_path / "t", layers, graph=graph)
    assert run("select", "t", "-o", "s", "--images", "1:4") == (0, "s: 1 layers\n", "")
    trace = load_trace(tmp_path / "s")
    assert [node.shape for node in trace.graph] == [(3, 3, 7), (3, 3, 5)]
    (cut,) = trace
    for name, given in layers[0].passes.items():
        for role, operand in given.operands.items():
            expected = operand.bits.to_bool()
            np.testing.assert_array_equal(
                cut.passes[name].operands[role].bits.to_bool(), expected if role == "weight" else expected[1:4]
            )
        mask = given.result_mask.to_bool()
        np.testing.assert_array_equal(
            cut.passes[name].result_mask.to_bool(), mask if name == "weight_grad" else mask[1:4]
        )
    made = trace.manifest.provenance
    assert made["selected_from"] == load_trace(tmp_path / "t").digest
    assert made["selected_images"] == "1:4 of 6"
    assert run("validate", "s")[0] == 0


def test_select_leaves_out_a_graph_whose_images_it_cannot_cut(run, tmp_path):
    graph = [
        GraphNode(name="x", op="input", shape=(6, 3, 7)),
        GraphNode(name="mean", op="mean", inputs=("x",), shape=(3, 7)),
        GraphNode(name="fc", op="linear", inputs=("x",), shape=(6, 3, 5)),
    ]  # fmt: skip
    write_trace(tmp_path / "t", masked_layers(), graph=graph)
    assert run("select", "t", "-o", "s", "--images", "1:4")[0] == 0
    assert load_trace(tmp_path / "t").graph
    assert load_trace(tmp_path / "s").graph == ()


def test_select_keeps_strides_budgets_and_dense_tensors(run, tmp_path):
    small_trace(tmp_path / "t")
    whole = list(load_trace(tmp_path / "t"))
    assert run("select", "t", "-o", "s", "--layers", "[fs]*", "--images", "1:2", "--name", "half")[0] == 0
    trace = load_trace(tmp_path / "s")
    assert (trace.name, trace.graph, len(trace)) == ("half", (), 2)  # a graph without one of its layers is none
    for layer, cut in zip(whole, trace, strict=False):
        assert replace(cut.spec, input_shape=layer.spec.input_shape, output_shape=layer.spec.output_shape) == layer.spec
        for name, given in layer.passes.items():
            for role, operand in given.operands.items():
                found = cut.passes[name].operands[role]
                assert found.sparsity == operand.sparsity
                expected = operand.bits.to_bool()
                np.testing.assert_array_equal(found.bits.to_bool(), expected if role == "weight" else expected[1:2])
    assert trace.manifest.provenance["selected_layers"] == "2 of 3, those that match [fs]*"


def test_select_of_everything_is_the_same_trace(run, tmp_path):
    small_trace(tmp_path / "t")
    assert run("select", "t", "-o", "s")[0] == 0
    before, after = load_trace(tmp_path / "t"), load_trace(tmp_path / "s")
    assert (after.specs, after.graph) == (before.specs, before.graph)
    for first, second in zip(before, after, strict=True):
        assert first == second


def test_select_refuses(run, tmp_path):
    small_trace(tmp_path / "t")
    for images in ("2", "2:1", "1:1", "a:b", "-1:1", ":", "\u0661:2", "0:12345678901"):
        refused(run("select", "t", "-o", "s", f"--images={images}"), "--images: got", "expected FIRST:END")
    refused(run("select", "t", "-o", "s", "--images", "0:3"), "got images 0:3, expected a range within 0:2")
    refused(run("select", "t", "-o", "s", "--layers", "none*"), "got no layer that matches 'none*'")
    refused(run("select", "t", "-o", "t"), "got a path that exists")
    edit_manifest(tmp_path / "t", lambda members: members["layers"].pop() and None)
    refused(run("select", "t", "-o", "s"), "t/manifest.json")
    one = Layer.from_arrays("fc", input=np.ones((3, 2)), weight=np.ones((1, 2)), output_grad=np.ones((3, 1)))
    write_trace(tmp_path / "u", [*small_layers(), one])
    refused(run("select", "u", "-o", "s", "--images", "0:1"), "fc: got 3 in the first dimension, expected 2 images")
    assert not (tmp_path / "s").exists()


# ------------------------------------------------------------------------------------------------------------ imports


def test_a_command_loads_only_what_it_needs(tmp_path):
    heavy = {"numpy", "numba", "pandas", "rich", "torch", "onnx"}
    quiet = "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()): "
    assert not modules_after(f"from swatsim.cli import main\n{quiet}main(['trace', 'import', '--help'])") & heavy
    np.savez(tmp_path / "m.npz", fc=np.eye(3))
    statement = "from swatsim.sources import Request, import_trace\n"
    statement += f"import_trace({str(tmp_path / 'm.npz')!r}, Request(positions=1), name='t')"
    assert not modules_after(statement) & {"pandas", "torch", "onnx", "safetensors", "rich"}
