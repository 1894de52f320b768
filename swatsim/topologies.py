"""Shapes with random operands of stated densities: what `--density` makes of a file that has no zeros of its own."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace

from swatsim.errors import SwatsimError
from swatsim.layer import Layer, Operand, PassOperands
from swatsim.sources import Request, import_trace
from swatsim.synthesis.generate import bernoulli
from swatsim.synthesis.twin import BERNOULLI, marked, stream
from swatsim.trace import Trace

ROLES = ("input", "weight", "output_grad")
_SEED = 0


def topology_trace(
    path: str | os.PathLike[str], densities: Mapping[str, float], *, name: str, request: Request | None = None
) -> Trace:
    """Read a topology of SCALE-Sim as a synthetic trace: operands with these shares of non-zeros.

    `densities` are of input, weight and output_grad, from 0 to 1; round(density * size) elements of each tensor are
    present, anywhere, the same in each pass that multiplies it. The same file and densities give the same bits.
    `request` may choose layers, and more images than one.

    Raises SwatsimError where the file is no topology, or a density is missing or out of range.
    """
    _check(densities)
    shapes = import_trace(path, request, name=name, kind="scalesim")
    given = shapes.manifest.provenance
    stated = ", ".join(f"{role} {densities[role]:g}" for role in ROLES)
    provenance = {
        **marked(BERNOULLI, _SEED), **{key: given[key] for key in ("file", "kind", "sha256", "remarks")},
        "densities": f"{stated}, as stated",
    }  # fmt: skip
    layers = [_drawn(layer, densities) for layer in shapes]
    return Trace(name, layers, manifest=replace(shapes.manifest, provenance=provenance))


def _check(densities: Mapping[str, float]) -> None:
    for role in ROLES:
        if role not in densities:
            raise SwatsimError(f"density of {role}: got none, expected one from 0 to 1")
    for role, density in densities.items():
        if role not in ROLES:
            raise SwatsimError(f"density: got {role!r}, expected one of {', '.join(ROLES)}")
        if not 0 <= density <= 1 or math.isnan(density):
            raise SwatsimError(f"density of {role}: got {density:g}, expected a number from 0 to 1")


def _drawn(layer: Layer, densities: Mapping[str, float]) -> Layer:
    spec = layer.spec
    bits = {role: bernoulli(densities[role], spec.shape_of(role), stream(_SEED, spec.name, role)) for role in ROLES}
    passes = {
        name: PassOperands(operands={role: Operand(bits=bits[role]) for role in given.operands})
        for name, given in layer.passes.items()
    }
    return Layer(spec=spec, passes=passes)
