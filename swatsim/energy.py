"""Picojoules of what a machine moves and multiplies, each with the band of its sources.

Only what the machine does is priced: bits read and written at each level, and multiplications. Leakage, clocks and
control are not, so a machine that waits costs nothing while it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import fsum
from typing import TYPE_CHECKING

from swatsim.moves import Move

if TYPE_CHECKING:
    from swatsim.architecture import Architecture

_JOULES_PER_PICOJOULE = 1e-12
_BITS_PER_BYTE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A value, and the lowest and highest that its sources allow."""

    value: float
    low: float
    high: float

    def times(self, count: int) -> Band:
        """The band of `count` such things."""
        return Band(value=self.value * count, low=self.low * count, high=self.high * count)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTable:
    """Picojoules per action of one machine."""

    level_pj_per_bit: Mapping[str, Band]  # level, outermost first: a bit read or written
    mac_pj: Band  # one multiplication and its addition


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Picojoules spent at each level, outermost first, and in the multipliers."""

    levels: Mapping[str, Band]
    mac: Band

    @property
    def total(self) -> Band:
        """All of it. The lows and the highs are added too: sources that err, err alike."""
        return _sum((*self.levels.values(), self.mac))


def energy_table(architecture: Architecture) -> EnergyTable:
    """The prices of a machine."""
    return EnergyTable(
        level_pj_per_bit={
            name: _band(level.energy_band_pj_per_bit) for name, level in architecture.memory.levels.items()
        },
        mac_pj=_band(architecture.energy.mac_band_pj),
    )


def spent(moved_bytes: Mapping[Move, int], multiplications: int, table: EnergyTable) -> Energy:
    """Price what was moved and multiplied."""
    bits = dict.fromkeys(table.level_pj_per_bit, 0)
    for move, count in moved_bytes.items():
        bits[move.level] += count * _BITS_PER_BYTE
    return Energy(
        levels={name: price.times(bits[name]) for name, price in table.level_pj_per_bit.items()},
        mac=table.mac_pj.times(multiplications),
    )


def edp_js(energy_pj: float, cycles: int, clock_hz: int) -> float:
    """Energy-delay product, joule seconds."""
    return energy_pj * _JOULES_PER_PICOJOULE * cycles / clock_hz


def average_power_w(energy_pj: float, cycles: int, clock_hz: int) -> float | None:
    """Watts while it runs; None where nothing takes time."""
    return energy_pj * _JOULES_PER_PICOJOULE * clock_hz / cycles if cycles else None


def _band(prices: tuple[float, float, float]) -> Band:
    low, value, high = prices
    return Band(value=value, low=low, high=high)


def _sum(bands: Iterable[Band]) -> Band:
    # fsum rounds once: the sum does not depend on the order of the levels.
    parts = tuple(bands)
    return Band(
        value=fsum(band.value for band in parts),
        low=fsum(band.low for band in parts),
        high=fsum(band.high for band in parts),
    )
