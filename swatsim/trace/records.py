"""What a manifest says, as frozen records, and the limits of the format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from swatsim.layer import LayerSpec

FORMAT = "swatsim-trace"
VERSION = 1
MANIFEST_NAME = "manifest.json"
TENSORS_NAME = "tensors"

# Far above any network (a layer takes about 1 KB), low enough to be parsed within 512 MB whatever it holds.
LARGEST_MANIFEST_BYTES = 8 << 20
# 128 MiB of packed bits: the first layer of VGG-16 with 300 images.
LARGEST_TENSOR_ELEMENTS = 1 << 30
# What one layer may hold in memory at a time, equal tensors counted once: 256 MiB.
LARGEST_LAYER_ELEMENTS = 1 << 31
LONGEST_NAME = 500
MOST_DIMENSIONS = 16
# Of a graph's node: DenseNet-264 joins 64 outputs.
MOST_INPUTS = 1000
MOST_FACTS = 1000  # keys of the provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceMetadata:
    """How a trace was made.

    `sparsity` is the network's target, `selection_period` the steps for which a selection is reused (None:
    does not apply), `provenance` anything else worth keeping: step, data set, accuracy, versions, seed.
    """

    name: str
    network: str = ""
    scheme: str = ""
    sparsity: Fraction | None = None
    selection_period: int | None = None
    optimizer: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)


def is_synthetic(provenance: Mapping[str, str]) -> bool:
    """Whether nobody trained what a trace holds: its masks were drawn."""
    return provenance.get("source") == "synthetic"


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphNode:
    """One node of the network: a layer, or a batch norm, ReLU, pooling, … between layers.

    `op` is "input", a layer's kind, "batch_norm", "relu", "max_pool", "avg_pool", "add", "flatten", … or
    "other:<Name>"; `inputs` name earlier nodes; `shape` is the output's.
    """

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """A tensor file: the shape of the tensor, and whether all its elements are present."""

    shape: tuple[int, ...]
    all_ones: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOperand:
    """An operand of a pass: the SHA-256 of its tensor file and the budget at which it was selected."""

    tensor: str
    sparsity: Fraction | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPass:
    """The operands of a pass by role; `result_mask` is the SHA-256 of a tensor file, or None."""

    operands: Mapping[str, StoredOperand]
    result_mask: str | None

    @property
    def tensors(self) -> tuple[str, ...]:
        """Every tensor that the pass names."""
        masks = () if self.result_mask is None else (self.result_mask,)
        return (*(operand.tensor for operand in self.operands.values()), *masks)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLayer:
    """A layer whose operands are still on disk."""

    spec: LayerSpec
    passes: Mapping[str, StoredPass]

    @property
    def tensors(self) -> frozenset[str]:
        """Every tensor that the layer names, once."""
        return frozenset(name for stored in self.passes.values() for name in stored.tensors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All of manifest.json: what a trace is, without its bits."""

    metadata: TraceMetadata
    graph: tuple[GraphNode, ...]
    tensors: Mapping[str, StoredTensor]
    layers: tuple[StoredLayer, ...]
