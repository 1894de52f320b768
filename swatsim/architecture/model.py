"""The machine that an architecture file describes: frozen, strictly typed, each key with its unit and range.

A pass multiplies a *row operand*, which the rows of a tile keep, by a *column operand*, which is broadcast to them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from swatsim.architecture.constraints import Choice, Integer, Items, Number, Text
from swatsim.architecture.memory import Memory
from swatsim.architecture.part import Part
from swatsim.architecture.rules import CONTRADICTION, contradictions

_PICOJOULES = Number(low=0, high=1_000_000)
_PICOJOULES_EDGE = Number(low=0, high=1_000_000, null="mac_pj")
_SQUARE_MILLIMETRES = Number(low=0, high=1_000_000)
_NODE = Integer(low=1, high=1000, null="not known")
_SOURCE = Text(longest=1_000, one_line=False)

Move: TypeAlias = Annotated[
    tuple[Annotated[int, Integer(low=1, high=64)], Annotated[int, Integer(low=-63, high=63)]],
    Items(what="integers: steps ahead, lanes aside", fewest=2, most=2),
]


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
    overlap: Annotated[Literal["none", "prefetch"], Choice(words=("none", "prefetch"))] = Field(
        default="prefetch",
        description="Whether a pass may begin to load while the one before it still computes (prefetch), or begins "
        "after its end (none).",
    )


class Streaming(Part):
    """The work of a training step beside its multiplications: selection, batch norm, ReLU, weight update."""

    values_per_cycle: Annotated[int, Integer(low=1, high=1 << 24)] = Field(
        default=256, description="Values of elementwise work a cycle (the default is assumed: 16 in each of 16 tiles)."
    )
    select_reads: Annotated[int, Integer(low=0, high=64)] = Field(
        default=2,
        description="Times a tensor is read to find its threshold (the default: two radix passes over magnitudes of "
        "16 bits).",
    )
    state_bytes: Annotated[int, Integer(low=1, high=16)] = Field(
        default=4, description="Bytes of a master weight, and of a momentum."
    )


class Energy(Part):
    """Energy of the arithmetic; that of the memory is at its levels."""

    mac_pj: Annotated[float, _PICOJOULES] = Field(description="Picojoules of a multiplication and its addition.")
    mac_low_pj: Annotated[float | None, _PICOJOULES_EDGE] = Field(
        default=None, description="The least that sources give."
    )
    mac_high_pj: Annotated[float | None, _PICOJOULES_EDGE] = Field(
        default=None, description="The most that sources give."
    )
    mac_node_nm: Annotated[int | None, _NODE] = Field(
        default=None, description="Process node of the energies, in nanometres."
    )
    mac_source: Annotated[str, _SOURCE] = Field(default="", description="Where the energies come from.")

    @property
    def mac_band_pj(self) -> tuple[float, float, float]:
        """Picojoules of a multiplication: the least that sources give, the value, the most."""
        value, low, high = self.mac_pj, self.mac_low_pj, self.mac_high_pj
        return value if low is None else low, value, value if high is None else high


_ASSUMED_ENERGY = Energy(
    mac_pj=0.6, mac_low_pj=0.2, mac_high_pj=1.2, mac_node_nm=28, mac_source="assumed: 16-bit values, 32-bit sums"
)


class Area(Part):
    """Area of what is not memory; that of the memory is at its levels."""

    multiplier_mm2: Annotated[float | None, Number(low=0, high=1_000_000, null="not known")] = Field(
        default=None, description="Square millimetres of a multiplier, with its share of adders, registers and control."
    )
    interconnect_mm2: Annotated[float, _SQUARE_MILLIMETRES] = Field(
        default=0.0, description="Square millimetres of links, buses and wires."
    )
    other_mm2: Annotated[float, _SQUARE_MILLIMETRES] = Field(default=0.0, description="Square millimetres of all else.")
    overhead_fraction: Annotated[float, Number(low=0, high=1000)] = Field(
        default=0.0, description="What skipping adds to the sum of all parts, as a share of it."
    )
    node_nm: Annotated[int | None, _NODE] = Field(default=None, description="Process node of the areas, in nanometres.")
    source: Annotated[str, _SOURCE] = Field(default="", description="Where the areas come from.")


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
    memory: Memory = Field(
        description="The memory hierarchy: levels under names of your own, outermost first. The first is off chip and "
        "holds everything; an operand goes down, and a result up, through those that hold it."
    )
    streaming: Streaming = Field(
        default=Streaming(), description="How fast the work goes that is not a multiplication of two tensors."
    )
    energy: Energy = Field(
        default=_ASSUMED_ENERGY,
        description=f"Energy of the arithmetic. Left out: {_ASSUMED_ENERGY.mac_pj} pJ, {_ASSUMED_ENERGY.mac_low_pj} to "
        f"{_ASSUMED_ENERGY.mac_high_pj}, {_ASSUMED_ENERGY.mac_source}.",
    )
    area: Area = Field(default=Area(), description="Area of what is not memory.")

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
                    loc=problem.key,
                    input=problem.got,
                )
                for problem in found
            ]
            raise ValidationError.from_exception_data("Architecture", lines)
        return self

    def _value(self, key: tuple[str, ...]) -> object:
        value: Any = self
        for name in key:
            value = value[name] if isinstance(value, dict) else getattr(value, name)
            value = value.levels if isinstance(value, Memory) else value
        return value
