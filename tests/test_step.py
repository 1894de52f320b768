"""The rest of a training step: every row against a twin that carries the step out on a memory of bytes."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import twins_step
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import randoms
from stored_layers import stored_sizes

import swatsim
from swatsim.bits import BitTensor
from swatsim.layer import Layer
from swatsim.passes import STREAMING, call_name, called_layer
from swatsim.step import step_operations, step_order
from swatsim.stored import DENSE_COPY
from swatsim.trace import GraphNode, TraceMetadata, load_trace

TRACES = sorted(path.parent for path in (Path(__file__).parent.parent / "traces").glob("*/manifest.json"))
# Of every tensor between random nodes: anything can be added to anything.
SHAPE = (2, 4, 3, 2)
FLAT = (12, 4)
FULL = np.ones(SHAPE, np.bool_)
NEARLY_FULL = np.arange(math.prod(SHAPE)).reshape(SHAPE) != 5
SGD, MOMENTUM, ADAM = ("sgd", 0), ("SGD(lr=0.1, momentum=0.9)", 1), ("adam", 2)
TENSORS = ("input", "weight", "output")
FORMATS = ("dense", "bitmap", "csr", "csc", "run_length", "zfnaf")


@functools.cache
def machine(**changes):
    chosen = {"format": "bitmap", "window_order": "npq", "select_reads": 2, "state_bytes": 4, **changes}
    return swatsim.load_architecture(
        "dadiannao",
        overrides={
            "memory.dram.format": chosen["format"], "mapping.window_order": chosen["window_order"],
            "streaming.select_reads": chosen["select_reads"], "streaming.state_bytes": chosen["state_bytes"],
        },
    )  # fmt: skip


def twin_settings(architecture, *, formats=None, period=None, states=1):
    return {
        "format": architecture.memory.levels[architecture.memory.outermost].format, "formats": formats or {},
        "window_order": architecture.mapping.window_order, "value_bytes": architecture.datapath.value_bytes,
        "state_bytes": architecture.streaming.state_bytes, "select_reads": architecture.streaming.select_reads,
        "period": period or 1, "states": states,
    }  # fmt: skip


def operands_of(layer):
    """(pass, role) -> (bits, sparsity), as plain arrays."""
    return {
        (pass_name, role): (operand.bits.to_bool(), operand.sparsity)
        for pass_name in layer.spec.passes
        if layer.passes[pass_name].result_mask is None or layer.passes[pass_name].result_mask.to_bool().any()
        for role, operand in layer.passes[pass_name].operands.items()
    }


def encoded_copies(layers, options):
    return {
        (layer.spec.name, pass_name, role): twins_step.encoded(layer, pass_name, role, operand, options)
        for layer in layers
        for (pass_name, role), operand in operands_of(layer).items()
    }


def sides(operations, *, dense):
    """(name, pass) -> what is read and what is written; rows that move nothing left out."""
    found = {}
    for each in operations:
        read, write = (each.dense_read, each.dense_write) if dense else (each.read, each.write)
        if read or write:
            found[each.name, each.pass_name] = {"read": dict(read), "write": dict(write)}
    return found


def plain(rows):
    return {
        key: {side: {name: size for name, size in counts.items() if size} for side, counts in row.items()}
        for key, row in rows.items()
    }


def operations_of(layers, graph, architecture, *, formats=None, period=None, optimizer="sgd, momentum 0.9"):
    metadata = TraceMetadata(name="t", selection_period=period, optimizer=optimizer)
    sizes = [stored_sizes(layer, architecture, formats or {}) for layer in layers]
    return step_operations(sizes, graph, metadata, architecture)


def node(name, op, *inputs, shape=SHAPE):
    return GraphNode(name=name, op=op, inputs=inputs, shape=shape)


def conv(name, *, bits=None, seed=0, **fields):
    """A 1x1 convolution between tensors of SHAPE; `bits` of its input, its weight and its gradient."""
    random = np.random.default_rng(seed)
    given = {
        "input": random.random(SHAPE) < 0.7,
        "weight": random.random((4, 4, 1, 1)) < 0.5,
        "output_grad": NEARLY_FULL,
    }
    return Layer.from_arrays(name, **{**given, **(bits or {})}, **fields)


def frozen(layer):
    """The layer without a weight gradient that anybody needs."""
    mask = BitTensor.from_array(np.zeros(layer.spec.weight_shape))
    unneeded = replace(layer.passes["weight_grad"], result_mask=mask)
    return replace(layer, passes={**layer.passes, "weight_grad": unneeded})


def swat(name, seed=0, **fields):
    """A convolution that selects its weights, and its input for the gradient of the weights."""
    random = np.random.default_rng(seed)
    kept = random.random(SHAPE) < 0.2
    bits = {"input": (random.random(SHAPE) < 0.7) | kept}
    budgets = {"forward": {"weight": "0.8"}, "input_grad": {"weight": "0.8"}, "weight_grad": {"input": "0.8"}}
    if fields.get("needs_input_grad") is False:
        del budgets["input_grad"]
    replaced = {"weight_grad": {"input": kept}}
    return conv(name, bits=bits, seed=seed, operands=replaced, sparsity=budgets, **fields)


# ------------------------------------------------------------------------------------------------ against the twin


class RandomNetwork:
    """A network of random nodes, in which a tensor has the same natural zeros whoever reads it."""

    def __init__(self, draw):
        self.draw, self.random = draw, draw(randoms())
        self.nodes = [node("input", "input")]
        self.layers = []
        self.natural = {"input": FULL.reshape(-1)}
        self.once = {}  # layers that are called once so far: kind, groups, weight
        for number in range(draw(st.integers(1, 9))):
            self._add(f"n{number}")
        if not self.layers:
            self._add("last", "conv2d")

    def _add(self, name, op=None):
        kinds = [
            "conv2d",
            "conv2d",
            "batch_norm",
            "relu",
            "add",
            "max_pool",
            "other:Gelu",
            "linear",
            "conv_transpose2d",
        ]
        op = op or self.draw(st.sampled_from([*kinds, "concatenate", "other:View"]))
        again = [earlier for earlier, (kind, _, _) in self.once.items() if kind == op]
        called = again[0] if again and self.draw(st.booleans()) else None
        name = name if called is None else f"{called}:2"
        before = self.draw(
            st.lists(st.sampled_from(self.nodes), min_size=1, max_size=2 if op in ("add", "concatenate") else 1)
        )
        inputs = [each.name for each in before]
        if op in twins_step.LAYERS:
            self._add_layer(name, op, inputs[0], called)
        shape = FLAT if op == "linear" else SHAPE
        self.nodes.append(node(name, op, *inputs, shape=shape))
        # A view reads through to the node before it.
        self.natural[name] = self.natural[inputs[0]] if op == "other:View" else self._some(0.7)

    def _some(self, density):
        bits = self.random.random(math.prod(SHAPE)) < density
        bits[:2] = True
        return bits

    def _selected(self, natural):
        """Fewer than all that are there, and a budget; or all of them."""
        if not self.draw(st.booleans()):
            return natural, None
        kept = natural & (self.random.random(natural.shape) < 0.4)
        kept.reshape(-1)[0] = False
        return kept, Fraction(1, 2)

    def _weight(self, name, op, called):
        """Groups and weight; those of the layer that is called again."""
        if called is not None:
            return self.once.pop(called)[1:]
        groups = 1 if op == "linear" else self.draw(st.sampled_from([1, 2]))
        density = self.draw(st.sampled_from([0.8, 0.8, 1.0]))
        weight = self.random.random((4, 4) if op == "linear" else (4, 4 // groups, 1, 1)) < density
        weight.reshape(-1)[:2] = True
        self.once[name] = (op, groups, weight)
        return groups, weight

    def _add_layer(self, name, op, before, called):
        shape = FLAT if op == "linear" else SHAPE
        groups, weight = self._weight(name, op, called)
        gradient = self._some(self.draw(st.sampled_from([0.9, 1.0]))).reshape(shape)
        natural = {"input": self.natural[before].reshape(shape), "weight": weight, "output_grad": gradient}
        needs = self.draw(st.integers(0, 3)) > 0
        replaced, budgets = {}, {}
        for role, readers in twins_step.ROLES.items():
            tensor = natural["output_grad" if role == "output" else role]
            choices = [self._selected(tensor) for _ in readers]
            if self.draw(st.booleans()):
                choices[1] = choices[0]
            for (pass_name, own), (bits, budget) in zip(readers, choices, strict=True):
                if pass_name == "input_grad" and not needs:
                    continue
                replaced.setdefault(pass_name, {})[own] = bits
                if budget is not None:
                    budgets.setdefault(pass_name, {})[own] = budget
        layer = Layer.from_arrays(
            name, **natural, kind=op, groups=groups, needs_input_grad=needs, operands=replaced, sparsity=budgets
        )
        self.layers.append(frozen(layer) if self.draw(st.integers(0, 3)) == 0 else layer)


@st.composite
def networks(draw):
    return RandomNetwork(draw)


@given(
    networks(), st.sampled_from(FORMATS), st.dictionaries(st.sampled_from(TENSORS), st.sampled_from(FORMATS)),
    st.sampled_from(["npq", "nqp"]), st.sampled_from([None, 1, 3, 1000]), st.sampled_from([SGD, MOMENTUM, ADAM]),
    st.booleans(),
)  # fmt: skip
@settings(max_examples=80)
def test_rows_are_those_of_the_twin(network, format_name, formats, window_order, period, optimizer, known):
    architecture = machine(format=format_name, window_order=window_order, select_reads=(period or 2) % 4, state_bytes=3)
    graph = network.nodes if known else []
    found = operations_of(
        network.layers, graph, architecture, formats=formats, period=period, optimizer=optimizer[0]
    )  # fmt: skip
    options = twin_settings(architecture, formats=formats, period=period, states=optimizer[1])
    copies = encoded_copies(network.layers, options)
    specs = [layer.spec for layer in network.layers]
    for dense in (False, True):
        twin = twins_step.Step(specs, copies, graph, options, dense=dense)
        assert sides(found, dense=dense) == plain(twin.rows)
    check_order(specs, graph, found)


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.name)
def test_shipped_traces_conserve(path):
    """Each copy that a pass reads is written by one row, and no row reads what is not there: the twin would raise."""
    trace = load_trace(path)
    architecture = swatsim.load_architecture("dadiannao")
    sizes = [stored_sizes(layer, architecture, {}) for layer in trace]
    found = step_operations(sizes, trace.graph, trace.manifest, architecture)
    copies = {
        (each.spec.name, *reader): twins_step.Copy(
            each.spec.name, "dense" if copy.key == DENSE_COPY else copy.key, copy.stored_bytes, copy.values, copy.bits,
            bool(copy.sparsity),
        )
        for each in sizes
        for reader, copy in each.copies.items()
    }  # fmt: skip
    options = twin_settings(architecture, period=trace.manifest.selection_period)
    for dense in (False, True):
        twin = twins_step.Step(trace.specs, copies, trace.graph, options, dense=dense)
        assert sides(found, dense=dense) == plain(twin.rows)
    check_order(trace.specs, trace.graph, found)


def check_order(specs, graph, operations):
    """Everything is in the order once; what is made stands before what reads it."""
    order = step_order(specs, graph, operations)
    keys = [(each.name, each.pass_name) for each in operations]
    passes = [(spec.name, pass_name) for spec in specs for pass_name in spec.passes]
    assert sorted(order) == sorted([*keys, *passes])
    assert len(set(order)) == len(order)
    assert [key for key in order if key[1] in STREAMING] == keys
    place = {key: number for number, key in enumerate(order)}
    for before, after in needed_order(specs, graph):
        if before in place and after in place:
            assert place[before] < place[after], (before, after)


def needed_order(specs, graph):
    for spec in specs:
        name = spec.name
        for kind in ("select", "reorder"):
            for pass_name in ("forward", "weight_grad"):
                yield (f"{name}:input", kind), (name, pass_name)
            for pass_name in ("input_grad", "weight_grad"):
                yield (f"{name}:output", kind), (name, pass_name)
        yield (name, "elementwise_backward"), (f"{name}:output", "reorder")
        yield (f"{name}:output", "select"), (f"{name}:output", "reorder")
        yield (f"{name}:input", "select"), (f"{name}:input", "reorder")
        yield (name, "weight_grad"), (name, "update")
        yield (name, "update"), (f"{name}:weight", "reorder")
    for each in graph:
        for before in each.inputs:
            for made in ("forward", "elementwise_forward"):
                for reader in ("forward", "elementwise_forward"):
                    yield (before, made), (each.name, reader)
                yield (before, made), (f"{each.name}:input", "reorder")
            for made in ("input_grad", "elementwise_backward"):
                for reader in ("weight_grad", "elementwise_backward"):
                    yield (each.name, made), (before, reader)


# ------------------------------------------------------------------------------------------------- by hand

VALUES = math.prod(SHAPE)  # 48
WHOLE = 2 * VALUES
# A gradient with one zero as a bitmap: 6 image lines of 8 values, or 4 channels of 12.
LINES, CHANNELS = WHOLE - 2 + 6, WHOLE - 2 + 4 * 2


def chain(second=None):
    """conv - batch norm - ReLU - conv, both trained with SWAT."""
    layers = [swat("a", 1, needs_input_grad=False), second or swat("b", 2)]
    graph = [node("x", "input"), node("a", "conv2d", "x"), node("bn", "batch_norm", "a"), node("relu", "relu", "bn")]
    return layers, [*graph, node("b", "conv2d", "relu")]


def rows_of(*arguments, dense=False, **options):
    return sides(operations_of(*arguments, **options), dense=dense)


def bitmap(layer, pass_name, role, pieces):
    """Bytes of an operand in so many pieces."""
    operand = layer.passes[pass_name].operands[role].bits
    return 2 * operand.nonzeros + pieces * math.ceil(operand.size / pieces / 8)


def test_a_convolution_a_batch_norm_a_relu_and_a_convolution():
    layers, graph = chain()
    rows = rows_of(layers, graph, machine(), period=10)
    b = layers[1]
    # Image lines of 2 positions and 4 channels; channels of 6 rows of 2.
    first, second = bitmap(b, "forward", "input", 6), bitmap(b, "weight_grad", "input", 4)
    assert rows["bn", "elementwise_forward"] == {
        "read": {"input": WHOLE, "weight": 16}, "write": {"output": first, "state": VALUES // 8},
    }  # fmt: skip
    assert rows["b:input", "select"] == {"read": {"input": math.ceil(2 * first / 10)}, "write": {}}
    assert rows["b:input", "reorder"] == {"read": {"input": first}, "write": {"input": second}}
    # a has no input gradient: its gradient is read once, by channels.
    assert rows["bn", "elementwise_backward"] == {
        "read": {"output": 2 * WHOLE, "input": 2 * WHOLE, "state": 2 * VALUES // 8, "weight": 16},
        "write": {"input": CHANNELS, "weight": 16},
    }  # fmt: skip
    # The loss leaves b's gradient dense, which with its one zero is the smallest.
    assert rows["b:output", "reorder"] == {"read": {"output": 2 * WHOLE}, "write": {"output": LINES + CHANNELS}}
    kept = bitmap(b, "forward", "weight", 4)
    assert rows["b", "update"] == {"read": {"weight": 32, "state": 128}, "write": {"weight": kept, "state": 128}}
    assert rows["b:weight", "reorder"] == {"read": {"weight": kept}, "write": {"weight": kept}}
    assert rows["b:weight", "select"] == {"read": {"weight": math.ceil(2 * 16 * 4 / 10)}, "write": {}}
    assert rows["bn", "update"] == {"read": {"weight": 16, "state": 64}, "write": {"weight": 16, "state": 64}}
    assert ("a:output", "reorder") not in rows
    assert ("a:weight", "reorder") not in rows


def test_the_dense_machine_has_one_copy_and_no_selection():
    layers, graph = chain()
    rows = rows_of(layers, graph, machine(), dense=True)
    assert {kind for _, kind in rows} == {"elementwise_forward", "elementwise_backward", "update"}
    assert rows["bn", "elementwise_forward"]["write"]["output"] == WHOLE
    assert rows["bn", "elementwise_backward"]["write"]["input"] == WHOLE
    assert rows["b", "update"]["write"]["weight"] == 32


def test_stored_dense_there_is_no_second_copy_but_a_selection():
    layers, graph = chain()
    rows = rows_of(layers, graph, machine(format="dense"), period=10)
    dense = rows_of(layers, graph, machine(format="dense"), dense=True)
    assert {key: row for key, row in rows.items() if key[1] != "select"} == dense
    assert rows["b:input", "select"]["read"] == {"input": math.ceil(2 * WHOLE / 10)}


def test_a_second_copy_costs_what_its_format_makes_necessary():
    layers, graph = chain()
    found = operations_of(layers, graph, machine(format="dense"), formats={"weight": "bitmap"})
    assert {each.name for each in found if each.pass_name == "reorder"} == {"b:weight"}


def test_two_readers_share_a_tensor_and_its_copies():
    kept = np.zeros(SHAPE, np.bool_)
    kept[0] = True
    options = {"operands": {"weight_grad": {"input": kept}}, "sparsity": {"weight_grad": {"input": "0.5"}}}
    layers = [conv("a"), conv("b", **options), conv("c", **options), conv("d", groups=1)]
    graph = [node("x", "input"), node("a", "conv2d", "x"), node("relu", "relu", "a")]
    graph += [node(name, "conv2d", "relu") for name in "bcd"]
    rows = rows_of(layers, graph, machine())
    first = bitmap(layers[1], "forward", "input", 6)
    assert rows["relu", "elementwise_forward"]["write"]["output"] == first
    # b and c read the same selection, d all of it: two copies besides the first.
    assert rows["b:input", "reorder"]["write"] == {"input": bitmap(layers[1], "weight_grad", "input", 4)}
    assert ("c:input", "reorder") not in rows
    assert rows["d:input", "reorder"]["write"] == {"input": bitmap(layers[3], "weight_grad", "input", 4)}
    assert ("c:input", "select") not in rows
    # Three gradients arrive and are added up on the way through the ReLU.
    assert rows["relu", "elementwise_backward"]["read"]["output"] == 3 * WHOLE


def test_the_gradient_of_an_addition_is_that_of_its_inputs():
    layers = [conv("a"), conv("b"), conv("c")]
    graph = [node("x", "input"), node("a", "conv2d", "x"), node("b", "conv2d", "x"), node("add", "add", "a", "b")]
    rows = rows_of(layers, [*graph, node("c", "conv2d", "add")], machine())
    assert rows["add", "elementwise_forward"]["read"] == {"input": 2 * WHOLE}
    assert ("add", "elementwise_backward") not in rows
    # c's input gradient lies dense; a and b read the same copies, which are made once, for b: it comes first backward.
    assert rows["b:output", "reorder"]["write"] == {"output": LINES + CHANNELS}
    assert ("a:output", "reorder") not in rows


def test_one_layer_may_read_first_what_another_reads_later():
    layers = [conv("a", needs_input_grad=False), conv("b"), conv("c")]
    graph = [node("x", "input"), node("a", "conv2d", "x"), node("b", "conv2d", "x"), node("add", "add", "a", "b")]
    found = operations_of(layers, [*graph, node("c", "conv2d", "add")], machine())
    # b, which comes first backward, reads its gradient by lines and by channels; a the same channels alone.
    written = {each.name: each.write for each in found if each.pass_name == "reorder" and "output" in each.write}
    assert written["b:output"] == {"output": LINES + CHANNELS}
    assert "a:output" not in written


def test_a_layer_with_two_gradients_adds_them_up():
    layers = [conv("a"), conv("b"), conv("c")]
    graph = [node("x", "input"), node("a", "conv2d", "x"), node("b", "conv2d", "a"), node("c", "conv2d", "a")]
    rows = rows_of(layers, graph, machine())
    assert rows["a", "elementwise_backward"] == {"read": {"output": 2 * WHOLE}, "write": {"output": LINES}}
    # a's result lies dense, and b and c read the same copies of it.
    assert rows["b:input", "reorder"]["write"]
    assert ("c:input", "reorder") not in rows


def test_a_frozen_layer_is_neither_updated_nor_selected_for_nor_given_a_gradient_that_nobody_reads():
    layers = [frozen(swat("a", needs_input_grad=False)), swat("b", seed=1), frozen(swat("c", seed=2))]
    graph = [
        node("x", "input"), node("a", "conv2d", "x"), node("one", "batch_norm", "a"), node("two", "batch_norm", "a"),
        node("sum", "add", "one", "two"), node("b", "conv2d", "sum"), node("c", "conv2d", "b"),
    ]  # fmt: skip
    rows = rows_of(layers, graph, machine())
    assert {name for name, pass_name in rows if pass_name == "update"} == {"one", "two", "b"}
    assert {name for name, pass_name in rows if pass_name == "select"} == {"b:weight", "b:input"}
    assert ("a", "elementwise_backward") not in rows  # two gradients come to it, and it needs none
    # The batch norms use their gradient for their own parameters, and give none on.
    assert "input" not in rows["one", "elementwise_backward"]["write"]
    assert ("a:output", "reorder") not in rows


@pytest.mark.parametrize("layer", ["a", "block.0", "a:1", "a:02", "a:2b", ":2"])
def test_later_calls_have_names_of_their_own(layer):
    assert [call_name(layer, number) for number in (1, 2, 13)] == [layer, f"{layer}:2", f"{layer}:13"]
    assert [called_layer(call_name(layer, number)) for number in (1, 2, 13)] == [layer] * 3


def test_two_calls_of_a_layer_are_one_update():
    layers = [conv("a"), conv("a:2")]
    graph = [node("x", "input"), node("a", "conv2d", "x"), node("r", "relu", "a"), node("a:2", "conv2d", "r")]
    rows = rows_of(layers, graph, machine(), optimizer="sgd")
    assert {key for key in rows if key[1] == "update"} == {("a", "update")}
    weight = layers[0].spec.weight_shape
    update, values = rows["a", "update"], math.prod(weight)
    assert update["read"]["weight"] == 2 * 2 * values  # both gradients
    assert update["read"]["state"] == update["write"]["state"] == values * machine().streaming.state_bytes
    assert update["write"]["weight"] == bitmap(layers[0], "forward", "weight", 4)
    # Of another shape, it is another layer, whatever its name.
    other = Layer.from_arrays("a:2", input=FULL, weight=np.ones((4, 4, 3, 3)), output_grad=FULL, padding=1)
    assert ("a:2", "update") in rows_of([conv("a"), other], graph, machine())


def twin_rows(layers, graph, architecture, **options):
    settings = twin_settings(architecture, **options)
    specs = [layer.spec for layer in layers]
    return plain(twins_step.Step(specs, encoded_copies(layers, settings), graph, settings).rows)


@pytest.mark.parametrize(
    ("formats", "first", "second"), [({}, WHOLE, None), ({"output": "bitmap"}, WHOLE + 6, WHOLE + 8)]
)
def test_a_gradient_without_zeros_is_one_dense_copy_unless_a_format_is_asked_for(formats, first, second):
    graph = [node("x", "input"), node("a", "conv2d", "x"), node("relu", "relu", "a"), node("b", "conv2d", "relu")]
    layers = [conv("a", bits={"output_grad": FULL}), conv("b", bits={"output_grad": FULL})]
    for rows in (rows_of(layers, graph, machine(), formats=formats),
                 twin_rows(layers, graph, machine(), formats=formats, states=1)):  # fmt: skip
        # The ReLU makes a's gradient, the loss leaves b's dense.
        assert rows["relu", "elementwise_backward"]["write"] == {"input": first}
        reorders = {name: row for (name, kind), row in rows.items() if kind == "reorder" and name.endswith(":output")}
        assert reorders == ({} if second is None else {
            "a:output": {"read": {"output": first}, "write": {"output": second}},
            "b:output": {"read": {"output": 2 * WHOLE}, "write": {"output": first + second}},
        })  # fmt: skip


@pytest.mark.parametrize("selected_first", [True, False])
def test_a_dense_copy_is_written_with_the_first_whichever_pass_reads_it(selected_first):
    """One pass reads a selection of a tensor without zeros, the other one all of it, in place."""
    kept = np.arange(VALUES).reshape(SHAPE) % 4 == 0
    name = "forward" if selected_first else "weight_grad"
    selection = {"operands": {name: {"input": kept}}, "sparsity": {name: {"input": "0.75"}}}
    layers = [conv("a"), conv("b", bits={"input": FULL}, **selection)]
    graph = [node("x", "input"), node("a", "conv2d", "x"), node("relu", "relu", "a"), node("b", "conv2d", "relu")]
    packed = 2 * VALUES // 4 + (6 if selected_first else 4 * 2)
    for rows in (rows_of(layers, graph, machine()), twin_rows(layers, graph, machine(), states=1)):
        made = rows["relu", "elementwise_forward"]["write"]["output"]
        reordered = rows.get(("b:input", "reorder"))
        if selected_first:
            assert (made, reordered) == (packed + WHOLE, None)
        else:
            assert (made, reordered) == (WHOLE, {"read": {"input": WHOLE}, "write": {"input": packed}})
        assert rows["b:input", "select"] == {"read": {"input": 2 * WHOLE}, "write": {}}


def test_without_a_graph_layers_stand_alone():
    layers, _ = chain()
    rows = rows_of(layers, [], machine())
    assert {kind for _, kind in rows} == {"select", "reorder", "update"}
    first = bitmap(layers[1], "forward", "input", 6)
    assert rows["b:input", "reorder"] == {
        "read": {"input": first}, "write": {"input": bitmap(layers[1], "weight_grad", "input", 4)},
    }  # fmt: skip


def test_where_nothing_whole_is_stored_the_search_has_it_written():
    kept = np.zeros(SHAPE, np.bool_)
    kept[0] = True
    budgets = {name: {"output_grad": "0.5"} for name in ("input_grad", "weight_grad")}
    layers = [conv("a", bits={"output_grad": kept}, sparsity=budgets)]
    graph = [node("x", "input"), node("a", "conv2d", "x"), node("relu", "relu", "a")]
    rows = rows_of(layers, graph, machine(), period=7)
    assert rows["a:output", "select"] == {
        "read": {"output": math.ceil(2 * WHOLE / 7)}, "write": {"output": math.ceil(WHOLE / 7)},
    }  # fmt: skip
    # The selected values are enough for the other copy of them.
    written = rows["relu", "elementwise_backward"]["write"]["input"]
    assert written == bitmap(layers[0], "input_grad", "output_grad", 6)
    assert rows["a:output", "reorder"]["read"] == {"output": written}


@pytest.mark.parametrize("period", [None, 1, 2, 10, 1000, 10**6])
def test_selection_is_shared_out_over_its_period(period):
    layers, graph = chain()
    found = {(each.name, each.pass_name): each for each in operations_of(layers, graph, machine(), period=period)}
    each = found["b:weight", "select"]
    assert each.read == {"weight": -(-2 * 64 // (period or 1))}
    assert each.values == -(-2 * 16 // (period or 1))
    assert each.dense_values == 0


def test_no_reads_to_select_are_no_selection():
    layers, graph = chain()
    assert not [each for each in operations_of(layers, graph, machine(select_reads=0)) if each.pass_name == "select"]


def test_a_batch_norm_on_the_input_of_the_network_takes_its_statistics_itself():
    graph = [node("x", "input"), node("bn", "batch_norm", "x"), node("a", "conv2d", "bn")]
    rows = rows_of([conv("a")], graph, machine())
    assert rows["bn", "elementwise_forward"]["read"]["input"] == 2 * WHOLE
    # It passes no gradient on, and its own sums take one reading.
    assert rows["bn", "elementwise_backward"] == {
        "read": {"output": WHOLE, "input": WHOLE, "weight": 16}, "write": {"weight": 16},
    }  # fmt: skip


def test_values_count_once_however_many_copies():
    layers, graph = chain()
    found = {(each.name, each.pass_name): each for each in operations_of(layers, graph, machine())}
    assert found["bn", "elementwise_forward"].values == VALUES
    assert found["bn", "elementwise_backward"].values == 4 * VALUES
    # A packed copy for a layer and a dense one for a pooling.
    also = [*graph, node("pool", "max_pool", "relu")]
    also = {(each.name, each.pass_name): each for each in operations_of(layers, also, machine())}
    assert also["bn", "elementwise_forward"].write["output"] > WHOLE + VALUES // 8
    assert also["bn", "elementwise_forward"].values == VALUES
    assert found["b", "update"].values == found["b", "update"].dense_values == 16
    assert found["b:output", "reorder"].values == 2 * VALUES  # two copies, one after the other
    assert found["bn", "elementwise_forward"].nodes == ("bn", "relu")
    assert found["b:output", "reorder"].nodes == ("b",)
