"""A network written down node by node: shapes are worked out here, and nothing is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from swatsim.errors import SwatsimError
from swatsim.layer import LayerSpec
from swatsim.trace.records import GraphNode


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node of the graph, with what it takes to execute it."""

    name: str
    op: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]  # of the result, images first
    settings: Mapping[str, int] = field(default_factory=dict)  # kernel, stride, padding, groups, bias, heads


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkShapes:
    """A network as shapes: its layers, and the nodes between them.

    `nodes` describe it whole; `layers` and `graph` are what a trace has of it.
    """

    name: str
    title: str
    source: str  # paper and convention
    nodes: tuple[Node, ...]
    layers: tuple[LayerSpec, ...]
    parameters: int  # weights, biases, and those of normalisations and embeddings

    @property
    def graph(self) -> tuple[GraphNode, ...]:
        """The nodes as a trace keeps them."""
        return tuple(GraphNode(name=node.name, op=node.op, inputs=node.inputs, shape=node.shape) for node in self.nodes)

    @property
    def macs(self) -> int:
        """Multiplications of the layers' forward pass."""
        return sum(spec.convolution.macs for spec in self.layers)


class Builder:
    """Adds nodes one by one; each method gives the name of the node that it adds, to be read by later ones."""

    def __init__(self, input_shape: tuple[int, ...]) -> None:
        self.nodes: dict[str, Node] = {}
        self.layers: list[LayerSpec] = []
        self.parameters = 0
        self._add("input", "input", (), input_shape)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a node's result."""
        return self.nodes[name].shape

    def convolution(  # noqa: PLR0913  as torch's own
        self,
        name: str,
        of: str,
        filters: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        bias: bool = False,
    ) -> str:
        """A square convolution; by default padded so that stride 1 keeps the size."""
        images, channels, height, width = self.shape(of)
        around = kernel // 2 if padding is None else padding
        sides = tuple((size + 2 * around - kernel) // stride + 1 for size in (height, width))
        spec = LayerSpec(
            name=name, kind="conv2d", input_shape=(images, channels, height, width),
            weight_shape=(filters, channels // groups, kernel, kernel), output_shape=(images, filters, *sides),
            stride=(stride, stride), padding=(around,) * 4, groups=groups, needs_input_grad=bool(self.layers),
        )  # fmt: skip
        settings = {"kernel": kernel, "stride": stride, "padding": around, "groups": groups, "bias": bias}
        return self._layer(spec, of, settings)

    def linear(self, name: str, of: str, outputs: int, *, bias: bool = True) -> str:
        """A linear layer on the last dimension."""
        *leading, inputs = self.shape(of)
        spec = LayerSpec(
            name=name, kind="linear", input_shape=(*leading, inputs), weight_shape=(outputs, inputs),
            output_shape=(*leading, outputs), needs_input_grad=bool(self.layers),
        )  # fmt: skip
        return self._layer(spec, of, {"bias": bias})

    def batch_norm(self, name: str, of: str) -> str:
        """Batch normalisation over channels."""
        self.parameters += 2 * self.shape(of)[1]
        return self._add(name, "batch_norm", (of,), self.shape(of))

    def layer_norm(self, name: str, of: str) -> str:
        """Layer normalisation over the last dimension."""
        self.parameters += 2 * self.shape(of)[-1]
        return self._add(name, "layer_norm", (of,), self.shape(of))

    def relu(self, name: str, of: str) -> str:
        """ReLU."""
        return self._add(name, "relu", (of,), self.shape(of))

    def relu6(self, name: str, of: str) -> str:
        """ReLU up to 6; to autograd it is a hard tanh."""
        return self._add(name, "other:Hardtanh", (of,), self.shape(of))

    def gelu(self, name: str, of: str) -> str:
        """GELU."""
        return self._add(name, "gelu", (of,), self.shape(of))

    def max_pool(self, name: str, of: str, kernel: int, stride: int, padding: int = 0) -> str:
        """Maximum over square windows."""
        return self._pool(name, "max_pool", of, kernel, stride, padding)

    def avg_pool(self, name: str, of: str, kernel: int) -> str:
        """Mean over square windows that do not overlap."""
        return self._pool(name, "avg_pool", of, kernel, kernel, 0)

    def global_avg_pool(self, name: str, of: str) -> str:
        """Mean over all positions."""
        return self._add(name, "avg_pool", (of,), (*self.shape(of)[:2], 1, 1), {"kernel": 0})

    def add(self, name: str, *of: str) -> str:
        """Sum of equal shapes."""
        self._check_equal(name, [self.shape(each) for each in of])
        return self._add(name, "add", of, self.shape(of[0]))

    def concatenate(self, name: str, *of: str) -> str:
        """Channels one after another."""
        images, _, *rest = self.shape(of[0])
        self._check_equal(name, [(shape[0], *shape[2:]) for shape in map(self.shape, of)])
        return self._add(name, "concatenate", of, (images, sum(self.shape(each)[1] for each in of), *rest))

    def flatten(self, name: str, of: str) -> str:
        """One vector an image."""
        images, *rest = self.shape(of)
        return self._add(name, "flatten", (of,), (images, math.prod(rest)))

    def tokens(self, name: str, of: str) -> str:
        """[N, C, H, W] as a sequence [N, 1 + H·W, C] behind a learned class token, a learned vector added to each."""
        images, channels, height, width = self.shape(of)
        length = height * width + 1
        self.parameters += channels + length * channels
        return self._add(name, "other:Tokens", (of,), (images, length, channels))

    def attention(self, name: str, of: str, heads: int) -> str:
        """Attention over queries, keys and values [N, T, 3·D]; its two products have no weights, and are no layers."""
        images, length, width = self.shape(of)
        return self._add(name, "other:Attention", (of,), (images, length, width // 3), {"heads": heads})

    def first_token(self, name: str, of: str) -> str:
        """The class token of a sequence."""
        images, _, width = self.shape(of)
        return self._add(name, "other:Select", (of,), (images, width))

    def mean_token(self, name: str, of: str) -> str:
        """The mean of a sequence."""
        images, _, width = self.shape(of)
        return self._add(name, "other:Mean", (of,), (images, width))

    def finish(self, name: str, title: str, source: str) -> NetworkShapes:
        """The network, as it is now."""
        return NetworkShapes(
            name=name, title=title, source=source, nodes=tuple(self.nodes.values()), layers=tuple(self.layers),
            parameters=self.parameters,
        )  # fmt: skip

    def _check_equal(self, name: str, shapes: list[tuple[int, ...]]) -> None:
        if len(set(shapes)) > 1:
            raise SwatsimError(f"{name}: got inputs of {', '.join(map(str, shapes))}, expected equal shapes")

    def _layer(self, spec: LayerSpec, of: str, settings: Mapping[str, int]) -> str:
        self.layers.append(spec)
        self.parameters += math.prod(spec.weight_shape) + bool(settings["bias"]) * spec.weight_shape[0]
        return self._add(spec.name, spec.kind, (of,), spec.output_shape, settings)

    def _pool(self, name: str, op: str, of: str, kernel: int, stride: int, padding: int) -> str:
        images, channels, *sides = self.shape(of)
        left = [(size + 2 * padding - kernel) // stride + 1 for size in sides]
        settings = {"kernel": kernel, "stride": stride, "padding": padding}
        return self._add(name, op, (of,), (images, channels, *left), settings)

    def _add(
        self,
        name: str,
        op: str,
        inputs: tuple[str, ...],
        shape: tuple[int, ...],
        settings: Mapping[str, int] | None = None,
    ) -> str:
        if name in self.nodes:
            raise SwatsimError(f"{name}: got a second node of this name, expected different names")
        self.nodes[name] = Node(name=name, op=op, inputs=inputs, shape=shape, settings=settings or {})
        return name
