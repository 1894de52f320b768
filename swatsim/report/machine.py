"""What a report's rows are measured against: the peak, the clock, the levels and their prices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from swatsim.energy import EnergyTable, energy_table

if TYPE_CHECKING:
    from swatsim.architecture import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The figures of an architecture that turn counts into ratios and energies; shared by all rows of a report."""

    peak_macs_per_cycle: int
    clock_hz: int
    levels: tuple[str, ...]  # outermost first
    dram_bytes_per_cycle: int | None  # of the outermost level, reads and writes together; None: unlimited
    energy: EnergyTable

    @property
    def outermost(self) -> str:
        """The off-chip level."""
        return self.levels[0]

    @property
    def ridge_macs_per_dram_byte(self) -> float | None:
        """MACs per byte at which the peak and the outermost level balance; None where that level is unlimited."""
        return self.peak_macs_per_cycle / self.dram_bytes_per_cycle if self.dram_bytes_per_cycle else None


def machine_of(architecture: Architecture) -> Machine:
    """The figures of an architecture."""
    memory = architecture.memory
    outermost = memory.levels[memory.outermost]
    width = outermost.width_bytes_per_cycle
    directions = 2 if outermost.duplex == "full" else 1
    return Machine(
        peak_macs_per_cycle=architecture.macs_per_cycle,
        clock_hz=architecture.clock_hz,
        levels=tuple(memory.levels),
        dram_bytes_per_cycle=None if width is None else width * directions,
        energy=energy_table(architecture),
    )
