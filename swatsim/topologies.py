"""Shapes with random operands of stated densities: what `--density` makes of a file that has no zeros of its own."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from swatsim.bits import BitTensor
from swatsim.errors import SwatsimError, TraceError
from swatsim.layer import Layer, LayerSpec, Operand, PassOperands
from swatsim.passes import OPERANDS
from swatsim.sources import Request, import_trace
from swatsim.synthesis.scattered import bernoulli
from swatsim.synthesis.twin import BERNOULLI, marked, stream
from swatsim.trace import Trace, TraceMetadata
from swatsim.trace.records import LARGEST_LAYER_ELEMENTS, LARGEST_TENSOR_ELEMENTS

ROLES = ("input", "weight", "output_grad")
_SEED = 0
# Kept for all who ask, such as each machine of a comparison; what is larger is drawn anew: 32 MiB.
_MOST_KEPT_ELEMENTS = 1 << 28


class DrawnTrace(Trace):
    """Layers that are drawn as they are asked for."""

    def __init__(
        self, name: str, specs: Sequence[LayerSpec], densities: Mapping[str, float], manifest: TraceMetadata
    ) -> None:
        """Hold the shapes; nothing is drawn."""
        self.name = name
        self.specs = tuple(specs)
        self.manifest = manifest
        self.graph = ()
        self._densities = dict(densities)

    def layer(self, index: int) -> Layer:
        """Draw one layer, the same each time."""
        return _drawn(self.specs[index], self._densities)


def topology_trace(
    path: str | os.PathLike[str], densities: Mapping[str, float], *, name: str, request: Request | None = None
) -> Trace:
    """Read a topology of SCALE-Sim as a synthetic trace: operands with these shares of non-zeros.

    `densities` are of input, weight and output_grad, from 0 to 1; round(density * size) elements of each tensor are
    present, anywhere, the same in each pass that multiplies it. The same file and densities give the same bits.
    `request` may choose layers, and more images than one.

    Raises SwatsimError where the file is no topology, a layer is beyond what a trace may hold, or a density is missing
    or out of range.
    """
    _check(densities)
    shapes = import_trace(path, request, name=name, kind="scalesim")
    given = shapes.manifest.provenance
    stated = ", ".join(f"{role} {densities[role]:g}" for role in ROLES)
    provenance = {
        **marked(BERNOULLI, _SEED), **{key: given[key] for key in ("file", "kind", "sha256", "remarks")},
        "densities": f"{stated}, as stated",
    }  # fmt: skip
    elements = sum(_elements(spec, densities, f"{os.fspath(path)}: {spec.name}") for spec in shapes.specs)
    drawn = DrawnTrace(name, shapes.specs, densities, replace(shapes.manifest, provenance=provenance))
    return drawn if elements > _MOST_KEPT_ELEMENTS else Trace(name, list(drawn), manifest=drawn.manifest)


def _check(densities: Mapping[str, float]) -> None:
    for role in ROLES:
        if role not in densities:
            raise SwatsimError(f"density of {role}: got none, expected one from 0 to 1")
    for role, density in densities.items():
        if role not in ROLES:
            raise SwatsimError(f"density: got {role!r}, expected one of {', '.join(ROLES)}")
        if not 0 <= density <= 1 or math.isnan(density):
            raise SwatsimError(f"density of {role}: got {density:g}, expected a number from 0 to 1")


def _elements(spec: LayerSpec, densities: Mapping[str, float], where: str) -> int:
    """How many elements are drawn for a layer. Raises TraceError beyond the limits of the trace format."""
    sizes = {role: math.prod(spec.shape_of(role)) for role in ROLES}
    for role, size in sizes.items():
        if size > LARGEST_TENSOR_ELEMENTS:
            raise TraceError(f"{where}: {role}: got {size} elements, expected at most {LARGEST_TENSOR_ELEMENTS}")
    elements = sum(size for role, size in sizes.items() if densities[role] < 1)
    if elements > LARGEST_LAYER_ELEMENTS:
        got = f"{elements} elements in the tensors of one layer"
        raise TraceError(f"{where}: got {got}, expected at most {LARGEST_LAYER_ELEMENTS}")
    return elements


def _drawn(spec: LayerSpec, densities: Mapping[str, float]) -> Layer:
    operands = {role: Operand(bits=_bits(spec, role, densities[role])) for role in ROLES}
    passes = {name: PassOperands(operands={role: operands[role] for role in OPERANDS[name]}) for name in spec.passes}
    return Layer(spec=spec, passes=passes)


def _bits(spec: LayerSpec, role: str, density: float) -> BitTensor:
    shape = spec.shape_of(role)
    if density == 1:
        return BitTensor(shape=shape, packed=None)
    return bernoulli(density, shape, stream(_SEED, spec.name, role))
