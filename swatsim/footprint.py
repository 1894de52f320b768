"""What a training step keeps from its forward pass for its backward pass (docs/training_step.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from swatsim.architecture import Architecture
from swatsim.network import Network, kind_of, mask_bytes, network_of, values_of
from swatsim.stored import DENSE_COPY, Copy, StoredSizes, by_weight
from swatsim.trace import GraphNode

# Reductions that the SWAT paper states for the backward pass, from and to.
PUBLISHED_ACTIVATION_REDUCTION = (0.23, 0.50)
PUBLISHED_WEIGHT_REDUCTION = (0.50, 0.90)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Bytes kept for the backward pass of one layer, or of one group of nodes between layers; or a sum of these.

    What several read is counted where it is read first. dense_...: of the machine that stores everything dense.
    """

    name: str
    activation_bytes: int = 0  # inputs, masks and indices
    dense_activation_bytes: int = 0
    weight_bytes: int = 0  # as the input gradient reads them
    dense_weight_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Bytes kept from forward to backward, under the trace's scheme and the outermost level's format."""

    layers: tuple[Kept, ...]  # inputs for the weight gradients, weights for the input gradients
    between: tuple[Kept, ...]  # batch norms, ReLUs, poolings …; none where the trace has no graph
    layers_total: Kept
    between_total: Kept
    total: Kept

    @property
    def activation_reduction(self) -> float | None:
        """The share of the activations' bytes that is saved; None where there are none."""
        return _reduction(self.total.activation_bytes, self.total.dense_activation_bytes)

    @property
    def weight_reduction(self) -> float | None:
        """The share of the weights' bytes that is saved; None where no layer has an input gradient."""
        return _reduction(self.total.weight_bytes, self.total.dense_weight_bytes)


def footprint_of(sizes: Sequence[StoredSizes], graph: Sequence[GraphNode], architecture: Architecture) -> Footprint:
    """Count what is kept; `sizes` are those of all layers of the graph. Without a graph, of layers alone."""
    network = network_of([each.spec for each in sizes], graph, {each.spec.name: each.computed for each in sizes})
    layers = {each.spec.name: each for each in sizes}
    value_bytes = architecture.datapath.value_bytes
    weight_of = {name: together[0] for together in by_weight(layers) for name in together}
    kept = _Kept(set(), set())
    of_layers: list[Kept] = []
    between: list[Kept] = []
    for name, node in network.nodes.items():
        if name in layers:
            # A layer whose input the graph does not name has one of its own.
            before = node.inputs[0] if node.inputs else f"the input of {name}"
            of_layers.append(kept.layer(layers[name], before, f"the weight of {weight_of[name]}"))
        elif name in network.groups and network.goes_backward(name):
            between.append(kept.group(network, name, value_bytes))
    return Footprint(
        layers=tuple(of_layers), between=tuple(each for each in between if each.activation_bytes),
        layers_total=_sum("layers", of_layers), between_total=_sum("between", between),
        total=_sum("total", [*of_layers, *between]),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Kept:
    """The copies that are counted already, by the node whose result they are, or the layer whose weight."""

    actual: set[tuple[str, object]]
    dense: set[str]

    def add(self, node: str, key: object, stored_bytes: int, dense_bytes: int) -> tuple[int, int]:
        """Bytes that one more reader of a copy keeps, and those of the dense machine: none if it is kept already."""
        found = (0 if (node, key) in self.actual else stored_bytes, 0 if node in self.dense else dense_bytes)
        self.actual.add((node, key))
        self.dense.add(node)
        return found

    def layer(self, sizes: StoredSizes, before: str, weight: str) -> Kept:
        actual, dense = self._copy(before, sizes.copies.get(("weight_grad", "input")))
        weight_bytes, dense_weight_bytes = self._copy(weight, sizes.copies.get(("input_grad", "weight")))
        return Kept(
            name=sizes.spec.name, activation_bytes=actual, dense_activation_bytes=dense,
            weight_bytes=weight_bytes, dense_weight_bytes=dense_weight_bytes,
        )  # fmt: skip

    def _copy(self, tensor: str, copy: Copy | None) -> tuple[int, int]:
        return (0, 0) if copy is None else self.add(tensor, copy.key, copy.stored_bytes, copy.dense_bytes)

    def group(self, network: Network, name: str, value_bytes: int) -> Kept:
        actual = dense = 0
        for node in network.groups[name]:
            for before in _kept_inputs(node):
                whole = values_of(network.nodes[before]) * value_bytes
                more = self.add(before, DENSE_COPY, whole, whole)
                actual, dense = actual + more[0], dense + more[1]
            actual, dense = actual + mask_bytes(node), dense + mask_bytes(node)
        return Kept(name=name, activation_bytes=actual, dense_activation_bytes=dense)


def _kept_inputs(node: GraphNode) -> Iterator[str]:
    if kind_of(node).keeps_inputs:
        yield from node.inputs


def _sum(name: str, parts: Iterable[Kept]) -> Kept:
    parts = list(parts)
    return Kept(
        name=name,
        activation_bytes=sum(part.activation_bytes for part in parts),
        dense_activation_bytes=sum(part.dense_activation_bytes for part in parts),
        weight_bytes=sum(part.weight_bytes for part in parts),
        dense_weight_bytes=sum(part.dense_weight_bytes for part in parts),
    )


def _reduction(part: int, whole: int) -> float | None:
    return 1 - part / whole if whole else None
