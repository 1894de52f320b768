"""The network between the layers: what streams together, who reads what, and where gradients come from."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from swatsim.layer import KINDS, LayerSpec
from swatsim.trace import GraphNode

# The source of a gradient that no node of the graph makes: the loss.
OUTSIDE = ""
# Nothing is moved in these: what reads them reads their input.
_VIEWS = {"flatten", "other:View", "other:UnsafeView", "other:Reshape", "other:ReshapeAlias"}
_VIEWS |= {"other:Squeeze", "other:Unsqueeze"}


class Kind(NamedTuple):
    """What a kind of node keeps for its backward pass, and whether it joins the node before it."""

    keeps_inputs: bool = False
    mask_bits: int = 0  # kept for each value of the result
    fuses: bool = False
    parameters: int = 0  # for each channel


_MASKED = Kind(mask_bits=1, fuses=True)
_COPYING = Kind()
_KINDS = {
    "batch_norm": Kind(keeps_inputs=True, parameters=2),
    "layer_norm": Kind(keeps_inputs=True, parameters=2),
    "relu": _MASKED,
    "dropout": _MASKED,
    "other:NativeDropout": _MASKED,
    "other:Hardtanh": _MASKED,
    "other:LeakyRelu": _MASKED,
    "other:Threshold": _MASKED,
    "max_pool": Kind(mask_bits=8),  # which value of its window it took
    "avg_pool": _COPYING,
    "add": _COPYING,
    "concatenate": _COPYING,
    "other:Cat": _COPYING,
}


def kind_of(node: GraphNode) -> Kind:
    """What is known of a node's operation; of an unknown one, that it is elementwise and needs its inputs again."""
    return _KINDS.get(node.op, Kind(keeps_inputs=True))


def is_layer(node: GraphNode) -> bool:
    """Whether a node is one of the trace's layers."""
    return node.op in KINDS


def values_of(node: GraphNode) -> int:
    """Values of a node's result."""
    return math.prod(node.shape)


def mask_bytes(node: GraphNode) -> int:
    """Bytes of masks and indices that a node keeps for its backward pass."""
    return -(-values_of(node) * kind_of(node).mask_bits // 8)


def parameters_of(node: GraphNode) -> int:
    """Parameters that a node learns; those of a layer are its weight, which is counted elsewhere."""
    channel = -1 if node.op == "layer_norm" or len(node.shape) < 2 else 1
    each = kind_of(node).parameters
    return each * node.shape[channel] if each and node.shape else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The nodes of a graph without its views, and the groups in which they stream.

    A group is a node between the layers and the nodes that are fused with it; it goes by the name of the first.
    """

    nodes: Mapping[str, GraphNode]  # in order; each with its different inputs, none of them a view
    groups: Mapping[str, tuple[GraphNode, ...]]  # by name, the first node first
    readers: Mapping[str, tuple[str, ...]]  # of each node's result: layers, and groups other than its own
    unread: frozenset[str]  # nodes whose result nothing reads, in its own group or elsewhere
    learns: frozenset[str]  # nodes whose result depends on a parameter that is trained
    gradients: Mapping[str, tuple[str, ...]]  # makers of the gradients of each node's result, its own group left out

    def gradients_of(self, group: str) -> list[tuple[GraphNode, str]]:
        """The gradients that come to a group: for which of its nodes, and from whom."""
        return [(node, maker) for node in self.groups[group] for maker in self.gradients[node.name]]

    def goes_backward(self, group: str) -> bool:
        """Whether a group has a gradient to pass on or to use."""
        return group in self.learns and bool(self.gradients_of(group))

    def passes_on(self, group: str) -> bool:
        """Whether the gradients of a group's inputs are the gradient of its result: an addition's that is alone."""
        nodes = self.groups[group]
        return nodes[0].op == "add" and len(nodes) == 1 and len(self.gradients[group]) == 1

    def gradient_readers(self, nodes: Sequence[str]) -> tuple[tuple[str, ...], bool]:
        """Layers that multiply one gradient which belongs to the results of `nodes`; whether anything else reads it."""
        layers: dict[str, None] = {}
        streamed = False
        pending = list(reversed(nodes))
        while pending:
            node = pending.pop()
            if node not in self.learns:
                continue
            if is_layer(self.nodes[node]) and len(self.gradients[node]) == 1:
                layers[node] = None
            elif node in self.groups and self.passes_on(node):
                pending += reversed(self.nodes[node].inputs)
            else:
                streamed = True
        return tuple(layers), streamed


def network_of(
    specs: Sequence[LayerSpec], graph: Sequence[GraphNode], computed: Mapping[str, Collection[str]] | None = None
) -> Network:
    """Read a trace's graph; without one, the layers stand alone: their tensors come from outside.

    `computed` gives the passes that are computed by layer; without it, all that the specs have.
    """
    passes = computed or {spec.name: spec.passes for spec in specs}
    nodes = {node.name: node for node in _without_views(graph or _alone(specs))}
    head_of: dict[str, str] = {}
    groups: dict[str, list[GraphNode]] = {}
    for name, node in nodes.items():
        if is_layer(node) or node.op == "input":
            continue
        before = node.inputs[0] if len(node.inputs) == 1 else None
        head_of[name] = head_of[before] if kind_of(node).fuses and before in head_of else name
        groups.setdefault(head_of[name], []).append(node)
    read: dict[str, dict[str, None]] = {name: {} for name in nodes}
    for name, node in nodes.items():
        for before in node.inputs:
            read[before][head_of.get(name, name)] = None
    unread = frozenset(name for name, found in read.items() if not found)
    readers = {name: tuple(reader for reader in found if reader != head_of.get(name)) for name, found in read.items()}
    network = Network(
        nodes=nodes, groups={name: tuple(group) for name, group in groups.items()}, readers=readers, unread=unread,
        learns=_learning(nodes, passes), gradients={},
    )  # fmt: skip
    return replace(network, gradients=_gradients(network, passes))


def _alone(specs: Sequence[LayerSpec]) -> Iterator[GraphNode]:
    return (GraphNode(name=spec.name, op=spec.kind, shape=spec.output_shape) for spec in specs)


def _without_views(graph: Sequence[GraphNode] | Iterator[GraphNode]) -> Iterator[GraphNode]:
    stands_for: dict[str, str] = {}
    for node in graph:
        inputs = tuple(dict.fromkeys(stands_for[name] for name in node.inputs))
        view = node.op in _VIEWS and len(inputs) == 1
        stands_for[node.name] = inputs[0] if view else node.name
        if not view:
            yield replace(node, inputs=inputs)


def _learning(nodes: Mapping[str, GraphNode], passes: Mapping[str, Collection[str]]) -> frozenset[str]:
    learns: set[str] = set()
    for name, node in nodes.items():
        # A layer whose weight is frozen learns nothing, and has a gradient only to pass it on.
        if is_layer(node):
            found = "weight_grad" in passes[name] or "input_grad" in passes[name]
        else:
            found = bool(kind_of(node).parameters) or not learns.isdisjoint(node.inputs)
        if found:
            learns.add(name)
    return frozenset(learns)


def _gradients(network: Network, passes: Mapping[str, Collection[str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    backward: set[str] = {name for name, computed in passes.items() if "input_grad" in computed}
    for name in reversed(list(network.nodes)):
        # Whoever reads a node stands after it, and a group where its first node does.
        makers = tuple(reader for reader in network.readers[name] if reader in backward)
        found[name] = (OUTSIDE,) if name in network.unread else makers
        group = network.groups.get(name, ())
        if name in network.learns and any(found[node.name] for node in group):
            backward.add(name)
    return found
