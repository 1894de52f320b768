"""Square millimetres of a machine by component, from the densities of its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swatsim.architecture import Architecture

_BYTES_PER_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Square millimetres of a node; off-chip memory is no part of it."""

    parts_mm2: Mapping[str, float]  # multipliers, levels by name, ...
    uncounted: tuple[str, ...]  # components whose area nobody says

    @property
    def total_mm2(self) -> float:
        """All that is counted."""
        return fsum(self.parts_mm2.values())


def area_of(architecture: Architecture) -> Area:
    """Add up the components of a node."""
    densities = architecture.area
    found: dict[str, float | None] = {
        "multipliers": _product(densities.multiplier_mm2, architecture.macs_per_cycle),
    }
    memory = architecture.memory
    for name, level in memory.levels.items():
        if name == memory.outermost and level.area_mm2_per_mib is None:
            continue
        instances = architecture.tiles if level.per == "tile" else 1
        mebibytes = None if level.capacity_bytes is None else level.capacity_bytes * instances / _BYTES_PER_MIB
        found[name] = _product(level.area_mm2_per_mib, mebibytes)
    found |= {"interconnect": densities.interconnect_mm2, "other": densities.other_mm2}
    parts = {name: area for name, area in found.items() if area is not None}
    parts["overhead"] = densities.overhead_fraction * fsum(parts.values())
    return Area(parts_mm2=parts, uncounted=tuple(name for name, area in found.items() if area is None))


def _product(density: float | None, count: float | None) -> float | None:
    return None if density is None or count is None else density * count
