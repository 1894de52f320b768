"""What machines are compared and limited by: of a machine alone, or of what it takes for a training step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swatsim.architecture import Architecture
from swatsim.area import area_of
from swatsim.charts.run_rows import outermost_bytes
from swatsim.errors import SwatsimError
from swatsim.keys.problems import shown

Totals = Sequence[Mapping[str, Any]]  # of a report, as a point of a sweep has them
_STEP, _ALL_PASSES = "step", ("forward", "backward")
_PICO = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a machine takes for a step of a trace; for all passes together where no whole step was simulated."""

    cycles: int
    seconds: float
    energy_j: float
    traffic_bytes: int

    @staticmethod
    def of(totals: Totals, clock_hz: int) -> Taken:
        """Read the totals of a report."""
        rows = [row for row in totals if row["pass"] == _STEP] or [row for row in totals if row["pass"] in _ALL_PASSES]
        cycles = sum(row["cycles"] for row in rows)
        return Taken(
            cycles=cycles, seconds=cycles / clock_hz, energy_j=math.fsum(row["energy_pj"] for row in rows) * _PICO,
            traffic_bytes=sum(outermost_bytes(row) for row in rows),
        )  # fmt: skip


# The less the better, all of them.
OF_STEP: Mapping[str, Callable[[Taken], float]] = {
    "cycles": lambda taken: taken.cycles,
    "seconds": lambda taken: taken.seconds,
    "energy_j": lambda taken: taken.energy_j,
    "edp": lambda taken: taken.energy_j * taken.seconds,
    "ed2p": lambda taken: taken.energy_j * taken.seconds**2,
    "power_w": lambda taken: taken.energy_j / taken.seconds if taken.seconds else 0.0,
    "traffic_bytes": lambda taken: taken.traffic_bytes,
}


def _area_mm2(architecture: Architecture) -> float:
    area = area_of(architecture)
    if area.uncounted:
        raise SwatsimError(
            f"area_mm2: got {architecture.name}, whose file does not say the area of {', '.join(area.uncounted)}, "
            "expected all of it"
        )
    return area.total_mm2


def _on_chip_bytes(architecture: Architecture) -> float:
    memory = architecture.memory
    total = 0
    for name, level in memory.levels.items():
        if name != memory.outermost:
            if level.capacity_bytes is None:
                got = f"{architecture.name}, whose {name} is unlimited"
                raise SwatsimError(f"on_chip_bytes: got {got}, expected a size")
            total += level.capacity_bytes * (architecture.tiles if level.per == "tile" else 1)
    return total


OF_MACHINE: Mapping[str, Callable[[Architecture], float]] = {
    "area_mm2": _area_mm2,
    "on_chip_bytes": _on_chip_bytes,
    "macs_per_cycle": lambda architecture: architecture.macs_per_cycle,
}
MEASURES = (*OF_STEP, *OF_MACHINE)


def check_names(option: str, names: Sequence[str]) -> None:
    """Refuse what is no measure, or comes twice. Raises SwatsimError."""
    for number, name in enumerate(names):
        if name not in MEASURES:
            raise SwatsimError(f"{option}: got {shown(name)}, expected one of {', '.join(MEASURES)}")
        if name in names[:number]:
            raise SwatsimError(f"{option}: got {name} twice, expected it once")


def of_machine(architecture: Architecture, names: Sequence[str]) -> dict[str, float]:
    """Those of the named measures that need no simulation. Raises SwatsimError where a machine's file lacks them."""
    return {name: OF_MACHINE[name](architecture) for name in names if name in OF_MACHINE}


def of_steps(taken: Sequence[Taken], names: Sequence[str]) -> dict[str, float]:
    """The others: over several traces the geometric mean of each."""
    return {name: _geometric_mean([OF_STEP[name](each) for each in taken]) for name in names if name in OF_STEP}


def _geometric_mean(values: Sequence[float]) -> float:
    if len(values) == 1:
        return values[0]
    return 0.0 if min(values) <= 0 else math.exp(math.fsum(map(math.log, values)) / len(values))
