"""SCALE-Sim topologies as traces: stated densities, drawn and marked, and what is refused."""

from __future__ import annotations

import pytest
from command_line import in_process

import swatsim
from swatsim import topologies, trace_option
from swatsim.errors import SwatsimError
from swatsim.sources import Request, import_trace
from swatsim.topologies import topology_trace
from swatsim.trace_option import open_trace, parse_densities

# Lines as they stand in topologies/conv_nets and topologies/GEMM_mnk: trailing commas, notes behind them, empty lines.
CONVOLUTIONS = """Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
Conv1, 34, 34, 3, 3, 3, 32, 1,
Conv2_dw, 32, 32, 3, 3, 1, 1, 1,#dw

Conv3,17,17,1,1,32,64,2,NPU
FC, 1, 1, 1, 1, 1024, 100, 1,
"""
PRODUCTS = "Layer,M,N,K,\nqkv_1,128,96,64,\n\nmlp,128,32,96,"
DENSITIES = {"input": 0.5, "weight": 0.2, "output_grad": 0.75}


@pytest.fixture
def topology(tmp_path):
    path = tmp_path / "net.csv"
    path.write_text(CONVOLUTIONS)
    return path


@pytest.mark.parametrize("text", [CONVOLUTIONS, PRODUCTS])
def test_shapes_are_the_importers_and_densities_as_stated(tmp_path, text):
    path = tmp_path / "net.csv"
    path.write_text(text)
    trace = topology_trace(path, DENSITIES, name="net")
    assert trace.specs == import_trace(path, Request(), name="net").specs
    for layer in trace:
        tensors = {}
        for given in layer.passes.values():
            assert given.result_mask is None
            for role, operand in given.operands.items():
                assert operand.bits.nonzeros == round(DENSITIES[role] * operand.bits.size)
                assert operand.sparsity is None
                # One tensor, whichever pass multiplies it.
                assert tensors.setdefault(role, operand.bits) is operand.bits


def test_the_same_file_and_densities_give_the_same_bits(topology):
    first, second = (list(topology_trace(topology, DENSITIES, name="net")) for _ in range(2))
    assert first == second
    weights = [layer.passes["forward"].operands["weight"].bits.to_bool() for layer in first]
    inputs = [layer.passes["forward"].operands["input"].bits.to_bool() for layer in first]
    # No tensor is a piece of another one's random numbers.
    assert (weights[0].reshape(-1)[:200] != inputs[0].reshape(-1)[:200]).any()
    assert (weights[0].reshape(-1)[:200] != weights[3].reshape(-1)[:200]).any()


def test_large_topologies_are_drawn_layer_by_layer(topology, monkeypatch):
    kept = topology_trace(topology, DENSITIES, name="net")
    monkeypatch.setattr(topologies, "_MOST_KEPT_ELEMENTS", 1)
    drawn = topology_trace(topology, DENSITIES, name="net")
    assert type(kept) is not type(drawn)
    assert list(kept) == list(drawn) == list(drawn)
    assert drawn.layer(1) is not drawn.layer(1)
    assert (drawn.name, drawn.specs, drawn.graph, drawn.digest) == (kept.name, kept.specs, kept.graph, kept.digest)
    assert drawn.manifest == kept.manifest
    machine = swatsim.load_architecture("systolic")
    reports = [swatsim.simulate(machine, trace, passes=["forward"], workers=2) for trace in (kept, drawn)]
    assert reports[0].records == reports[1].records


@pytest.mark.parametrize(
    ("line", "density", "expected"),
    [
        ("a,65536,65536,1,1,1,1,1,", 1.0, "a: input: got 4294967296 elements, expected at most 1073741824"),
        ("a,1,1,1,1,65536,65536,1,", 0.5, "a: weight: got 4294967296 elements, expected at most 1073741824"),
        ("a,32768,32768,1,1,1,2,1,", 0.5, "a: output_grad: got 2147483648 elements, expected at most 1073741824"),
        (
            "a,32768,32768,1,1,1,1,1,", 0.5,
            "a: got 2147483649 elements in the tensors of one layer, expected at most 2147483648",
        ),
    ],
)  # fmt: skip
def test_layers_beyond_the_trace_format_are_refused_undrawn(tmp_path, monkeypatch, line, density, expected):
    path = tmp_path / "net.csv"
    path.write_text(f"{CONVOLUTIONS}{line}\n")
    monkeypatch.setattr(topologies, "_drawn", None)
    with pytest.raises(SwatsimError) as caught:
        topology_trace(path, dict.fromkeys(DENSITIES, density), name="net")
    assert str(caught.value) == f"{path}: {expected}"


def test_a_dense_operand_takes_none_of_what_a_layer_may_hold(tmp_path):
    path = tmp_path / "net.csv"
    path.write_text("name,h,w,kh,kw,c,f,s,\na,32768,32768,1,1,1,1,1,\n")
    (layer,) = topology_trace(path, dict.fromkeys(DENSITIES, 1.0), name="net")
    assert layer.passes["forward"].operands["input"].bits.packed is None


def test_a_report_says_that_nobody_trained_it(topology):
    trace = open_trace(str(topology), ["0.25", "output_grad=1"])
    report = swatsim.simulate(swatsim.load_architecture("systolic"), trace, passes=["forward"], workers=1)
    assert report.synthetic
    assert report.trace_title == "net (synthetic)"
    said = report.trace["provenance"]
    assert said["densities"] == "input 0.25, weight 0.25, output_grad 1, as stated"
    assert (said["source"], said["masks"], said["seed"]) == ("synthetic", "bernoulli", "0")
    assert (said["file"], said["kind"], len(said["sha256"])) == ("net.csv", "scalesim", 64)
    assert "no padding" in said["remarks"]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], {}),
        (["0.2"], {"input": 0.2, "weight": 0.2, "output_grad": 0.2}),
        (["weight=.5", "1"], {"input": 1.0, "weight": 0.5, "output_grad": 1.0}),
        ([" weight = 0.5 "], {"weight": 0.5}),
    ],
)
def test_options(texts, expected):
    assert parse_densities(texts) == expected
    assert trace_option.ROLES == topologies.ROLES


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1.1"], "got '1.1', expected a number from 0 to 1"),
        (["-0.1"], "got '-0.1'"),
        (["nan"], "got 'nan'"),
        (["weight="], "got ''"),
        (["."], "got '.'"),
        (["weights=0.2"], "got 'weights', expected one of input, weight, output_grad"),
        (["=0.2"], "got ''"),
        (["0.2", "0.3"], "got it twice"),
        (["weight=0.2", "weight=0.3"], "got it twice"),
    ],
)
def test_options_with_mistakes(texts, expected):
    with pytest.raises(SwatsimError, match="--density") as caught:
        parse_densities(texts)
    assert expected in str(caught.value)


@pytest.mark.parametrize("densities", [{"input": 1.0}, DENSITIES | {"state": 1.0}, DENSITIES | {"weight": 2.0}])
def test_densities_with_mistakes_from_python(topology, densities):
    with pytest.raises(SwatsimError, match="density"):
        topology_trace(topology, densities, name="net")


@pytest.mark.parametrize("command", [["run"], ["compare"], ["explain", "FC"]])
def test_commands(topology, capsys, command):
    arguments = (*command, "--arch", "systolic", "--trace", topology)
    code, out, err = in_process(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err == (
        f"{topology}: got a topology and no density of input, weight, output_grad, expected --density 0.2, or "
        "--density weight=0.2 --density input=0.5 --density output_grad=1: it says shapes and no zeros\n"
    )
    code, out, err = in_process(capsys, *arguments, "--density", "0.2")
    assert (code, err) == (0, "")
    assert "net (synthetic)" in out


def test_every_operand_has_a_density(topology):
    with pytest.raises(SwatsimError, match="no density of input, output_grad, expected"):
        open_trace(str(topology), ["weight=0.2"])


def test_other_traces_have_zeros_of_their_own(tmp_path, capsys):
    code, out, err = in_process(capsys, "run", "--arch", "systolic", "--trace", tmp_path, "--density", "0.2")
    assert (code, out) == (2, "")
    assert "expected a SCALE-Sim topology (.csv)" in err


@pytest.mark.parametrize("command", [["sweep"], ["explore", "--objective", "cycles"]])
def test_sweeps_take_traces_on_disk(topology, tmp_path, capsys, command):
    arguments = (*command, "--arch", "systolic", "--set", "tiles=1", "-o", tmp_path / "points", "--trace")
    code, out, err = in_process(capsys, *arguments, topology)
    assert (code, out) == (2, "")
    assert err == (
        f"{topology}: got a SCALE-Sim topology, which run, compare, explain and check take, expected a trace: a "
        f"directory with a manifest.json, as `swatsim trace import {topology} --density PART -o DIR` makes\n"
    )


def test_a_topology_is_written_as_it_is_drawn(topology, tmp_path, capsys):
    options = ("--density", "0.25", "--density", "output_grad=1")
    arguments = ("trace", "import", topology, *options, "--layers", "Conv*", "-o", tmp_path / "net")
    code, out, err = in_process(capsys, *arguments)
    assert (code, err) == (0, "")
    assert "\nRandom non-zeros: input 0.25, weight 0.25, output_grad 1, as stated.\nNo padding; a last window " in out
    written, drawn = swatsim.load_trace(tmp_path / "net"), open_trace(str(topology), ["0.25", "output_grad=1"])
    assert list(written) == [layer for layer in drawn if layer.spec.name.startswith("Conv")]
    assert written.manifest.provenance == drawn.manifest.provenance
    # Marked where it goes on from here.
    (point,) = swatsim.sweep("systolic", str(tmp_path / "net"), layers="Conv1").points
    assert point["trace"]["synthetic"]


def test_only_topologies_are_drawn(tmp_path, capsys):
    masks = tmp_path / "masks.npz"
    masks.write_bytes(b"")
    code, out, err = in_process(capsys, "trace", "import", masks, "--density", "1", "-o", tmp_path / "net")
    assert (code, out) == (2, "")
    assert err == "--density 1: got it with masks, expected a topology (scalesim)\n"
    assert not (tmp_path / "net").exists()
