"""The machine that an architecture file describes: frozen, strictly typed, each key with its unit and range."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import Field, GetCoreSchemaHandler, model_validator
from pydantic_core import (
    CoreSchema,
    InitErrorDetails,
    PydanticCustomError,
    PydanticKnownError,
    ValidationError,
    core_schema,
)

from swatsim.architecture.memory import Memory
from swatsim.architecture.rules import CONTRADICTION, contradictions
from swatsim.datapaths import datapaths
from swatsim.keys.constraints import Integer, Items, Number, Text
from swatsim.keys.machine import DatapathKeys, Mapping, Tile
from swatsim.keys.part import Part
from swatsim.plain_text import printable

_PICOJOULES = Number(low=0, high=1_000_000)
_PICOJOULES_EDGE = Number(low=0, high=1_000_000, null="mac_pj")
_KNOWN_MILLIMETRES = Number(low=0, high=1_000_000, null="not known")
_NODE = Integer(low=1, high=1000, null="not known")
_SOURCE = Text(longest=1_000, one_line=False)


class _Families:
    """Told apart by `kind`, whatever modules there are; only that of the machine is imported."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(_family_of)


def _family_of(value: object) -> DatapathKeys:
    if isinstance(value, DatapathKeys):
        return value
    if not isinstance(value, dict):
        raise PydanticKnownError("model_attributes_type")
    if "kind" not in value:
        raise PydanticKnownError("union_tag_not_found", {"discriminator": "'kind'"})
    found = datapaths().get(value["kind"]) if isinstance(value["kind"], str) else None
    if found is None:
        tag = printable(str(value["kind"]))  # of JSON it may have half a character, which pydantic refuses itself
        tags = {"discriminator": "'kind'", "tag": tag, "expected_tags": ", ".join(datapaths())}
        raise PydanticKnownError("union_tag_invalid", tags)
    return found.Keys.model_validate(value)


Datapath: TypeAlias = Annotated[DatapathKeys, _Families()]


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


# Constructed without a check, which only a whole Architecture needs.
_ASSUMED_ENERGY = Energy.model_construct(
    mac_pj=0.6, mac_low_pj=0.2, mac_high_pj=1.2, mac_node_nm=28, mac_source="assumed: 16-bit values, 32-bit sums"
)


class Area(Part):
    """Area of what is not memory; that of the memory is at its levels."""

    multiplier_mm2: Annotated[float | None, _KNOWN_MILLIMETRES] = Field(
        default=None, description="Square millimetres of a multiplier, with its share of adders, registers and control."
    )
    interconnect_mm2: Annotated[float | None, _KNOWN_MILLIMETRES] = Field(
        default=0.0, description="Square millimetres of links, buses and wires."
    )
    other_mm2: Annotated[float | None, _KNOWN_MILLIMETRES] = Field(
        default=0.0, description="Square millimetres of all else."
    )
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
        default=Streaming.model_construct(),
        description="How fast the work goes that is not a multiplication of two tensors.",
    )
    energy: Energy = Field(
        default=_ASSUMED_ENERGY,
        description=f"Energy of the arithmetic. Left out: {_ASSUMED_ENERGY.mac_pj} pJ, {_ASSUMED_ENERGY.mac_low_pj} to "
        f"{_ASSUMED_ENERGY.mac_high_pj}, {_ASSUMED_ENERGY.mac_source}.",
    )
    area: Area = Field(default=Area.model_construct(), description="Area of what is not memory.")

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
