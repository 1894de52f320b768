"""Synthetic traces: twins of real ones, and of networks that nobody trained; marked wherever they are reported."""

from __future__ import annotations

import io
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import swatsim
from benchmarks.synthesis import PROFILES, measured_profile
from swatsim.bits import BitTensor
from swatsim.errors import SwatsimError
from swatsim.layer import Layer, LayerSpec
from swatsim.networks import NetworkShapes, Node
from swatsim.report.delimited import to_csv
from swatsim.report.document import to_json
from swatsim.report.table import SYNTHETIC, VIEWS, print_table
from swatsim.report.timeline_page import to_page
from swatsim.report.trace_events import to_trace_json
from swatsim.schemes import scheme_named
from swatsim.schemes.scheme import ACTIVE_WEIGHTS, LIVE_FILTERS, PREDICTED_OUTPUTS
from swatsim.synthesis import KINDS, LayerMasks, like, load_profile, profile_names, synthesise
from swatsim.synthesis.profile import profile_json
from swatsim.synthesis.under_scheme import synthetic_trace
from swatsim.trace import GraphNode, Trace, TraceMetadata

TRACES = Path(__file__).parent.parent / "traces"


@pytest.fixture(scope="module")
def small():
    return swatsim.load_trace(TRACES / "smallcnn")


@pytest.fixture(scope="module")
def profile():
    return load_profile("resnet50")


def operands(trace):
    """Every operand by layer, pass and role."""
    return {
        (layer.spec.name, pass_name, role): operand
        for layer in trace
        for pass_name, given in layer.passes.items()
        for role, operand in given.operands.items()
    }


def within(inner, outer):
    return bool((inner.to_bool() <= outer.to_bool()).all())


@pytest.mark.parametrize("kind", KINDS)
def test_a_twin_has_the_shapes_counts_and_budgets_of_the_real_trace(small, kind):
    twin = like(small, 3, kind)
    assert (twin.specs, twin.graph) == (small.specs, small.graph)
    real, drawn = operands(small), operands(twin)
    assert list(real) == list(drawn)
    different = 0
    for key, operand in real.items():
        assert (drawn[key].bits.shape, drawn[key].sparsity) == (operand.bits.shape, operand.sparsity)
        assert drawn[key].bits.nonzeros == operand.bits.nonzeros
        different += drawn[key].bits != operand.bits
    assert different >= 8
    assert twin.manifest.scheme == small.manifest.scheme
    assert twin.manifest.provenance == {
        "source": "synthetic", "masks": kind, "seed": "3", "statistics of": small.digest,
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_of_a_twin_are_shared_and_contained_as_the_real_ones(small, kind):
    twin = like(small, 0, kind)
    found = 0
    for (one, real_one), (other, real_other) in combinations(operands(small).items(), 2):
        if real_one.bits.shape != real_other.bits.shape:
            continue
        drawn_one, drawn_other = operands_of(twin, one), operands_of(twin, other)
        assert (real_one.bits == real_other.bits) == (drawn_one == drawn_other)
        for inner, outer, drawn_inner, drawn_outer in (
            (real_one.bits, real_other.bits, drawn_one, drawn_other),
            (real_other.bits, real_one.bits, drawn_other, drawn_one),
        ):
            if within(inner, outer):
                assert within(drawn_inner, drawn_outer)
                found += inner != outer
    assert found >= 3  # what is selected of each input but the first


def operands_of(trace, key):
    layer = trace.layer([spec.name for spec in trace.specs].index(key[0]))
    return layer.passes[key[1]].operands[key[2]].bits


@pytest.mark.parametrize("kind", KINDS)
def test_layers_that_select_differently_of_one_input_stay_nested(kind):
    """The sparser selection is drawn first, then the input around it; the denser one must fit between the two."""
    values = np.random.default_rng(0).random((2, 16, 6, 6))
    layers = [
        Layer.from_arrays(
            name, input=values < 0.5, weight=np.ones((4, 16, 1, 1)), output_grad=np.ones((2, 4, 6, 6)),
            operands={"weight_grad": {"input": values < density}},
        )
        for name, density in (("sparse", 0.1), ("denser", 0.3))
    ]  # fmt: skip
    twin = like(Trace("nested", layers), 0, kind)
    inner, middle = (operands_of(twin, (name, "weight_grad", "input")) for name in ("sparse", "denser"))
    outer = operands_of(twin, ("sparse", "forward", "input"))
    assert within(inner, middle)
    assert within(middle, outer)
    assert [bits.nonzeros for bits in (inner, middle, outer)] == [np.sum(values < limit) for limit in (0.1, 0.3, 0.5)]


def test_a_twin_depends_on_its_seed_and_on_no_other_layer(small):
    again, other = like(small, 1), like(small, 2)
    first = operands(like(small, 1))
    assert all(again_of.bits == first[key].bits for key, again_of in operands(again).items())
    assert any(operand.bits != first[key].bits for key, operand in operands(other).items())
    alone = Trace("alone", [small.layer(2)])
    assert all(operand.bits == first[key].bits for key, operand in operands(like(alone, 1)).items())


def test_an_unknown_kind_is_refused(small):
    with pytest.raises(SwatsimError, match="kind: got 'Bernoulli', expected one of clustered, bernoulli"):
        like(small, 0, "Bernoulli")


def test_every_report_says_that_a_trace_is_synthetic(small):
    from rich.console import Console

    machine = swatsim.load_architecture("dadiannao")
    part = Trace("part", [small.layer(2)])
    for trace in (part, like(part, 0)):
        report = swatsim.simulate(machine, trace, keep_timeline=True)
        texts = [to_csv(report), to_json(report), to_page(report).decode(), to_trace_json(report).decode()]
        for view in VIEWS:
            file = io.StringIO()
            print_table(report, Console(file=file, width=200), view)
            texts.append(file.getvalue())
            assert (SYNTHETIC in file.getvalue()) == report.synthetic
        assert report.synthetic == (trace is not part)
        assert [("synthetic" in text) for text in texts] == [report.synthetic] * len(texts)
    assert all(line.endswith(",synthetic") for line in texts[0].splitlines()[1:])


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_are_what_the_benchmark_measures(name):
    assert name in profile_names()
    trace = swatsim.load_trace(TRACES / name)
    found = load_profile(name)
    assert found.trace_digest == trace.digest
    # Which layers are measured takes all tensors to find out: the text is compared with one that is read back.
    text = (Path(swatsim.__file__).parent / "synthesis" / "profiles" / f"{name}.json").read_text()
    assert profile_json(found) == text
    if name == "resnet50-thin":
        assert measured_profile(name) == text


def test_an_unknown_profile_is_refused():
    with pytest.raises(SwatsimError, match=r"profile: got '../x', expected one of resnet50, resnet50-thin"):
        load_profile("../x")


def convolution(name, inputs, filters, *, kernel=3, side=8, first=False):
    return LayerSpec(
        name=name, kind="conv2d", input_shape=(2, inputs, side, side), weight_shape=(filters, inputs, kernel, kernel),
        output_shape=(2, filters, side, side), padding=(kernel // 2,) * 4, needs_input_grad=not first,
    )  # fmt: skip


SPECS = (
    convolution("first", 3, 16, first=True), convolution("left", 16, 32), convolution("right", 16, 32, kernel=1),
    LayerSpec(name="head", kind="linear", input_shape=(2, 5, 32), weight_shape=(10, 32), output_shape=(2, 5, 10)),
)  # fmt: skip
GRAPH = (
    GraphNode(name="image", op="input", shape=(2, 3, 8, 8)),
    GraphNode(name="first", op="conv2d", inputs=("image",), shape=(2, 16, 8, 8)),
    GraphNode(name="relu", op="relu", inputs=("first",), shape=(2, 16, 8, 8)),
    GraphNode(name="left", op="conv2d", inputs=("relu",), shape=(2, 32, 8, 8)),
    GraphNode(name="right", op="conv2d", inputs=("relu",), shape=(2, 32, 8, 8)),
    GraphNode(name="mean", op="avg_pool", inputs=("left",), shape=(2, 5, 32)),
    GraphNode(name="head", op="linear", inputs=("mean",), shape=(2, 5, 10)),
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_under_a_scheme(profile, kind):
    """SWAT at 80 %: exact budgets, selections within what is there, shared inputs, a dense first layer."""
    nodes = tuple(Node(name=each.name, op=each.op, inputs=each.inputs, shape=each.shape) for each in GRAPH)
    shapes = NetworkShapes(name="mine", title="Mine", source="2026", nodes=nodes, layers=tuple(SPECS), parameters=0)
    trace = synthetic_trace(shapes, scheme_named("swat-u", sparsity="0.8"), seed=1, profile=profile, kind=kind)
    found = operands(trace)
    for name in ("left", "right", "head"):
        weight = found[name, "forward", "weight"]
        assert weight.sparsity == Fraction(4, 5)
        assert weight.bits.nonzeros == -(-weight.bits.size // 5)
        assert weight.bits == found[name, "input_grad", "weight"].bits
        natural, selected = found[name, "forward", "input"].bits, found[name, "weight_grad", "input"].bits
        assert selected.nonzeros == -(-selected.size // 5)
        assert within(selected, natural)
        assert found[name, "weight_grad", "output_grad"].bits.packed is None
    assert found["left", "forward", "input"].bits is found["right", "forward", "input"].bits
    assert found["left", "weight_grad", "input"].bits is found["right", "weight_grad", "input"].bits
    assert found["left", "forward", "input"].bits.packed is not None  # a ReLU made it
    assert found["head", "forward", "input"].bits.packed is None  # a mean did
    dense = {key: operand.bits for key, operand in found.items() if key[0] == "first" and key[2] != "output_grad"}
    assert all(bits.packed is None for bits in dense.values())
    # What the ReLU behind it made 0 has no gradient.
    assert found["first", "weight_grad", "output_grad"].bits is found["left", "forward", "input"].bits
    assert trace.manifest.provenance["source"] == "synthetic"
    assert trace.manifest.provenance["statistics of"] == profile.trace_digest


def one_layer(profile, masks, spec=SPECS[1]):
    metadata = TraceMetadata(name="one")
    return synthesise([spec], {spec.name: masks}, seed=0, profile=profile, metadata=metadata).layer(0)


def test_slices_and_filters_are_kept_whole(profile):
    budgets = {("forward", "weight"): Fraction(3, 4)}
    sliced = one_layer(profile, LayerMasks(budgets=budgets, pattern="slice")).passes["forward"].operands["weight"]
    kept = sliced.bits.to_bool().reshape(32 * 16, 9)
    assert (kept.any(axis=1) == kept.all(axis=1)).all()
    assert kept.all(axis=1).sum() == 128
    whole = one_layer(profile, LayerMasks(budgets=budgets, pattern="filter")).passes["forward"].operands["weight"]
    kept = whole.bits.to_bool().reshape(32, -1)
    assert (kept.any(axis=1) == kept.all(axis=1)).all()
    assert kept.all(axis=1).sum() == 8


def test_masks_on_results(profile):
    budgets = {("forward", "weight"): Fraction(3, 4), ("input_grad", "weight"): Fraction(3, 4)}
    active = one_layer(profile, LayerMasks(budgets=budgets, results={"weight_grad": ACTIVE_WEIGHTS}))
    assert active.passes["weight_grad"].result_mask == active.passes["forward"].operands["weight"].bits
    assert active.passes["forward"].result_mask is None
    dropped = {(name, "output_grad"): Fraction(3, 4) for name in ("input_grad", "weight_grad")}
    predicted = one_layer(profile, LayerMasks(budgets=dropped, results={"forward": PREDICTED_OUTPUTS}))
    mask = predicted.passes["forward"].result_mask
    assert mask.nonzeros == mask.size // 4
    assert mask == predicted.passes["weight_grad"].operands["output_grad"].bits
    live = one_layer(
        profile,
        LayerMasks(budgets=budgets, pattern="filter", results={"forward": LIVE_FILTERS, "weight_grad": LIVE_FILTERS}),
    )
    weight = live.passes["forward"].operands["weight"].bits
    assert live.passes["weight_grad"].result_mask == weight
    outputs = live.passes["forward"].result_mask.to_bool()
    assert (outputs == weight.to_bool().any(axis=(1, 2, 3))[:, np.newaxis, np.newaxis]).all()


def test_natural_densities_may_be_given(profile):
    layer = one_layer(profile, LayerMasks(densities={"input": 0.5, "output_grad": 0.4}))
    forward, weight_grad = layer.passes["forward"].operands, layer.passes["weight_grad"].operands
    assert forward["input"].bits.nonzeros == 1024
    assert weight_grad["output_grad"].bits.nonzeros == round(0.4 * 4096)
    assert isinstance(forward["weight"].bits, BitTensor)
    assert isinstance(layer, Layer)
