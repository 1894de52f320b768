"""A dense systolic array: one operand or the results stay in it, what moves goes from neighbour to neighbour.

N. P. Jouppi et al., "In-Datacenter Performance Analysis of a Tensor Processing Unit", ISCA 2017; A. Samajdar et al., "A
Systematic Methodology for Characterizing Scalability of DNN Accelerators using SCALE-Sim", ISPASS 2020. Rules:
docs/datapaths/systolic.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from swatsim.contraction import Contraction
from swatsim.kernels.folds import run_folds
from swatsim.keys.constraints import Choice, Integer
from swatsim.keys.machine import DatapathKeys, Machine
from swatsim.keys.rule import Rule
from swatsim.mapping import splits
from swatsim.way import Extent, Losses, Relaxation, Schedule, Way, Ways

KIND = "systolic"
# What `swatsim explain` tries.
RELAXATIONS = (
    Relaxation("datapath.between_folds", "overlap", ("barriers",)),
    Relaxation("datapath.stream_vectors", losses=("barriers", "edges")),
)

_DATAFLOWS = ("weight_stationary", "output_stationary", "input_stationary")


class Keys(DatapathKeys):
    """A dense array of tile.rows × tile.columns multipliers, each linked to its neighbours."""

    kind: Annotated[Literal["systolic"], Choice(words=("systolic",))] = Field(
        description="Family of the datapath; the keys beside it belong to the family."
    )
    dataflow: Annotated[
        Literal["weight_stationary", "output_stationary", "input_stationary"], Choice(words=_DATAFLOWS)
    ] = Field(
        description="What stays in the array: the row operand (the weights in forward and input_grad), the results, or "
        "the column operand. An operand that stays has its reduction along tile.rows and its vectors along "
        "tile.columns; results that stay have the rows of the work along tile.rows and its columns along tile.columns."
    )
    between_folds: Annotated[Literal["wait", "overlap"], Choice(words=("wait", "overlap"))] = Field(
        description="wait: a fold is loaded when all results of the one before it have left the array; overlap: it is "
        "loaded (output_stationary: the one before it is unloaded) while the other streams, through a second register "
        "in each multiplier, and streams follow each other without a gap."
    )
    stream_vectors: Annotated[int | None, Integer(low=1, high=1 << 24, null="all that there are")] = Field(
        default=None,
        description="Vectors that stream past each fold of a stationary operand before the next fold: as many as there "
        "are accumulators for each column of the array. No effect with output_stationary.",
    )


RULES: tuple[Rule, ...] = (
    Rule(
        key="tile.lanes",
        others=("datapath.kind",),
        holds=lambda lanes, kind: kind != KIND or lanes == 1,
        expected="1",
        when="is systolic",
        reason="each place of the array is one multiplier",
    ),
)


def ways(contraction: Contraction, machine: Machine[Keys]) -> Ways:
    """See `Datapath`: nothing is skipped, and what stays is on the machine's rows."""
    turned = machine.datapath.dataflow == "input_stationary"
    return Ways(skipping=(), dense=tuple(Way(split=split, transposed=turned) for split in splits(machine)))


def schedule(contraction: Contraction, machine: Machine[Keys], ways: Sequence[Way]) -> tuple[Schedule, ...]:
    """See `Datapath`: the cycles follow from shapes alone."""
    return tuple(_run(contraction, way, machine) for way in ways)


def _run(contraction: Contraction, way: Way, machine: Machine[Keys]) -> Schedule:
    rows, columns = contraction.rows, contraction.columns
    if way.transposed:
        rows, columns = columns, rows
    array, datapath, split = machine.tile, machine.datapath, way.split
    elements = rows.offset.size
    if datapath.dataflow == "output_stationary":
        both = (Extent.of(array.rows, split.row_tiles), Extent.of(array.columns, split.column_tiles))
        folds, streamed = 1, np.full(both[1].rounds(columns.vectors), elements, dtype=np.int64)
    else:
        share = -(-columns.vectors // split.column_tiles)
        stream = Extent.of(min(datapath.stream_vectors or share, share), split.column_tiles)
        both = (Extent.of(array.columns, split.row_tiles), stream)
        folds = -(-elements // array.rows)
        # The first tile is dealt to first: no other has more.
        streamed = np.minimum(stream.per_tile, np.arange(columns.vectors, 0, -stream.at_once))
    rounds = rows.groups * both[0].rounds(rows.vectors)
    cycles = np.zeros((1, rounds, streamed.size), dtype=np.int64)
    loads = np.full(rounds * folds, array.rows, dtype=np.int64)
    run_folds(
        np.arange(rounds + 1) * folds, loads, streamed, array.rows + array.columns - 2,
        datapath.between_folds == "overlap", cycles[0],
    )  # fmt: skip
    busy = rounds * folds * int(streamed.sum())
    return Schedule(
        way=way, rows=rows, columns=columns, extents=both, cycles=cycles,
        losses=lambda: Losses(barriers=int(cycles.sum()) - busy),
    )  # fmt: skip
