"""The memory hierarchy as the mapper and the timeline need it: numbered levels, and which of them hold what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swatsim.architecture import OPERANDS, Architecture, Level, path_of
from swatsim.dram import pipe_and_channel, refresh
from swatsim.energy import energy_table
from swatsim.kernels.dram import Channel
from swatsim.kernels.engines import Timing
from swatsim.kernels.off_chip import Pipe

IntArray = NDArray[np.int64]

FEMTOJOULES = 1000  # of a picojoule


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hierarchy:
    """A machine's memory; level 0 is off chip, `index` numbers the levels by name."""

    architecture: Architecture
    formats: Mapping[str, str] | None  # the user's own by tensor; None: everything is stored dense
    names: tuple[str, ...]
    index: Mapping[str, int]
    paths: Mapping[str, tuple[str, ...]]  # by operand: the levels that hold it, outermost first
    capacity: IntArray  # [level]: bytes of one instance; -1: unlimited
    in_tiles: NDArray[np.bool_]  # [on-chip level]: whether each tile has its own
    timing: Timing
    reading: tuple[Pipe, Channel]  # off chip
    writing: tuple[Pipe, Channel]
    bit_energy: IntArray  # [level]: femtojoules for a bit
    mac_energy: int

    @property
    def levels(self) -> Mapping[str, Level]:
        """The levels by name, outermost first."""
        return self.architecture.memory.levels

    def resident(self, operand: str) -> int:
        """The level where blocks of rows, columns or results are kept."""
        return self.index[self.paths[operand][1]]

    def room(self, level: int) -> int | None:
        """Bytes that one instance of a level holds."""
        return self.levels[self.names[level]].capacity_bytes

    def tensor_format(self, operand: str, tensor: str, *, full: bool) -> dict[str, str]:
        """The format of an operand at each level that holds it; the user's own where blocks are kept.

        A tensor without zeros (`full`) is stored dense unless the user asks for something else: none makes it smaller.
        """
        path = self.paths[operand]
        if self.formats is None:
            return dict.fromkeys(path, "dense")
        own = self.formats.get(tensor)
        return {
            name: own if own and name in path[:2] else "dense" if full else self.levels[name].format for name in path
        }


def hierarchy_of(architecture: Architecture, formats: Mapping[str, str] | None) -> Hierarchy:
    """Number the levels of a machine and gather what decides their time and energy."""
    levels = architecture.memory.levels
    names = tuple(levels)
    holds = {name: level.holds for name, level in levels.items()}
    table = energy_table(architecture)
    reading, writing = (
        pipe_and_channel(levels[names[0]], architecture.clock_hz, write=write) for write in (False, True)
    )
    return Hierarchy(
        architecture=architecture, formats=formats, names=names,
        index={name: number for number, name in enumerate(names)}, timing=_timing(architecture),
        reading=reading, writing=writing,
        paths={operand: path_of(holds, operand) for operand in OPERANDS},
        capacity=_numbers(-1 if level.capacity_bytes is None else level.capacity_bytes for level in levels.values()),
        in_tiles=np.array([level.per == "tile" for level in list(levels.values())[1:]]),
        bit_energy=_numbers(round(table.level_pj_per_bit[name].value * FEMTOJOULES) for name in names),
        mac_energy=round(table.mac_pj.value * FEMTOJOULES),
    )  # fmt: skip


def _timing(architecture: Architecture) -> Timing:
    memory = architecture.memory
    levels = list(memory.levels.values())
    refreshes = [refresh(level, architecture.clock_hz) for level in levels]
    latency = {name: level.latency_cycles for name, level in memory.levels.items()}
    table = [
        (level.width_bytes_per_cycle or 0, level.fill_bytes_per_cycle or 0, level.banks, level.bank_cycles, *refreshed)
        for level, refreshed in zip(levels, refreshes, strict=True)
    ]
    return Timing(
        levels=np.array(table, dtype=np.int64),
        load_latency=latency[memory.outermost],
        start_latency=max(sum(latency[name] for name in memory.path(side)[1:]) for side in ("rows", "columns")),
        store_latency=sum(latency[name] for name in memory.path("results")[1:]),
        full_duplex=levels[0].duplex == "full",
    )


def _numbers(values: Iterable[int]) -> IntArray:
    return np.array(list(values), dtype=np.int64)
