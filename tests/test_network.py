"""The network between the layers: groups, readers, gradients."""

from __future__ import annotations

import pytest

from swatsim.layer import LayerSpec
from swatsim.network import OUTSIDE, kind_of, mask_bytes, network_of, parameters_of, values_of
from swatsim.trace import GraphNode

SHAPE = (2, 4, 3, 3)


def node(name, op, *inputs, shape=SHAPE):
    return GraphNode(name=name, op=op, inputs=inputs, shape=shape)


def spec(name, **fields):
    return LayerSpec(
        name=name, kind="conv2d", input_shape=SHAPE, weight_shape=(4, 4, 1, 1), output_shape=SHAPE, **fields
    )


def block():
    """A residual block: a - bn1 - relu1 - b - bn2 - add (with what a reads) - relu2."""
    return [
        node("x", "input"), node("stem", "conv2d", "x"), node("start", "relu", "stem"),
        node("a", "conv2d", "start"), node("bn1", "batch_norm", "a"), node("relu1", "relu", "bn1"),
        node("b", "conv2d", "relu1"), node("bn2", "batch_norm", "b"), node("sum", "add", "bn2", "start"),
        node("relu2", "relu", "sum"),
    ]  # fmt: skip


SPECS = [spec("stem", needs_input_grad=False), spec("a"), spec("b")]


def test_a_residual_block():
    network = network_of(SPECS, block())
    groups = {name: [each.name for each in nodes] for name, nodes in network.groups.items()}
    # The first ReLU follows a layer, which leaves its result in memory: it is alone.
    assert groups == {"start": ["start"], "bn1": ["bn1", "relu1"], "bn2": ["bn2"], "sum": ["sum", "relu2"]}
    assert network.readers["start"] == ("a", "sum")
    assert network.readers["bn1"] == ()
    assert network.readers["relu1"] == ("b",)
    assert network.unread == {"relu2"}
    assert network.gradients["relu2"] == (OUTSIDE,)
    assert network.gradients["start"] == ("a", "sum")
    assert network.gradients["b"] == ("bn2",)
    assert network.gradients["x"] == ()
    assert network.learns == {each.name for each in block()} - {"x"}
    assert not network.passes_on("sum")
    assert network.gradient_readers(["bn2", "start"]) == ((), True)
    assert network.gradient_readers(["b"]) == (("b",), False)


def test_an_addition_alone_passes_its_gradient_on():
    graph = [*block()[:-1], node("c", "conv2d", "sum")]
    network = network_of([*SPECS, spec("c")], graph)
    assert network.passes_on("sum")
    assert network.gradient_readers(["sum"]) == ((), True)
    direct = [node("x", "input"), node("a", "conv2d", "x"), node("b", "conv2d", "x"), node("sum", "add", "a", "b")]
    network = network_of([spec("a"), spec("b"), spec("c")], [*direct, node("c", "conv2d", "sum")])
    assert network.gradient_readers(["sum"]) == (("a", "b"), False)
    # The network's input has no gradient.
    shortcut = [node("x", "input"), node("a", "conv2d", "x"), node("sum", "add", "a", "x"), node("c", "conv2d", "sum")]
    network = network_of([spec("a"), spec("c")], shortcut)
    assert network.gradient_readers(["sum"]) == (("a",), False)
    read_twice = network_of(
        [spec("a"), spec("b"), spec("c")], [*direct, node("c", "conv2d", "sum"), node("pool", "max_pool", "sum")]
    )
    assert not read_twice.passes_on("sum")


@pytest.mark.parametrize("op", ["flatten", "other:View", "other:Reshape"])
def test_views_are_looked_through(op):
    graph = [node("x", "input"), node("a", "conv2d", "x"), node("bn", "batch_norm", "a"), node("view", op, "bn")]
    network = network_of([spec("a")], [*graph, node("relu", "relu", "view"), node("twice", "add", "bn", "view")])
    assert "view" not in network.nodes
    assert [each.name for each in network.groups["bn"]] == ["bn", "relu"]
    assert network.nodes["twice"].inputs == ("bn",)
    # What puts two tensors together is no view.
    assert "both" in network_of([spec("a")], [*graph, node("both", op, "bn", "x")]).groups


def test_a_relu_joins_what_is_before_it_only_where_that_is_all_it_reads():
    graph = [
        node("x", "input"),
        node("a", "conv2d", "x"),
        node("bn", "batch_norm", "a"),
        node("odd", "relu", "bn", "x"),
    ]
    network = network_of([spec("a")], graph)
    assert set(network.groups) == {"bn", "odd"}


def test_what_does_not_learn_has_no_backward_pass():
    graph = [node("x", "input"), node("pool", "max_pool", "x"), node("a", "conv2d", "pool"), node("out", "relu", "a")]
    network = network_of([spec("a")], graph)
    assert not network.goes_backward("pool")
    assert network.goes_backward("out")
    # Nor has what only reads a layer without input gradient.
    graph = [node("x", "input"), node("a", "conv2d", "x"), node("relu", "relu", "a"), node("b", "conv2d", "relu")]
    network = network_of([spec("a"), spec("b", needs_input_grad=False)], graph)
    assert not network.goes_backward("relu")
    assert network.gradients["a"] == ()


def test_without_a_graph_layers_stand_alone():
    network = network_of(SPECS, [])
    assert list(network.nodes) == ["stem", "a", "b"]
    assert not network.groups
    assert network.gradients == dict.fromkeys(("stem", "a", "b"), (OUTSIDE,))


def test_kinds():
    assert values_of(node("n", "relu", shape=(2, 3, 5))) == 30
    assert mask_bytes(node("n", "relu", shape=(3, 3))) == 2
    assert mask_bytes(node("n", "max_pool", shape=(3, 3))) == 9
    assert mask_bytes(node("n", "add", shape=(3, 3))) == 0
    assert parameters_of(node("n", "batch_norm", shape=(2, 7, 3, 3))) == 14
    assert parameters_of(node("n", "layer_norm", shape=(2, 7, 5))) == 10
    assert parameters_of(node("n", "conv2d")) == parameters_of(node("n", "relu")) == 0
    assert parameters_of(node("n", "batch_norm", shape=())) == 0
    assert kind_of(node("n", "other:Mystery")).keeps_inputs
    assert not kind_of(node("n", "add")).keeps_inputs
