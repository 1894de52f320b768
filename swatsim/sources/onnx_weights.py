"""Which tensors an ONNX file holds, and which nodes multiply them in a way that no layer here has."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from swatsim.errors import TraceError
from swatsim.sources.onnx_layers import CONVOLUTIONS, PRODUCTS
from swatsim.trace.json_values import shown

_STANDARD = ("", "ai.onnx")
# The standard operators that multiply, beside those that layers are made of: with weights, or with factors at which
# inputs (None: all).
WITH_WEIGHTS = ("CausalConvWithState", "ConvInteger", "DeformConv", "GRU", "LSTM", "QLinearConv", "RNN")
OTHER_PRODUCTS = {
    "Attention": (0, 1, 2), "Einsum": None, "LinearAttention": (0, 1, 2), "MatMulInteger": (0, 1),
    "QLinearMatMul": (0, 3),
}  # fmt: skip
_ALL = (*CONVOLUTIONS, *PRODUCTS, *WITH_WEIGHTS, *OTHER_PRODUCTS)
# What gives elements of its inputs in other places, or one of its inputs.
_MOVES = (
    "Cast", "DequantizeLinear", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "If",
    "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze", "Where",
)  # fmt: skip
_EXPECTED = f"only {', '.join((*CONVOLUTIONS, *PRODUCTS))}, of ONNX's own, to multiply weights"


class Weights:
    """What the file holds, by name, node by node in the order of the graph.

    A layer that is left out silently would make every figure of the network wrong: what may multiply a weight and is
    no layer is refused.

    shapes : those that are known.

    Raises TraceError where a name stands for two things.
    """

    def __init__(self, graph: Any, shapes: Mapping[str, tuple[int, ...]], where: str) -> None:
        self.stored: dict[str, Any] = {}
        self._where = where
        self._shapes = shapes
        self._inputs = {value.name for value in graph.input}  # of the model
        self._computed: dict[str, str] = {}  # by name, what of the file alone decides it, and how
        self._chosen: set[str] = set()  # elements of what the file holds, as others say
        self._behind: set[str] = set()  # depends on a layer: a gradient flows to it
        for tensor in graph.initializer:
            self._refuse_second(tensor.name, tensor.name in self.stored)
            self.stored[tensor.name] = tensor
        for sparse in graph.sparse_initializer:
            self._refuse_second(sparse.values.name, sparse.values.name in self.stored)
            self._computed[sparse.values.name] = "that is sparse, expected a dense one"
        taken = {*self._inputs, *self.stored, *self._computed}
        for name in filter(None, itertools.chain.from_iterable(node.output for node in graph.node)):
            self._refuse_second(name, name in taken)
            taken.add(name)
        for node in graph.node:
            if node.op_type == "Constant":
                self.add(node)

    def check(self, node: Any) -> None:
        """Raise TraceError for a node that multiplies what the file holds otherwise than a layer does."""
        if node.domain not in _STANDARD:
            if any(self._rank(name) > 1 for name in node.input):
                got = f"{shown(node.op_type)} of {shown(node.domain)}, which may multiply a weight"
                raise self._refusal(node, f"{got}, expected {_EXPECTED}")
            return
        for inner in itertools.islice(with_inner([node]), 1, None):
            if inner.op_type in _ALL or inner.domain not in _STANDARD:
                raise self._refusal(node, f"{shown(inner.op_type)} in a part of its own, expected it in the graph")
        if node.op_type in OTHER_PRODUCTS:
            places = OTHER_PRODUCTS[node.op_type]
            factors = [name for place, name in enumerate(node.input) if places is None or place in places]
            if any(self._rank(name) > 0 for name in factors):
                raise self._refusal(node, f"{node.op_type}, expected {_EXPECTED}")
        elif node.op_type in WITH_WEIGHTS:
            raise self._refusal(node, f"{node.op_type}, expected {_EXPECTED}")
        elif node.op_type in (*CONVOLUTIONS, *PRODUCTS) and len(node.input) > 1:
            self._check_factors(node)

    def is_layer(self, node: Any) -> bool:
        """Whether a node that was checked is one: a convolution, or a product of a stored second factor."""
        if node.domain not in _STANDARD or len(node.input) < 2 or not node.output:
            return False
        return node.op_type in CONVOLUTIONS or (node.op_type in PRODUCTS and node.input[1] in self.stored)

    def is_other_product(self, node: Any) -> bool:
        """Whether it multiplies results alone."""
        return node.domain in _STANDARD and node.op_type in (*PRODUCTS, *OTHER_PRODUCTS) and not self.is_layer(node)

    def is_behind_a_layer(self, node: Any) -> bool:
        """Whether its input depends on a layer."""
        return not self._behind.isdisjoint(node.input)

    def add(self, node: Any) -> None:
        """Note what a node's results are."""
        held = [name for name in node.input if name in self.stored or name in self._computed]
        if node.op_type == "Constant":
            values = [each.t for each in node.attribute if each.name == "value"]
            for name in node.output:
                if values:
                    self.stored.setdefault(name, values[0])
                else:
                    self._computed[name] = "that the model computes, expected its constants folded"
        elif node.op_type == "Identity" and len(node.input) == len(node.output) == 1 and node.input[0] in self.stored:
            self.stored[node.output[0]] = self.stored[node.input[0]]
        elif node.op_type == "Identity" and self._inputs.issuperset(node.input):
            self._inputs.update(node.output)
        elif held and len(held) == sum(map(bool, node.input)):
            self._computed |= dict.fromkeys(node.output, "that the model computes, expected its constants folded")
        elif node.op_type in _MOVES:
            inner = (name for each in with_inner([node]) for name in each.input)
            if any(self._rank(name) > 1 or name in self._chosen for name in inner):
                self._chosen.update(node.output)
        if self.is_layer(node) or self.is_behind_a_layer(node):
            self._behind.update(node.output)

    def _check_factors(self, node: Any) -> None:
        first, second = node.input[:2]
        if second in self.stored or (node.op_type in CONVOLUTIONS and second in self._inputs):
            return
        if second in self._computed:
            raise self._refusal(node, f"a weight {self._computed[second]}")
        if node.op_type in CONVOLUTIONS:
            raise self._refusal(node, "a weight that the model computes, expected its constants folded")
        if second in self._chosen or second not in self._behind:
            raise self._refusal(
                node, "a second factor that may be a weight, expected one that is stored, or behind a layer"
            )
        if self._rank(first) > 0:
            raise self._refusal(node, "a stored first factor, expected only a second one to be stored")

    def _rank(self, name: str) -> int:
        """Dimensions of what the file holds under a name, 2 where they are not known; 0 of anything else."""
        if name in self.stored:
            return len(self.stored[name].dims)
        return len(self._shapes.get(name, (0, 0))) if name in self._computed else 0

    def _refusal(self, node: Any, got: str) -> TraceError:
        return TraceError(f"{self._where}: {shown(node.name or node.op_type)}: got {got}")

    def _refuse_second(self, name: str, taken: bool) -> None:
        if taken:
            raise TraceError(f"{self._where}: got a second {shown(name)}, expected each name once")


def with_inner(nodes: Iterable[Any]) -> Iterator[Any]:
    """Nodes, and those of the graphs in them, such as the branches of an If, and of theirs."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from with_inner(graph.node)
