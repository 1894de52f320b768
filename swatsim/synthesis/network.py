"""A trace of a network that nobody trained: its shapes, what a scheme keeps, and the statistics of a real trace."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from swatsim.bits import BitTensor, kept_count
from swatsim.errors import SwatsimError
from swatsim.layer import Layer, LayerSpec, Operand, PassOperands
from swatsim.passes import OPERANDS, RESULTS
from swatsim.schemes.scheme import ACTIVE_WEIGHTS, PREDICTED_OUTPUTS
from swatsim.synthesis.generate import generate
from swatsim.synthesis.profile import Profile, depth_of
from swatsim.synthesis.scattered import bernoulli
from swatsim.synthesis.statistics import TensorStatistics
from swatsim.synthesis.twin import BERNOULLI, CLUSTERED, channels_last, check_kind, marked, stream
from swatsim.trace import GraphNode, Trace, TraceMetadata

# Nodes that pass zeros on, and nodes that make them.
_PASSING = {"max_pool", "flatten", "dropout", "concatenate", "other:View", "other:Reshape", "other:Cat"}
_ZEROING = {"relu", "other:Relu6", "other:Hardtanh"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerMasks:
    """What a scheme makes of one layer.

    `budgets` are the sparsities of operands that are selected, by pass and role; the others keep their natural zeros.
    `results` say by pass which entries are computed (the names of `swatsim.schemes.scheme`), all where it says nothing.
    `pattern` is the unit in which weights are kept: element, slice or filter. `densities` are natural ones by role,
    in place of the profile's.
    """

    budgets: Mapping[tuple[str, str], Fraction] = field(default_factory=dict)
    results: Mapping[str, str] = field(default_factory=dict)
    pattern: str = "element"
    densities: Mapping[str, float] = field(default_factory=dict)


def synthesise(  # noqa: PLR0913  each is a choice of its own
    specs: Sequence[LayerSpec],
    masks: Mapping[str, LayerMasks],
    *,
    seed: int,
    profile: Profile,
    metadata: TraceMetadata,
    graph: Sequence[GraphNode] = (),
    kind: str = CLUSTERED,
) -> Trace:
    """Make a trace of layers of these shapes; of layers that are not in `masks` nothing is selected.

    Inputs have zeros where the graph says that a ReLU made them; without a graph all but the first layer's have. An
    output gradient has those of a ReLU that stands directly behind its layer, and is dense behind anything else, as
    batch norm leaves it, unless `densities` says otherwise. Layers that read the same node
    share their input; what is selected of an input lies within its non-zeros.

    Parameters
    ----------
    metadata : its provenance is completed: source synthetic, the kind of masks, seed and profile.
    kind : clustered, or bernoulli, which takes nothing but densities from the profile.

    Raises SwatsimError for an unknown kind.
    """
    check_kind(kind)
    network = _Network(seed=seed, kind=kind, profile=profile, reads=_reads(specs, graph))
    layers = [
        network.layer(spec, masks.get(spec.name, LayerMasks()), depth_of(index, len(specs)))
        for index, spec in enumerate(specs)
    ]
    provenance = {**metadata.provenance, **marked(kind, seed), "profile": profile.name}
    provenance["statistics of"] = profile.trace_digest
    return Trace(metadata.name, layers, manifest=replace(metadata, provenance=provenance), graph=graph)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """The node that a layer reads, and whether some of its values are zero; the ReLU that alone reads the layer."""

    node: str
    zeros: bool
    rectified_by: str | None = None  # what it makes 0 has no gradient


def _reads(specs: Sequence[LayerSpec], graph: Sequence[GraphNode]) -> dict[str, _Read]:
    nodes = {node.name: node for node in graph}
    zeros: dict[str, bool] = {}
    for node in graph:  # each after its inputs
        passed = node.op in _PASSING and all(zeros.get(name, False) for name in node.inputs)
        zeros[node.name] = node.op in _ZEROING or passed
    found = {}
    for index, spec in enumerate(specs):
        inputs = nodes[spec.name].inputs if spec.name in nodes else ()
        if inputs:
            readers = [node for node in graph if spec.name in node.inputs]
            rectified = len(readers) == 1 and readers[0].op in _ZEROING
            found[spec.name] = _Read(
                node=inputs[0], zeros=zeros.get(inputs[0], False), rectified_by=readers[0].name if rectified else None
            )
        else:
            found[spec.name] = _Read(node=spec.name, zeros=index > 0)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Network:
    """The tensors so far, by what they are of."""

    seed: int
    kind: str
    profile: Profile
    reads: Mapping[str, _Read]
    drawn: dict[tuple[str, ...], BitTensor] = field(default_factory=dict)

    def layer(self, spec: LayerSpec, masks: LayerMasks, depth: float) -> Layer:
        """All operands and result masks of one layer."""
        tensors = _LayerTensors(network=self, spec=spec, masks=masks, depth=depth)
        return Layer(spec=spec, passes={name: tensors.operands(name) for name in spec.passes})


@dataclass(frozen=True, slots=True, kw_only=True)
class _LayerTensors:
    """What one layer multiplies and computes."""

    network: _Network
    spec: LayerSpec
    masks: LayerMasks
    depth: float

    def operands(self, pass_name: str) -> PassOperands:
        """The operands and the result mask of a pass."""
        operands = {}
        for role in OPERANDS[pass_name]:
            sparsity = self.masks.budgets.get((pass_name, role)) or None
            operands[role] = Operand(bits=self._operand(role, sparsity or Fraction(0)), sparsity=sparsity)
        return PassOperands(operands=operands, result_mask=self._result(pass_name))

    def _operand(self, role: str, sparsity: Fraction) -> BitTensor:
        if role == "weight":
            return self._weight(sparsity)
        natural = self._natural(role)
        if not sparsity:
            return natural
        kept = min(kept_count(sparsity, natural.size), natural.nonzeros)
        return self._drawn("selected input", role, str(sparsity), kept / natural.size, most=natural)

    def _natural(self, role: str) -> BitTensor:
        """An input or output gradient with the zeros that ReLU left."""
        density, read = self.masks.densities.get(role), self.network.reads[self.spec.name]
        if density is None:
            zeros = read.zeros if role == "input" else read.rectified_by is not None
            density = self._statistics("input").density if zeros else 1.0
        return self._drawn("input", role, "natural", density)

    def _weight(self, sparsity: Fraction) -> BitTensor:
        shape = self.spec.weight_shape
        units = {"element": shape, "slice": shape[:2], "filter": (shape[0], 1)}[self.masks.pattern]
        count = math.prod(units)
        drawn = self._drawn("weight", "weight", str(sparsity), kept_count(sparsity, count) / count, shape=units)
        if units == shape:
            return drawn
        kept = drawn.to_bool().reshape(units + (1,) * (len(shape) - 2))
        return BitTensor.from_array(np.broadcast_to(kept, shape))

    def _result(self, pass_name: str) -> BitTensor | None:
        """Which entries of the result are computed; None: all."""
        wanted = self.masks.results.get(pass_name)
        if wanted is None:
            return None
        if wanted == PREDICTED_OUTPUTS:
            # What is not predicted has no gradient either.
            return self._operand("output_grad", self.masks.budgets.get(("weight_grad", "output_grad"), Fraction(0)))
        weight = self._operand("weight", self.masks.budgets.get(("forward", "weight"), Fraction(0)))
        if wanted == ACTIVE_WEIGHTS:
            return weight
        present = weight.to_bool()
        live = np.asarray(present.reshape(len(present), -1).any(axis=1))
        shape = self.spec.shape_of(RESULTS[pass_name])
        axis = 0 if pass_name == "weight_grad" else len(shape) - 1 if self.spec.kind == "linear" else 1
        if len(live) != shape[axis]:
            raise SwatsimError(
                f"{self.spec.name}: {pass_name}: got a mask of live filters, expected one of its results"
            )
        return BitTensor.from_array(np.broadcast_to(live.reshape(-1, *(1,) * (len(shape) - 1 - axis)), shape))

    def _statistics(self, tensor: str) -> TensorStatistics:
        return self.network.profile.nearest(tensor, self.spec, self.depth)

    def _drawn(
        self,
        tensor: str,
        role: str,
        which: str,
        density: float,
        *,
        most: BitTensor | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> BitTensor:
        """Draw a tensor with statistics of the profile's `tensor`, once for all layers that have the same one."""
        read = self.network.reads[self.spec.name]
        node, named = (read.node, role) if role == "input" else (self.spec.name, role)
        if role == "output_grad" and read.rectified_by is not None:
            # The gradient has the zeros of the ReLU's result, which the next layer reads.
            node, named = read.rectified_by, "input"
        wanted = shape or self.spec.shape_of(role)
        names = (named, node, str(self.spec.shape_of(role)), which)
        if names not in self.network.drawn:
            random = stream(self.network.seed, *names)
            if density == 1.0:
                drawn = BitTensor(shape=wanted, packed=None)
            elif self.network.kind == BERNOULLI:
                drawn = bernoulli(density, wanted, random, most=most)
            else:
                statistics = self._statistics(tensor).at_density(density)
                last = channels_last(self.spec, role)
                drawn = generate(statistics, wanted, random, channels_last=last, most=most)
            self.network.drawn[names] = drawn
        return self.network.drawn[names]
