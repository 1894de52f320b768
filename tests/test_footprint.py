"""What is kept from forward to backward, against bytes counted by hand and by a plain walk of the graph."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import report_rows
import twins_step
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_layers import stored_sizes
from test_step import (
    SHAPE,
    VALUES,
    WHOLE,
    bitmap,
    chain,
    conv,
    encoded_copies,
    machine,
    networks,
    node,
    swat,
    twin_settings,
)

import swatsim
from swatsim.errors import SwatsimError
from swatsim.footprint import Kept, footprint_of
from swatsim.report.step_views import footprint_view


def footprint(layers, graph, architecture, **formats):
    return footprint_of([stored_sizes(layer, architecture, formats) for layer in layers], graph, architecture)


def by_name(found):
    return {kept.name: kept for kept in (*found.layers, *found.between)}


def test_by_hand():
    layers, graph = chain()
    found = by_name(footprint(layers, graph, machine()))
    a, b = layers
    assert found["a"] == Kept(
        name="a", activation_bytes=bitmap(a, "weight_grad", "input", 4), dense_activation_bytes=WHOLE
    )
    assert found["b"] == Kept(
        name="b",
        activation_bytes=bitmap(b, "weight_grad", "input", 4), dense_activation_bytes=WHOLE,
        weight_bytes=bitmap(b, "input_grad", "weight", 4), dense_weight_bytes=32,
    )  # fmt: skip
    # The batch norm keeps a's result, the ReLU a bit for each value.
    between = WHOLE + VALUES // 8
    assert found["bn"] == Kept(name="bn", activation_bytes=between, dense_activation_bytes=between)
    assert set(found) == {"a", "b", "bn"}


def test_totals_and_reductions():
    layers, graph = chain()
    found = footprint(layers, graph, machine())
    for name in ("activation_bytes", "dense_activation_bytes", "weight_bytes", "dense_weight_bytes"):
        sums = [sum(getattr(kept, name) for kept in part) for part in (found.layers, found.between)]
        assert getattr(found.layers_total, name) == sums[0]
        assert getattr(found.between_total, name) == sums[1]
        assert getattr(found.total, name) == sum(sums)
    total = found.total
    assert found.activation_reduction == 1 - total.activation_bytes / total.dense_activation_bytes
    assert found.weight_reduction == 1 - total.weight_bytes / total.dense_weight_bytes
    alone = footprint([conv("a", needs_input_grad=False)], [], machine())
    assert alone.weight_reduction is None


def test_what_several_keep_counts_once():
    kept = np.zeros(SHAPE, np.bool_)
    kept[0] = True
    selected = {"operands": {"weight_grad": {"input": kept}}, "sparsity": {"weight_grad": {"input": "0.5"}}}
    layers = [conv("a"), conv("b"), conv("c"), conv("d", **selected)]
    graph = [node("x", "input"), node("a", "conv2d", "x"), node("relu", "relu", "a")]
    graph += [*(node(name, "conv2d", "relu") for name in "bcd"), node("bn", "batch_norm", "relu")]
    found = by_name(footprint(layers, graph, machine()))
    first, other = (bitmap(layers[number], "weight_grad", "input", 4) for number in (1, 3))
    # c reads b's copy, d one of its own, the batch norm a dense one; the dense machine has one for all.
    assert [found[name].activation_bytes for name in ("b", "c", "d", "bn")] == [first, 0, other, WHOLE]
    assert [found[name].dense_activation_bytes for name in "bcd"] == [WHOLE, 0, 0]
    # A batch norm that is listed without bytes of the dense machine still keeps its own.
    assert found["bn"].dense_activation_bytes == 0


@pytest.mark.parametrize(
    ("formats", "expected"), [({}, {"b": WHOLE}), ({"input": "bitmap"}, {"b": WHOLE + 4 * 2, "bn": WHOLE})]
)
def test_an_input_without_zeros_is_the_copy_that_a_batch_norm_keeps(formats, expected):
    layers = [conv("a"), conv("b", bits={"input": np.ones(SHAPE)})]
    graph = [node("x", "input"), node("a", "conv2d", "x"), node("relu", "relu", "a")]
    graph += [node("b", "conv2d", "relu"), node("bn", "batch_norm", "relu")]
    found = by_name(footprint(layers, graph, machine(), **formats))
    assert {name: kept.activation_bytes for name, kept in found.items() if name in ("b", "bn")} == expected


def test_without_a_graph_only_layers_are_known():
    layers, _ = chain()
    found = footprint(layers, [], machine())
    assert found.between == ()
    assert [kept.dense_activation_bytes for kept in found.layers] == [WHOLE, WHOLE]


def test_stored_dense_nothing_is_saved():
    layers, graph = chain()
    found = footprint(layers, graph, machine(format="dense"))
    assert found.activation_reduction == found.weight_reduction == 0
    assert footprint(layers, graph, machine(format="dense"), weight="bitmap").weight_reduction > 0


@given(networks(), st.sampled_from(["dense", "bitmap", "csr"]))
@settings(max_examples=40)
def test_random_networks(network, format_name):
    """A plain walk: what the backward pass reads of what the forward pass has made, each copy once."""
    architecture = machine(format=format_name)
    options = twin_settings(architecture)
    copies = encoded_copies(network.layers, options)
    specs = [layer.spec for layer in network.layers]
    step = twins_step.Step(specs, copies, network.nodes, options)
    actual, dense, weights, dense_weights = {}, {}, {}, {}
    for spec in specs:
        before, weight = step.inputs[spec.name][0], spec.name.removesuffix(":2")
        if (spec.name, "weight_grad", "input") in copies:
            copy = copies[spec.name, "weight_grad", "input"]
            actual[before, copy.key] = copy.size
            dense[before] = WHOLE
        if (spec.name, "input_grad", "weight") in copies:
            copy = copies[spec.name, "input_grad", "weight"]
            weights[weight, copy.key] = copy.size
            dense_weights[weight] = 2 * math.prod(spec.weight_shape)
    masks = sum(step.masks(name) for head, names in step.members.items() if step._back(head) for name in names)
    for name in step.order:
        if name in step.head and step._back(step.head[name]) and step.ops[name] not in twins_step.KEEPS_NOTHING:
            for before in step.inputs[name]:
                actual[before, "dense"] = dense[before] = WHOLE
    total = footprint(network.layers, network.nodes, architecture).total
    assert total.activation_bytes == sum(actual.values()) + masks
    assert total.dense_activation_bytes == sum(dense.values()) + masks
    assert (total.weight_bytes, total.dense_weight_bytes) == (sum(weights.values()), sum(dense_weights.values()))


def test_it_is_plain_json():
    layers, graph = chain()
    written = json.loads(json.dumps(asdict(footprint(layers, graph, machine())), allow_nan=False))
    assert [kept["name"] for kept in written["layers"]] == ["a", "b"]
    assert set(written) == {"layers", "between", "layers_total", "between_total", "total"}


def test_the_table():
    layers, graph = chain(swat("b", 3))
    found = footprint(layers, graph, machine())
    view = footprint_view(report_rows.report([report_rows.row()], footprint=found))
    assert [cells[0] for cells in (*view.lines, *view.totals)] == ["a", "b", "bn", "layers", "between", "total"]
    assert {len(cells) for cells in (*view.lines, *view.totals)} == {len(view.headings)}
    assert view.lines[2] == ("bn", "102 B", "102 B", "0%", "0 B", "0 B", "-")
    saved = f"{found.activation_reduction:.0%}"
    assert view.totals[2][3] == saved
    assert "23% to 50%" in view.notes[-1] and "50% to 90%" in view.notes[-1]
    assert "between layers" not in view.notes[0]
    alone = footprint_view(report_rows.report([report_rows.row()], footprint=footprint(layers, [], machine())))
    assert "does not say what is kept between layers" in alone.notes[0]


def test_a_report_without_one_is_refused():
    with pytest.raises(SwatsimError, match="footprint: got a report without one, expected"):
        footprint_view(report_rows.report([report_rows.row()]))


def test_the_shipped_trace_saves_what_the_paper_states():
    trace = swatsim.load_trace(Path(__file__).parent.parent / "traces/resnet50")
    architecture = swatsim.load_architecture("dadiannao")
    found = footprint(trace, trace.graph, architecture)
    assert 0.23 <= found.activation_reduction <= 0.50
    assert 0.50 <= found.weight_reduction <= 0.90
