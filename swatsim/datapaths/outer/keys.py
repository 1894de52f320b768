"""The keys of the datapath family `outer`, and which of them make no sense together (docs/datapaths/outer.md)."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from swatsim.keys.constraints import Choice, Integer, Items
from swatsim.keys.machine import DatapathKeys
from swatsim.keys.rule import Rule

_EXCHANGES = ("added", "overlapped", "none")
Exchange: TypeAlias = Annotated[Literal["added", "overlapped", "none"], Choice(words=_EXCHANGES)]


class Keys(DatapathKeys):
    """PEs that multiply tile.columns values of an image by tile.rows of the other operand, each by each."""

    kind: Annotated[Literal["outer"], Choice(words=("outer",))] = Field(
        description="Family of the datapath; the keys beside it belong to the family."
    )
    skip: Annotated[Literal["both"], Choice(words=("both",))] = Field(
        description="Operands whose zeros are skipped: both, which are multiplied value by value."
    )
    grid: Annotated[
        tuple[Annotated[int, Integer(low=1, high=65536)], ...],
        Items(what="integers: PEs along the height, along the width", fewest=2, most=2),
    ] = Field(description="The tiles are the PEs of a grid; each has a tile of every channel of an image.")
    accumulator_entries: Annotated[int, Integer(low=1, high=1 << 24)] = Field(
        description="Partial sums that a PE holds: they say how many rows it works on at once."
    )
    minimum_rows: Annotated[int, Integer(low=1, high=1024)] = Field(
        default=1,
        description="Rows that a PE works on at once at least, if there are as many: an image whose tiles have results "
        "for fewer is worked on in bands, in forward and input_grad.",
    )
    accumulator_banks: Annotated[int, Integer(low=1, high=1024)] = Field(
        description="Banks of the accumulators: each adds one product a cycle."
    )
    bank_queue: Annotated[int, Integer(low=0, high=1024)] = Field(
        default=0,
        description="Products that may wait in front of a bank: a step ends when none has more of them.",
    )
    bank_hash: Annotated[Literal["scnn", "modulo"], Choice(words=("scnn", "modulo"))] = Field(
        default="scnn",
        description="Bank of a result: scnn mixes low bits of its row and its two coordinates, modulo takes its number "
        "in a dense array of the results.",
    )
    anticipate: Annotated[Literal["none", "range", "exact"], Choice(words=("none", "range", "exact"))] = Field(
        default="none",
        description="Which values of the other operand a group of the image's meets: all (products outside the result "
        "are thrown away), those between the first and last coordinate that any of the group needs, along each axis, "
        "or those with a result, each pair being checked.",
    )
    barrier: Annotated[Literal["channel", "round"], Choice(words=("channel", "round"))] = Field(
        default="channel",
        description="When PEs wait for each other: after each channel of an image, or only after each round: all "
        "channels of a band of an image, in weight_grad all images of a channel.",
    )
    halo: Exchange = Field(
        default="added",
        description="Cycles of the sums that belong to neighbouring PEs: added to each round, overlapped with it (the "
        "round takes the longer of both) or none.",
    )
    merge: Exchange = Field(
        default="overlapped",
        description="The same for the sums that all PEs have of the same results, in weight_grad: they are added up "
        "along both axes of the grid.",
    )
    link_values_per_cycle: Annotated[int, Integer(low=1, high=1 << 16)] = Field(
        default=1, description="Sums that a PE sends to each of its neighbours a cycle."
    )


def _outer(kind: str) -> bool:
    return kind == "outer"


RULES: tuple[Rule, ...] = (
    Rule(
        key="datapath.grid",
        others=("tiles",),
        holds=lambda grid, tiles: grid[0] * grid[1] == tiles,
        expected="a product of {tiles}",
        reason="each tile is a PE of the grid",
    ),
    Rule(
        key="datapath.accumulator_banks",
        others=("datapath.accumulator_entries",),
        holds=lambda banks, entries: banks <= entries,
        expected="at most {datapath.accumulator_entries}",
        reason="a bank holds at least one sum",
    ),
    Rule(
        key="datapath.minimum_rows",
        others=("datapath.accumulator_entries",),
        holds=lambda rows, entries: rows <= entries,
        expected="at most {datapath.accumulator_entries}",
        reason="a row has at least one sum in a PE",
    ),
    Rule(
        key="tile.lanes",
        others=("datapath.kind",),
        holds=lambda lanes, kind: not _outer(kind) or lanes == 1,
        expected="1",
        when="is outer",
        reason="a product is of one value by one value: nothing is summed up inside of a step",
    ),
    Rule(
        key="mapping.step_order",
        others=("datapath.kind",),
        holds=lambda order, kind: not _outer(kind) or order in ("crs", "csr"),
        expected="crs or csr",
        when="is outer",
        reason="PEs work channel by channel, in weight_grad too, where their accumulators hold the taps of one channel",
    ),
    Rule(
        key="mapping.window_order",
        others=("mapping.step_order", "datapath.kind"),
        holds=lambda windows, steps, kind: not _outer(kind) or (windows == "npq") == (steps in ("crs", "rcs", "rsc")),
        expected="npq where r comes before s, nqp where s does",
        reason="with kind outer, both operands are walked through along the same axis",
    ),
)
