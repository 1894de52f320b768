"""The part of a machine that decides its compute cycles: tiles, how work is mapped onto them, and a datapath's keys.

A pass multiplies a *row operand*, which the rows of a tile keep, by a *column operand*, which is broadcast to them.
"""

from __future__ import annotations

from typing import Annotated, Literal, Protocol, TypeVar

from pydantic import Field

from swatsim.keys.constraints import Choice, Integer, Text
from swatsim.keys.part import Part


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


class DatapathKeys(Part):
    """The keys that every family of datapaths has; each family narrows `kind` and adds its own."""

    kind: Annotated[str, Text(longest=100, one_line=True)] = Field(
        description="Family of the datapath; the keys beside it belong to the family."
    )
    value_bytes: Annotated[int, Integer(low=1, high=16)] = Field(
        default=2, description="Bytes of a stored value; the peak rate is at this width."
    )
    accumulator_bytes: Annotated[int, Integer(low=1, high=16)] = Field(default=4, description="Bytes of a partial sum.")


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
    lane_channels: Annotated[Literal["interleaved", "blocked"], Choice(words=("interleaved", "blocked"))] = Field(
        default="interleaved",
        description="Which of a tap's channels a lane holds: interleaved: those that are its number modulo the lanes, "
        "or blocked: a contiguous part, the first lane the first.",
    )
    overlap: Annotated[Literal["none", "prefetch"], Choice(words=("none", "prefetch"))] = Field(
        default="prefetch",
        description="Whether a pass may begin to load while the one before it still computes (prefetch), or begins "
        "after its end (none).",
    )


Keys_co = TypeVar("Keys_co", bound=DatapathKeys, covariant=True)


class Machine(Protocol[Keys_co]):
    """What a datapath sees of an architecture."""

    @property
    def tiles(self) -> int:
        """Tiles of the node."""

    @property
    def tile(self) -> Tile:
        """Shape of a tile."""

    @property
    def datapath(self) -> Keys_co:
        """The keys of the datapath's own family."""

    @property
    def mapping(self) -> Mapping:
        """How work is cut and ordered."""
