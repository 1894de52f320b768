"""The rest of a training step: selection, batch norms, ReLUs, copies and updates (docs/training_step.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from swatsim.architecture import Architecture
from swatsim.layer import LayerSpec
from swatsim.network import OUTSIDE, Network, is_layer, kind_of, mask_bytes, network_of, parameters_of, values_of
from swatsim.optimizer import optimizer_state
from swatsim.passes import PASSES
from swatsim.stored import StoredSizes, by_weight
from swatsim.storing import Machine, Store, Tensor, stream_name
from swatsim.streaming import Flow, StreamOperation
from swatsim.trace import GraphNode, TraceMetadata

PassKey = tuple[str, str]  # name and pass name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What the operations are made from."""

    network: Network
    store: Store
    value_bytes: int
    position: Mapping[str, int]  # of each node, in order

    def flow(self, group: str, pass_name: str) -> Flow:
        """The operation of a group, of a layer's gradient or of an update."""
        nodes = self.network.groups.get(group, (self.network.nodes[group],))
        return self.store.flow(group, pass_name, tuple(node.name for node in nodes))

    def layers(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the names that are layers."""
        return tuple(name for name in names if name in self.store.sizes)

    def gradient(self, nodes: Sequence[str], values: int) -> Tensor:
        """The gradient of the results of nodes; what is last in the forward pass reads it first."""
        layers, streamed = self.network.gradient_readers(nodes)
        ordered = sorted(layers, key=self.position.__getitem__, reverse=True)
        return Tensor(role="output", layers=tuple(ordered), values=values, streamed=streamed)


def step_operations(
    sizes: Sequence[StoredSizes], graph: Sequence[GraphNode], metadata: TraceMetadata, architecture: Architecture
) -> tuple[StreamOperation, ...]:
    """List what a training step streams beside the passes of its layers, in the order of `step_order`.

    `sizes` are those of all layers of the graph. Without a graph only the layers' own work is listed: selection,
    second copies and updates.
    """
    specs = [each.spec for each in sizes]
    network = network_of(specs, graph, {each.spec.name: each.computed for each in sizes})
    machine = Machine(
        value_bytes=architecture.datapath.value_bytes, state_bytes=architecture.streaming.state_bytes,
        select_reads=architecture.streaming.select_reads, selection_period=metadata.selection_period or 1,
    )  # fmt: skip
    store = Store(sizes={each.spec.name: each for each in sizes}, machine=machine, flows={})
    step = _Step(
        network=network, store=store, value_bytes=machine.value_bytes,
        position={name: place for place, name in enumerate(network.nodes)},
    )  # fmt: skip
    for name, node in network.nodes.items():
        if name in network.groups:
            _forward(step, name)
            if network.goes_backward(name) and not network.passes_on(name):
                _backward(step, name)
        _resting_result(step, node, known=bool(graph))
        _resting_gradient(step, node, known=bool(graph))
    _updates(step, (1 + optimizer_state(metadata.optimizer).tensors) * machine.state_bytes)
    found = {key: operation for key, flow in store.flows.items() if (operation := flow.operation()) is not None}
    return tuple(found[key] for key in _order(specs, network, found) if key in found)


def step_order(
    specs: Sequence[LayerSpec], graph: Sequence[GraphNode], operations: Sequence[StreamOperation]
) -> tuple[PassKey, ...]:
    """Name and pass of all of a training step's work, in an order in which it can be carried out."""
    return _order(specs, network_of(specs, graph), [(each.name, each.pass_name) for each in operations])


def _order(specs: Sequence[LayerSpec], network: Network, streamed: Iterable[PassKey]) -> tuple[PassKey, ...]:
    there = {*streamed, *((spec.name, pass_name) for spec in specs for pass_name in spec.passes)}
    order: list[PassKey] = []
    for name in network.nodes:
        order += [(stream_name(name, "input"), kind) for kind in ("select", "reorder")]
        order += [(name, "forward"), (name, "elementwise_forward")]
    for name in reversed(list(network.nodes)):
        order.append((name, "elementwise_backward"))
        order += [(stream_name(name, "output"), kind) for kind in ("select", "reorder")]
        order += [(name, pass_name) for pass_name in reversed(PASSES[1:])]
    for name in network.nodes:
        weight = stream_name(name, "weight")
        order += [(weight, "select"), (name, "update"), (weight, "reorder")]
    return tuple(key for key in order if key in there)


def _forward(step: _Step, group: str) -> None:
    """Read a group's inputs once, write what others read of its results, and what its backward pass needs."""
    network = step.network
    nodes = network.groups[group]
    flow = step.flow(group, "elementwise_forward")
    for name in nodes[0].inputs:
        before = network.nodes[name]
        # Statistics add up while a node's result is stored; those of the network's input nobody has taken.
        readings = 2 if nodes[0].op == "batch_norm" and before.op == "input" else 1
        flow.add("read", "input", readings * values_of(before), readings * values_of(before) * step.value_bytes)
    for node in nodes:
        flow.add("read", "weight", 0, parameters_of(node) * step.value_bytes)
        readers = network.readers[node.name]
        layers = step.layers(readers)
        streamed = len(layers) < len(readers) or node.name in network.unread
        step.store.write(flow, "output", Tensor(role="input", layers=layers, values=values_of(node), streamed=streamed))
        if network.goes_backward(group):
            flow.add("write", "state", 0, mask_bytes(node))


def _backward(step: _Step, group: str) -> None:
    """Turn the gradients of a group's results into those of its inputs, and of its parameters."""
    network = step.network
    nodes = network.groups[group]
    head = nodes[0]
    flow = step.flow(group, "elementwise_backward")
    learning = [name for name in head.inputs if name in network.learns]
    gradients = [values_of(node) for node, _ in network.gradients_of(group)]
    # A batch norm needs sums over all of the gradient before it can give the first value on.
    twice = head.op == "batch_norm" and bool(learning)
    readings = 2 if twice and len(gradients) == 1 else 1
    if twice and len(gradients) > 1:
        for direction in ("write", "read"):
            flow.add(direction, "output", values_of(head), values_of(head) * step.value_bytes)
    for values in gradients:
        flow.add("read", "output", readings * values, readings * values * step.value_bytes)
    for node in nodes:
        flow.add("read", "state", 0, readings * mask_bytes(node))
        for direction in ("read", "write"):
            flow.add(direction, "weight", 0, parameters_of(node) * step.value_bytes)
        for name in node.inputs if kind_of(node).keeps_inputs else ():
            kept = (2 if twice else 1) * values_of(network.nodes[name])
            flow.add("read", "input", kept, kept * step.value_bytes)
    # An addition gives the same gradient to all of its inputs.
    shared = [learning] if head.op == "add" and learning else [[name] for name in learning]
    for names in shared:
        values = values_of(head if head.op == "add" else network.nodes[names[0]])
        step.store.write(flow, "input", step.gradient(names, values))


def _resting_result(step: _Step, node: GraphNode, *, known: bool) -> None:
    """Copy what a layer, or the outside, has left dense in memory for the layers that read it."""
    if is_layer(node) or node.op == "input":
        layers = step.layers(step.network.readers[node.name])
        step.store.convert(Tensor(role="input", layers=layers, values=values_of(node), streamed=True))
    if is_layer(node) and not node.inputs:
        values = step.store.sizes[node.name].values_of("input")
        outside = Tensor(role="input", layers=(node.name,), values=values, streamed=known)
        step.store.convert(outside, known=known)


def _resting_gradient(step: _Step, node: GraphNode, *, known: bool) -> None:
    """Add up a layer's gradients if there are several; copy one that a layer, or the outside, has left dense."""
    if node.name not in step.network.learns:
        return  # nobody reads it
    makers = step.network.gradients[node.name]
    values = values_of(node)
    if len(makers) > 1 and is_layer(node):
        flow = step.flow(node.name, "elementwise_backward")
        flow.add("read", "output", len(makers) * values, len(makers) * values * step.value_bytes)
        alone = Tensor(role="output", layers=(node.name,), values=values, streamed=False)
        step.store.write(flow, "output", alone)
    elif not makers and is_layer(node):
        # The graph does not say where it comes from, but the layer has one.
        step.store.convert(Tensor(role="output", layers=(node.name,), values=values, streamed=True))
    elif len(makers) == 1 and (makers[0] == OUTSIDE or makers[0] in step.store.sizes):
        step.store.convert(step.gradient([node.name], values), known=known)


def _updates(step: _Step, bytes_per_weight: int) -> None:
    """Read gradients, read and write master weights and the optimizer's state, write the weights that are used."""
    store = step.store
    learned: dict[str, Tensor] = {}
    gradients: Counter[str] = Counter()
    for layers in by_weight(store.sizes):
        values = store.sizes[layers[0]].values_of("weight")
        gradients[layers[0]] = sum("weight_grad" in store.sizes[name].computed for name in layers)
        learned[layers[0]] = Tensor(role="weight", layers=layers, values=values, streamed=False)
    for group in filter(step.network.goes_backward, step.network.groups):
        for node in step.network.groups[group]:
            gradients[node.name] = 1
            learned[node.name] = Tensor(role="weight", layers=(), values=parameters_of(node), streamed=True)
    for name, weight in learned.items():
        if not gradients[name]:
            continue  # frozen: it stays as it is, in all of its copies
        flow = store.flow(name, "update", (name,))
        flow.add("read", "weight", gradients[name] * weight.values, gradients[name] * weight.values * step.value_bytes)
        for direction in ("read", "write"):
            flow.add(direction, "state", 0, weight.values * bytes_per_weight)
        store.write(flow, "weight", weight)
