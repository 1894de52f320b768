"""The machine that an architecture file describes: frozen, strictly typed, each key with its unit and range.

A pass multiplies a *row operand*, which stays in SB, by a *column operand*, which NBin broadcasts to the rows.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from swatsim.architecture.constraints import Choice, Integer, Items, Number, Text
from swatsim.architecture.rules import CONTRADICTION, contradictions

LEVELS = ("dram", "central", "sb", "nbin", "nbout")

_CAPACITY = Integer(low=1, high=1 << 50)
_UNLIMITED_CAPACITY = Integer(low=1, high=1 << 50, null="unlimited")
_WIDTH = Integer(low=1, high=1 << 24, null="unlimited")

Move: TypeAlias = Annotated[
    tuple[Annotated[int, Integer(low=1, high=64)], Annotated[int, Integer(low=-63, high=63)]],
    Items(what="integers: steps ahead, lanes aside", fewest=2, most=2),
]


class Part(BaseModel):
    """Base of every mapping of the file: frozen, exact types, no unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", use_attribute_docstrings=False)


class Tile(Part):
    """One tile: rows × columns inner products of `lanes` multipliers each."""

    rows: Annotated[int, Integer(low=1, high=1024)] = Field(
        description="Rows: values of the row operand (filters, in a forward pass) that a tile works on at once."
    )
    columns: Annotated[int, Integer(low=1, high=1024)] = Field(
        description="Columns: values of the column operand (windows, in a forward pass) that a tile works on at once."
    )
    lanes: Annotated[int, Integer(low=1, high=64)] = Field(
        description="Lanes: multipliers of one inner product; a step of the reduction has one value for each."
    )

    @property
    def macs_per_cycle(self) -> int:
        """Multiplications a cycle of one tile at its peak."""
        return self.rows * self.columns * self.lanes


class LanesDatapath(Part):
    """Inner products whose idle multipliers take a later value: what is skipped, from where, who waits for whom."""

    kind: Annotated[Literal["lanes"], Choice(words=("lanes",))] = Field(
        description="Family of the datapath; the keys beside it belong to the family."
    )
    skip: Annotated[
        Literal["none", "rows", "columns", "sparser"], Choice(words=("none", "rows", "columns", "sparser"))
    ] = Field(
        description="Operand whose zeros are skipped: none (reach and barriers then have no effect), the one on the "
        "rows, the one on the columns, or sparser: "
        "whichever has more zeros is put on the rows and scheduled."
    )
    reach: Annotated[Literal["none", "moves", "crossbar"], Choice(words=("none", "moves", "crossbar"))] = Field(
        description="Where an idle multiplier may take a value from: nowhere (with skip none), along the "
        "listed moves, or anywhere in the chunk of steps."
    )
    moves: Annotated[tuple[Move, ...], Items(what="moves [steps ahead, lanes aside]", fewest=0, most=32)] = Field(
        default=(),
        description="With reach moves: [steps ahead, lanes aside] in order of preference; lane l takes from lane "
        "(l + lanes aside) modulo the lanes. The largest number of steps ahead is the lookahead.",
    )
    order: Annotated[Literal["fixed", "most_candidates"], Choice(words=("fixed", "most_candidates"))] = Field(
        default="fixed",
        description="With reach moves: which idle lane chooses first: by lane_order, or the one with most candidates "
        "(recounted after every choice, the lowest lane on a tie).",
    )
    lane_order: Annotated[
        tuple[Annotated[int, Integer(low=0, high=63)], ...] | None,
        Items(what="lanes", fewest=1, most=64, null="0, 1, 2, …"),
    ] = Field(default=None, description="With order fixed: the lanes in the order in which they choose.")
    chunk_steps: Annotated[int | None, Integer(low=1, high=65536, null="reach is not crossbar")] = Field(
        default=None, description="With reach crossbar: steps among which a multiplier may choose."
    )
    lockstep: Annotated[Literal["row", "tile"], Choice(words=("row", "tile"))] = Field(
        description="Who shares one schedule: row: each row advances by itself and rows wait for each other at the "
        "barrier; tile: the rows of a tile advance together, and a step is dropped only when every row is empty."
    )
    barrier: Annotated[Literal["chunk", "buffer", "pass"], Choice(words=("chunk", "buffer", "pass"))] = Field(
        description="When they wait for each other: after each chunk, after each buffer (the reduction of one group of "
        "windows), or only at the end of the pass."
    )
    barrier_tiles: Annotated[int, Integer(low=1, high=65536)] = Field(
        default=1,
        description="Tiles that wait for each other at the barrier (all, where there are fewer); the others wait only "
        "at the end of the pass.",
    )
    value_bytes: Annotated[int, Integer(low=1, high=16)] = Field(
        default=2, description="Bytes of a stored value; the peak rate is at this width."
    )
    accumulator_bytes: Annotated[int, Integer(low=1, high=16)] = Field(default=4, description="Bytes of a partial sum.")


# With a second family this becomes a union discriminated by `kind`; messages and overrides go by key, not by class.
Datapath: TypeAlias = LanesDatapath

_STEP_ORDERS = ("rsc", "rcs", "src", "scr", "crs", "csr")


class Mapping(Part):
    """How the work of a pass is cut and ordered."""

    tile_split: Annotated[Literal["rows", "columns", "best"], Choice(words=("rows", "columns", "best"))] = Field(
        description="What the tiles share out: the rows of the work (as DaDianNao), its columns, or best: the split of "
        "fewest cycles, for the dense machine too."
    )
    flatten: Annotated[Literal["never", "auto"], Choice(words=("never", "auto"))] = Field(
        description="Whether a layer with fewer channels than lanes lays taps and channels side by side in the lanes."
    )
    step_order: Annotated[Literal["rsc", "rcs", "src", "scr", "crs", "csr"], Choice(words=_STEP_ORDERS)] = Field(
        description="Order of the reduction, outermost first: r kernel rows, s kernel columns, c channels in bricks of "
        "one value a lane."
    )
    window_order: Annotated[Literal["npq", "nqp"], Choice(words=("npq", "nqp"))] = Field(
        description="Order of the output positions, outermost first: n images, p output rows, q output columns."
    )


class Level(Part):
    """One level of the memory hierarchy."""

    capacity_bytes: Annotated[int, _CAPACITY] = Field(description="Bytes that it holds.")
    banks: Annotated[int, Integer(low=1, high=65536)] = Field(
        description="Banks that work side by side (no effect yet)."
    )
    width_bytes_per_cycle: Annotated[int | None, _WIDTH] = Field(
        description="Bytes a cycle, all banks together, at clock_hz."
    )
    latency_cycles: Annotated[int, Integer(low=0, high=1_000_000)] = Field(
        description="Cycles from a request to its first byte (only dram's has an effect yet)."
    )
    energy_pj_per_bit: Annotated[float, Number(low=0, high=1_000_000)] = Field(
        description="Picojoules for each bit read or written (no effect yet)."
    )
    format: Annotated[Literal["dense", "bitmap"], Choice(words=("dense", "bitmap"))] = Field(
        description="How operands are stored: every value, or one bit a value and the non-zero values."
    )


class Dram(Level):
    """Off-chip memory: a level whose capacity may be unlimited."""

    capacity_bytes: Annotated[int | None, _UNLIMITED_CAPACITY] = Field(  # type: ignore[assignment]
        description="Bytes that it holds."
    )


class Memory(Part):
    """The levels: dram and central once in the node, sb, nbin and nbout in each tile."""

    dram: Dram = Field(description="Off-chip memory of the node.")
    central: Level = Field(description="On-chip memory of the node: column operands and results.")
    sb: Level = Field(description="Buffer of a tile for the row operand.")
    nbin: Level = Field(description="Buffer of a tile for the column operand, which it broadcasts to the rows.")
    nbout: Level = Field(description="Buffer of a tile for partial sums.")


class Architecture(Part):
    """A node: tiles with a zero-skipping datapath, the mapping of work onto them, and their memory."""

    name: Annotated[str, Text(longest=100, one_line=True)] = Field(description="Name of the machine.")
    description: Annotated[str, Text(longest=10_000, one_line=False)] = Field(
        default="", description="What the machine is, in a sentence or two."
    )
    sources: Annotated[
        tuple[Annotated[str, Text(longest=1_000, one_line=False)], ...],
        Items(what="citations", fewest=0, most=100),
    ] = Field(default=(), description="Publications that the numbers come from.")
    clock_hz: Annotated[int, Integer(low=1, high=10**12)] = Field(description="Hertz of the one clock.")
    tiles: Annotated[int, Integer(low=1, high=65536)] = Field(description="Tiles of the node.")
    tile: Tile = Field(description="Shape of a tile.")
    datapath: Datapath = Field(description="What a tile skips, and how.")
    mapping: Mapping = Field(description="How work is cut and ordered.")
    memory: Memory = Field(description="The memory hierarchy.")

    @property
    def macs_per_cycle(self) -> int:
        """Multiplications a cycle of the node at its peak."""
        return self.tiles * self.tile.macs_per_cycle

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Architecture:
        found = contradictions(self._value)
        if found:
            lines = [
                InitErrorDetails(
                    type=PydanticCustomError(CONTRADICTION, "{text}", {"text": problem.text}),
                    loc=tuple(problem.key.split(".")),
                    input=problem.got,
                )
                for problem in found
            ]
            raise ValidationError.from_exception_data("Architecture", lines)
        return self

    def _value(self, key: str) -> object:
        value: object = self
        for name in key.split("."):
            value = getattr(value, name)
        return value
