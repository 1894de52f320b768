"""What can be counted in a trace, layer by layer: densities, results that are needed, clustering, bytes on disk."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from swatsim.bits import BitTensor
from swatsim.layer import Layer, LayerSpec
from swatsim.passes import OPERANDS
from swatsim.trace.clustering import clustering
from swatsim.trace.reader import StoredTrace


@dataclass(frozen=True, slots=True, kw_only=True)
class OperandMeasure:
    """What one pass multiplies; the clustering is that of `clustering`, NaN where nothing varies."""

    elements: int
    nonzeros: int
    sparsity: Fraction | None  # the budget
    by_filter: float  # of a weight: over its filters; else NaN
    by_channel: float

    @property
    def density(self) -> float:
        """Share of the elements that are there."""
        return self.nonzeros / self.elements


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerMeasure:
    """One layer: operands by (pass, role), and by pass how many results are needed."""

    spec: LayerSpec
    operands: dict[tuple[str, str], OperandMeasure]
    needed: dict[str, tuple[int, int]]  # (needed, all)
    file_bytes: int  # of its tensors; those that other layers share are counted at each


def measure_layers(trace: StoredTrace) -> Iterator[LayerMeasure]:
    """Measure each layer, one in memory at a time. Raises TraceError where a tensor is damaged."""
    for index, layer in enumerate(trace):
        yield measure_layer(layer, trace.file_bytes(index))


def measure_layer(layer: Layer, file_bytes: int = 0) -> LayerMeasure:
    """Measure one layer; a tensor that several passes multiply is measured once."""
    known: dict[tuple[int, str], tuple[float, float]] = {}
    operands = {}
    for pass_name in layer.spec.passes:
        for role in OPERANDS[pass_name]:
            operand = layer.passes[pass_name].operands[role]
            key = (id(operand.bits), role)
            if key not in known:
                known[key] = _clustering(operand.bits, role, layer.spec)
            operands[pass_name, role] = OperandMeasure(
                elements=operand.bits.size, nonzeros=operand.bits.nonzeros, sparsity=operand.sparsity,
                by_filter=known[key][0], by_channel=known[key][1],
            )  # fmt: skip
    return LayerMeasure(spec=layer.spec, operands=operands, needed=_needed(layer), file_bytes=file_bytes)


def _clustering(bits: BitTensor, role: str, spec: LayerSpec) -> tuple[float, float]:
    """(by filter, by channel): axes of a weight depend on its kind, of activations on where channels are."""
    if role == "weight":
        filters = 1 if spec.transposed else 0
        return clustering(bits, filters), clustering(bits, 1 - filters)
    return math.nan, clustering(bits, -1 if spec.kind == "linear" else 1)


def _needed(layer: Layer) -> dict[str, tuple[int, int]]:
    found = {}
    shapes = {"forward": layer.spec.output_shape, "input_grad": layer.spec.input_shape}
    for pass_name in layer.spec.passes:
        mask = layer.passes[pass_name].result_mask
        elements = math.prod(shapes.get(pass_name, layer.spec.weight_shape))
        found[pass_name] = (elements if mask is None else mask.nonzeros, elements)
    return found
