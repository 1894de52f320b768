"""The network between the layers, read from autograd's own graph: functional calls are in it too."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from swatsim.trace import GraphNode

# Autograd's names, their "Backward<n>" removed. Everything else becomes "other:<name>".
_OPERATIONS = {
    "NativeBatchNorm": "batch_norm",
    "CudnnBatchNorm": "batch_norm",
    "MiopenBatchNorm": "batch_norm",
    "Relu": "relu",
    "MaxPool2DWithIndices": "max_pool",
    "MaxPool2D": "max_pool",
    "AvgPool2D": "avg_pool",
    "AdaptiveAvgPool2D": "avg_pool",
    "MkldnnAdaptiveAvgPool2D": "avg_pool",
    "Add": "add",
    "Cat": "concatenate",
    "NativeLayerNorm": "layer_norm",
    "Gelu": "gelu",
}
_RESHAPES = {"View", "ReshapeAlias", "UnsafeView", "_UnsafeView"}
# Nothing is computed in these: the node behind them stands for them.
_TRANSPARENT = {"ToCopy", "Clone", "Alias", "Contiguous", "AsStrided", "Detach", "Identity", "BackwardHookFunction"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerEnds:
    """Where one layer's call begins and ends in autograd's graph."""

    name: str
    kind: str
    input_node: Any | None  # the node that made the layer's input; None: it comes from outside
    input_shape: tuple[int, ...]
    output_node: Any
    output_shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleEnd:
    """A module without children that is no layer: its name, and the shape of what it read."""

    name: str
    input_shape: tuple[int, ...]


class GraphReader:
    """Turns autograd's nodes into the trace's, each once, inputs before their readers."""

    def __init__(
        self, layers: Iterable[LayerEnds], made_by: Mapping[Any, "ModuleEnd"], beside: Mapping[Any, list[Any]]
    ) -> None:
        """`made_by` gives the modules that made nodes; `beside` what nodes read that learns nothing."""
        self._layers = {layer.output_node: layer for layer in layers}
        self._made_by, self._beside = made_by, beside
        self._taken = {layer.name for layer in self._layers.values()}
        self._done: dict[Any, str | None] = {}
        self._inputs: dict[tuple[int, ...], str] = {}
        self.nodes: list[GraphNode] = []

    def read(self, ends: Iterable[Any]) -> tuple[GraphNode, ...]:
        """Every node from which one of these is reached."""
        for end in ends:
            self._visit(end)
        return tuple(self.nodes)

    def _visit(self, end: Any) -> None:
        # A stack of our own: a network may be deeper than Python's recursion.
        pending = [end]
        while pending:
            node = pending[-1]
            if node in self._done:
                pending.pop()
                continue
            parents = self._parents(node)
            waiting = [parent for parent in parents if parent not in self._done]
            if waiting:
                pending += reversed(waiting)
            else:
                self._done[node] = self._emit(node, parents)
                pending.pop()

    def _parents(self, node: Any) -> list[Any]:
        if node in self._layers:
            made_by = self._layers[node].input_node
            return [] if made_by is None else [made_by]
        # A leaf is a parameter here: an input that learns has no place in a training step's graph.
        learning = [parent for parent, _ in node.next_functions if parent is not None and not _is_leaf(parent)]
        return [*learning, *self._beside.get(node, ())]

    def _emit(self, node: Any, parents: list[Any]) -> str | None:
        """Add the node; its name, or that of the node it stands for, or None where nothing is behind it."""
        inputs = tuple(name for parent in parents if (name := self._done[parent]) is not None)
        layer = self._layers.get(node)
        if layer is not None:
            inputs = inputs or (self._network_input(layer.input_shape),)
            self.nodes.append(GraphNode(name=layer.name, op=layer.kind, inputs=inputs, shape=layer.output_shape))
            return layer.name
        module = self._made_by.get(node)
        if not inputs:
            if module is None and all(parent is not None for parent, _ in node.next_functions):
                return None  # a parameter's own arithmetic
            # It reads what does not learn: the network's input, as an embedding or a first batch norm does.
            inputs = (self._network_input(_shape(node) if module is None else module.input_shape),)
        base = _base_name(node)
        if base in _TRANSPARENT:
            return inputs[0]
        operation = self._operation(node, base, parents[0] if parents else node)
        name = self._unused(operation.removeprefix("other:").lower() if module is None else module.name)
        self.nodes.append(GraphNode(name=name, op=operation, inputs=inputs, shape=_shape(node)))
        return name

    def _operation(self, node: Any, base: str, parent: Any) -> str:
        shape, before = _shape(node), _shape(parent)
        if base in _RESHAPES and len(shape) < len(before):
            return "flatten"
        if base == "Mean" and len(before) == 4 and math.prod(shape) == math.prod(before[:2]):
            return "avg_pool"  # torch's own adaptive pooling to 1x1 is a mean
        return _OPERATIONS.get(base, f"other:{base}")

    def _network_input(self, shape: tuple[int, ...]) -> str:
        if shape not in self._inputs:
            self._inputs[shape] = self._unused("input")
            self.nodes.append(GraphNode(name=self._inputs[shape], op="input", inputs=(), shape=shape))
        return self._inputs[shape]

    def _unused(self, wanted: str) -> str:
        name, count = wanted, 1
        while name in self._taken:
            count += 1
            name = f"{wanted}_{count}"
        self._taken.add(name)
        return name


def _is_leaf(node: Any) -> bool:
    return _base_name(node) == "torch::autograd::AccumulateGrad"


def _base_name(node: Any) -> str:
    """`ReluBackward0` and `ReLU's custom FunctionBackward` without what autograd appends."""
    name: str = node.name()
    return name.rstrip("0123456789").removesuffix("Backward")


def _shape(node: Any) -> tuple[int, ...]:
    return tuple(node._input_metadata[0].shape)
