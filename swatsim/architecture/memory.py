"""The memory hierarchy as an architecture file gives it: levels under names of its own, outermost first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field, RootModel

from swatsim.keys.constraints import Choice, Integer, Items, Named, Number, Text
from swatsim.keys.part import Part

# What a contraction moves, by its place in the machine.
OPERANDS = ("rows", "columns", "results")
# DRAM whose timing swatsim.dram knows.
STANDARDS = ("ddr4-2400", "ddr4-3200", "lpddr4-3200", "hbm2")
FORMATS = ("dense", "bitmap", "csr", "csc", "run_length", "zfnaf")
FEWEST_LEVELS = 3
MOST_LEVELS = 12
# A report uses these beside the names of levels.
_RESERVED = ("compute", "conflict", "refresh", "latency", "total", "mac")

Operand: TypeAlias = Literal["rows", "columns", "results"]

_CYCLES = Integer(low=0, high=1_000_000)
_WIDTH = Integer(low=1, high=1 << 24, null="unlimited")
_ENERGY = Number(low=0, high=1_000_000)
_ENERGY_EDGE = Number(low=0, high=1_000_000, null="energy_pj_per_bit")
_SOURCE = Text(longest=1_000, one_line=False)


class Level(Part):
    """One level of the memory hierarchy; sizes and rates are of one instance: the node's, or each tile's."""

    holds: Annotated[
        tuple[Annotated[Operand, Choice(words=OPERANDS)], ...],
        Items(what="of rows, columns, results", fewest=1, most=3),
    ] = Field(
        description="What it holds: the operand on the tile's rows, the one on its columns, the results (and sums that "
        "become results). Each comes from, or goes to, the next level outwards that holds the same."
    )
    per: Annotated[Literal["node", "tile"], Choice(words=("node", "tile"))] = Field(
        description="Whether the node has one, or each tile."
    )
    capacity_bytes: Annotated[int | None, Integer(low=1, high=1 << 50, null="unlimited")] = Field(
        description="Bytes that one instance holds."
    )
    banks: Annotated[int, Integer(low=1, high=65536)] = Field(
        description="Banks that work side by side; of the outermost level: channels."
    )
    bank_cycles: Annotated[int, Integer(low=1, high=1_000_000)] = Field(
        default=1,
        description="Cycles for which an access occupies its bank: 2 where a read destroys what it reads and has to "
        "restore it.",
    )
    width_bytes_per_cycle: Annotated[int | None, _WIDTH] = Field(
        description="Bytes that one instance reads a cycle, all banks together, and as many that it writes."
    )
    fill_bytes_per_cycle: Annotated[int | None, _WIDTH] = Field(
        default=None,
        description="Bytes a cycle that the network brings from the level above to all instances together, what is "
        "broadcast counted once. Without effect where the width is unlimited.",
    )
    latency_cycles: Annotated[int, _CYCLES] = Field(description="Cycles from a request to its first byte.")
    refresh_period_cycles: Annotated[int | None, Integer(low=1, high=1 << 40, null="no refresh")] = Field(
        default=None,
        description="Cycles from one refresh to the next: of a row where rows take turns, or of everything at once.",
    )
    refresh_cycles: Annotated[int, Integer(low=0, high=1 << 40)] = Field(
        default=0, description="Cycles of each period in which the level serves nothing, because it refreshes."
    )
    energy_pj_per_bit: Annotated[float, _ENERGY] = Field(description="Picojoules for each bit read or written.")
    energy_low_pj_per_bit: Annotated[float | None, _ENERGY_EDGE] = Field(
        default=None, description="The least that sources give."
    )
    energy_high_pj_per_bit: Annotated[float | None, _ENERGY_EDGE] = Field(
        default=None, description="The most that sources give."
    )
    energy_node_nm: Annotated[int | None, Integer(low=1, high=1000, null="not known")] = Field(
        default=None, description="Process node of the energies, in nanometres."
    )
    energy_source: Annotated[str, _SOURCE] = Field(default="", description="Where the energies come from.")
    area_mm2_per_mib: Annotated[float | None, Number(low=0, high=1_000_000, null="not counted")] = Field(
        default=None, description="Square millimetres for each 2^20 bytes."
    )
    area_source: Annotated[str, _SOURCE] = Field(default="", description="Where the area comes from.")
    format: Annotated[Literal["dense", "bitmap", "csr", "csc", "run_length", "zfnaf"], Choice(words=FORMATS)] = Field(
        description="How operands are stored: every value (dense), or the non-zero values with one bit a value "
        "(bitmap), in compressed rows or columns (csr, csc), with 4-bit runs of zeros (run_length), or in bricks with "
        "offsets (zfnaf)."
    )
    standard: Annotated[
        Literal["ddr4-2400", "ddr4-3200", "lpddr4-3200", "hbm2"] | None, Choice(words=STANDARDS, null="a plain pipe")
    ] = Field(
        default=None,
        description="DRAM standard whose timing the outermost level has: `banks` channels of it, and the width is a "
        "cap, as of a link (unlimited: timing is not modelled).",
    )
    duplex: Annotated[Literal["half", "full"], Choice(words=("half", "full"))] = Field(
        default="half",
        description="Whether the outermost level reads and writes in turn (half), or at once, each at the full width "
        "(full).",
    )

    @property
    def energy_band_pj_per_bit(self) -> tuple[float, float, float]:
        """Picojoules a bit: the least that sources give, the value, the most."""
        value, low, high = self.energy_pj_per_bit, self.energy_low_pj_per_bit, self.energy_high_pj_per_bit
        return value if low is None else low, value, value if high is None else high


_Levels: TypeAlias = Annotated[
    dict[str, Level],
    Named(
        one="level",
        what="levels, outermost first",
        fewest=FEWEST_LEVELS,
        most=MOST_LEVELS,
        reserved=_RESERVED,
    ),
]


class Memory(RootModel[_Levels]):
    """The levels by name, outermost first; that one is off chip."""

    model_config = ConfigDict(frozen=True, strict=True, defer_build=True)

    def __eq__(self, other: object) -> bool:
        """Levels in another order are another hierarchy."""
        return isinstance(other, Memory) and list(self.levels.items()) == list(other.levels.items())

    def __hash__(self) -> int:
        return hash(tuple(self.levels.items()))

    @property
    def levels(self) -> dict[str, Level]:
        """Levels by name, outermost first; not to be changed."""
        return self.root

    @property
    def outermost(self) -> str:
        """The off-chip level, which holds everything."""
        return next(iter(self.levels))

    def path(self, operand: Operand) -> tuple[str, ...]:
        """Levels that hold rows, columns or results, outermost first."""
        return self._paths[operand]

    @cached_property
    def _paths(self) -> dict[str, tuple[str, ...]]:
        holds = {name: level.holds for name, level in self.levels.items()}
        return {operand: path_of(holds, operand) for operand in OPERANDS}

    def resident(self, operand: Operand) -> str:
        """The outermost on-chip level of rows, columns or results, where blocks are kept."""
        return self.path(operand)[1]

    def innermost(self, operand: Operand) -> str:
        """The level of rows, columns or results that is next to the multipliers."""
        return self.path(operand)[-1]


def path_of(holds: Mapping[str, Sequence[str]], operand: str) -> tuple[str, ...]:
    """The levels that hold an operand, in order; `holds` is what each level holds."""
    return tuple(name for name, held in holds.items() if operand in held)
