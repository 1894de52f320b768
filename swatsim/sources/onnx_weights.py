"""Which tensors an ONNX file holds, and which nodes multiply them in a way that no layer here has."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from swatsim.errors import TraceError
from swatsim.sources.onnx_layers import CONVOLUTIONS, PRODUCTS
from swatsim.trace.json_values import shown

_STANDARD = ("", "ai.onnx")
# Of the standard operators those that multiply, beside the ones that layers are made of.
_WITH_WEIGHTS = ("ConvInteger", "QLinearConv", "DeformConv", "LSTM", "GRU", "RNN")
_OTHER_PRODUCTS = ("MatMulInteger", "QLinearMatMul", "Einsum")
_ALL = (*CONVOLUTIONS, *PRODUCTS, *_WITH_WEIGHTS, *_OTHER_PRODUCTS)
_EXPECTED = f"only {', '.join((*CONVOLUTIONS, *PRODUCTS))}, of ONNX's own, to multiply weights"


class Weights:
    """What the file holds, by name, node by node in the order of the graph.

    A layer that is left out silently would make every figure of the network wrong: what may multiply a weight and is
    no layer is refused.
    """

    def __init__(self, graph: Any) -> None:
        self.stored = {tensor.name: tensor for tensor in graph.initializer}
        self.computed: set[str] = set()  # results that depend on nothing but what the file holds
        self._given = {value.name for value in graph.input}
        for node in graph.node:
            if node.op_type == "Constant":
                self.add(node)

    def check(self, node: Any, where: str) -> None:
        """Raise TraceError for a node that multiplies what the file holds otherwise than a layer does."""
        where = f"{where}: {shown(node.name or node.op_type)}"
        held = [self._is_held(name) for name in node.input]
        if node.domain not in _STANDARD:
            if any(held):
                got = f"{shown(node.op_type)} of {shown(node.domain)}, which may multiply a weight"
                raise TraceError(f"{where}: got {got}, expected {_EXPECTED}")
            return
        for inner in itertools.islice(with_inner([node]), 1, None):
            if inner.op_type in _ALL or inner.domain not in _STANDARD:
                raise TraceError(f"{where}: got {shown(inner.op_type)} in a part of its own, expected it in the graph")
        if node.op_type in _WITH_WEIGHTS or (node.op_type in _OTHER_PRODUCTS and any(held)):
            raise TraceError(f"{where}: got {node.op_type}, expected {_EXPECTED}")
        if node.op_type in CONVOLUTIONS and len(node.input) > 1:
            weight = node.input[1]
            if weight in self.computed or weight not in self.stored.keys() | self._given:
                raise TraceError(f"{where}: got a weight that the model computes, expected its constants folded")
        if node.op_type in PRODUCTS:
            if any(each in self.computed for each in node.input[:2]):
                raise TraceError(f"{where}: got a weight that the model computes, expected its constants folded")
            if held[:1] == [True]:
                raise TraceError(f"{where}: got a stored first factor, expected only a second one to be stored")

    def is_layer(self, node: Any) -> bool:
        """Whether a node that was checked is one: a convolution, or a product of a stored second factor."""
        if node.domain not in _STANDARD or len(node.input) < 2 or not node.output:
            return False
        return node.op_type in CONVOLUTIONS or (node.op_type in PRODUCTS and node.input[1] in self.stored)

    def is_other_product(self, node: Any) -> bool:
        """Whether it multiplies results alone."""
        return node.domain in _STANDARD and node.op_type in (*PRODUCTS, *_OTHER_PRODUCTS) and not self.is_layer(node)

    def add(self, node: Any) -> None:
        """Note what the file holds of a node's results."""
        if node.op_type == "Constant" and node.output:
            values = [each.t for each in node.attribute if each.name == "value"]
            self.stored.update((node.output[0], value) for value in values)
            self.computed.update(() if values else node.output)
        elif node.op_type == "Identity" and node.output and self.stored.keys() >= set(node.input):
            self.stored[node.output[0]] = self.stored[node.input[0]]
        elif node.input and all(not name or name in self.stored or name in self.computed for name in node.input):
            self.computed.update(node.output)

    def _is_held(self, name: str) -> bool:
        return name in self.computed or (name in self.stored and len(self.stored[name].dims) > 1)


def with_inner(nodes: Iterable[Any]) -> Iterator[Any]:
    """Nodes, and those of the graphs in them, such as the branches of an If, and of theirs."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from with_inner(graph.node)
