"""Outer products of condensed vectors: in each element of the reduction, non-zeros of rows times those of columns.

Y. Wang et al., "Dual-side Sparse Tensor Core", ISCA 2021. Rules: docs/datapaths/matrix_outer.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from swatsim.contraction import Contraction
from swatsim.kernels.gather import count_by_element
from swatsim.kernels.matrix_outer import multiply_pieces
from swatsim.keys.constraints import Choice, Integer
from swatsim.keys.machine import DatapathKeys, Machine
from swatsim.keys.rule import Rule
from swatsim.mapping import splits
from swatsim.presence import count_met
from swatsim.sides import Side
from swatsim.way import Extent, Losses, Relaxation, Schedule, Way, Ways, waiting

KIND = "matrix_outer"
# What `swatsim explain` tries.
RELAXATIONS = (Relaxation("datapath.barrier", "pass", ("tiles", "barriers")),)

_BLOCK = Integer(low=1, high=4096)


class Keys(DatapathKeys):
    """Each tile is a unit of tile.rows × tile.columns multipliers that computes one outer product a cycle."""

    kind: Annotated[Literal["matrix_outer"], Choice(words=("matrix_outer",))] = Field(
        description="Family of the datapath; the keys beside it belong to the family."
    )
    skip: Annotated[Literal["none", "both"], Choice(words=("none", "both"))] = Field(
        description="none: all values are multiplied; both: in each element of the reduction the non-zeros of a "
        "block's rows, and those of its columns, are moved together before they are multiplied."
    )
    block_rows: Annotated[int, _BLOCK] = Field(description="Rows of a block, which one tile works on at once.")
    block_columns: Annotated[int, _BLOCK] = Field(description="Columns of a block.")
    barrier: Annotated[Literal["block", "pass"], Choice(words=("block", "pass"))] = Field(
        description="When tiles wait for each other: after each block, or only at the end of the pass."
    )


RULES: tuple[Rule, ...] = (
    Rule(
        key="tile.lanes",
        others=("datapath.kind",),
        holds=lambda lanes, kind: kind != KIND or lanes == 1,
        expected="1",
        when="is matrix_outer",
        reason="an outer product has one element of the reduction at a time",
    ),
)


def ways(contraction: Contraction, machine: Machine[Keys]) -> Ways:
    """See `Datapath`: each split of the tiles."""
    skipping = () if machine.datapath.skip == "none" else tuple(splits(machine))
    return Ways(
        skipping=tuple(Way(split=split, skips=("rows", "columns")) for split in skipping),
        dense=tuple(Way(split=split) for split in splits(machine)),
    )


def schedule(contraction: Contraction, machine: Machine[Keys], ways: Sequence[Way]) -> tuple[Schedule, ...]:
    """See `Datapath`: the blocks are the same for every split."""
    found: dict[bool, NDArray[np.int64]] = {}
    for way in ways:
        skips = bool(way.skips)
        if skips not in found:
            found[skips] = _block_cycles(contraction, machine, skips=skips)
    return tuple(_run(contraction, found[bool(way.skips)], way, machine) for way in ways)


def _block_cycles(contraction: Contraction, machine: Machine[Keys], *, skips: bool) -> NDArray[np.int64]:
    """Cycles [group, row block, column block]."""
    rows, columns = contraction.rows, contraction.columns
    blocks = (machine.datapath.block_rows, machine.datapath.block_columns)
    counts = [-(-side.vectors // block) for side, block in zip((rows, columns), blocks, strict=True)]
    cycles = np.empty((rows.groups, *counts), dtype=np.int64)
    for group in range(rows.groups):
        pieces = (
            _pieces(rows, group, blocks[0], machine.tile.rows, skips=skips),
            _pieces(columns, group, blocks[1], machine.tile.columns, skips=skips),
        )
        multiply_pieces(*pieces, cycles[group])
    return cycles


def _pieces(side: Side, group: int, block: int, piece: int, *, skips: bool) -> NDArray[np.int32]:
    elements = side.offset.size
    if not skips:
        sizes = np.minimum(block, np.arange(side.vectors, 0, -block))
        return np.repeat(-(-sizes // piece), elements).reshape(-1, elements).astype(np.int32)
    counts = np.empty((-(-side.vectors // block), elements), dtype=np.int64)
    count_by_element(side.words, side.base[group], side.reduction.runs, block, counts)
    return (-(-counts // piece)).astype(np.int32)


def _run(contraction: Contraction, cycles: NDArray[np.int64], way: Way, machine: Machine[Keys]) -> Schedule:
    split, datapath = way.split, machine.datapath
    both = (Extent.of(datapath.block_rows, split.row_tiles), Extent.of(datapath.block_columns, split.column_tiles))
    by_tile = _dealt(cycles, (split.row_tiles, split.column_tiles))
    rounds = by_tile.max(axis=0, keepdims=True) if datapath.barrier == "block" else by_tile

    def losses() -> Losses:
        needed = count_met(contraction.rows, contraction.columns) if way.skips else contraction.macs
        tasks = _dealt(np.ones_like(cycles), (split.row_tiles, split.column_tiles))
        return _losses(by_tile, tasks, needed, machine)

    return Schedule(
        way=way, rows=contraction.rows, columns=contraction.columns, extents=both, cycles=rounds, losses=losses
    )


def _dealt(cycles: NDArray[np.int64], tiles: tuple[int, int]) -> NDArray[np.int64]:
    """Cycles [tile, group · rounds + round, column round] of blocks dealt in order, without tiles that get none."""
    groups, rows, columns = cycles.shape
    used = (min(tiles[0], rows), min(tiles[1], columns))
    rounds = (-(-rows // tiles[0]), -(-columns // tiles[1]))
    padded = np.zeros((groups, rounds[0] * used[0], rounds[1] * used[1]), dtype=np.int64)
    padded[:, :rows, :columns] = cycles
    parts = padded.reshape(groups, rounds[0], used[0], rounds[1], used[1])
    return np.ascontiguousarray(parts.transpose(2, 4, 0, 1, 3)).reshape(used[0] * used[1], -1, rounds[1])


def _losses(by_tile: NDArray[np.int64], blocks: NDArray[np.int64], needed: int, machine: Machine[Keys]) -> Losses:
    """`needed` positions are all that would have to be multiplied; `blocks` like `by_tile`, 1 where there is one."""
    totals, tasks = (np.zeros((machine.tiles, 1), dtype=np.int64) for _ in range(2))
    totals[: by_tile.shape[0], 0] = by_tile.sum(axis=(1, 2))
    tasks[: by_tile.shape[0], 0] = blocks.sum(axis=(1, 2))
    waste = int(totals.sum()) * machine.tile.macs_per_cycle - needed
    together = int(by_tile.max(axis=0).sum()) if machine.datapath.barrier == "block" else int(totals.max())
    _, tiles, barriers = waiting(totals, tasks, together)
    return Losses(reach=waste // (machine.tiles * machine.tile.macs_per_cycle), tiles=tiles, barriers=barriers)
