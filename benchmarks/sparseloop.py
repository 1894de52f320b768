"""Sparseloop's published evaluation of tensor cores on four layers of ResNet-50, and ours of the same products."""

from __future__ import annotations

from typing import NamedTuple

import swatsim
from benchmarks.compute import network_cycles
from benchmarks.workloads import product, two_of_four
from swatsim.architecture import Architecture
from swatsim.layer import Layer


class Product(NamedTuple):
    """M filters x K x N columns, the density of the activations; a quarter of the weights is there."""

    shape: tuple[int, int, int]
    density: float
    dense: int  # published cycles of 1024 multipliers
    two_of_four: int
    dual_side: int


WEIGHT_DENSITY = 0.25
PRODUCTS = (
    Product((128, 1152, 1024), 0.44, 147456, 73728, 37083),
    Product((512, 1024, 256), 0.27, 131072, 65536, 28699),
    Product((512, 128, 1024), 0.56, 65536, 32768, 17980),
    Product((512, 256, 1024), 0.82, 131072, 65536, 44257),
)
# Of as many multipliers as the published figures are for.
MACHINES = {"two_of_four": ("sparse-tensor-core", 1), "dual_side": ("dual-side-tensor-core", 8)}


def machine(kind: str) -> Architecture:
    """1024 multipliers of a tensor core."""
    name, tiles = MACHINES[kind]
    return swatsim.load_architecture(name, overrides={"tiles": tiles})


def ours() -> list[dict[str, int]]:
    """Our compute cycles, for each of PRODUCTS."""
    return [{"dense": _cycles("two_of_four", each)[1]} | {kind: _cycles(kind, each)[0] for kind in MACHINES}
            for each in PRODUCTS]  # fmt: skip


def _cycles(kind: str, each: Product) -> tuple[int, int]:
    layer: Layer
    if kind == "two_of_four":
        layer = two_of_four("2:4", each.shape, WEIGHT_DENSITY, each.density)
    else:
        layer = product("dual", each.shape, (WEIGHT_DENSITY, each.density))
    found = network_cycles(machine(kind), [layer], ("forward",))["forward"]
    return found.actual, found.dense
