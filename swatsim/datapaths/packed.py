"""Non-zeros of a stationary operand packed densely onto all multipliers, past which the other operand streams.

E. Qin et al., "SIGMA: A Sparse and Irregular GEMM Accelerator with Flexible Interconnects for DNN Training", HPCA 2020.
Rules: docs/datapaths/packed.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from swatsim.contraction import Contraction
from swatsim.kernels.folds import run_folds
from swatsim.kernels.gather import list_runs
from swatsim.keys.constraints import Choice, Integer
from swatsim.keys.machine import DatapathKeys, Machine
from swatsim.keys.rule import Rule
from swatsim.mapping import splits
from swatsim.presence import count_met
from swatsim.sides import Side, count_vectors
from swatsim.way import Extent, Losses, Relaxation, Schedule, Way, Ways

KIND = "packed"
# What `swatsim explain` tries.
RELAXATIONS = (
    Relaxation("datapath.between_folds", "overlap", ("barriers",)),
    Relaxation("datapath.stream_vectors", losses=("barriers", "edges")),
    Relaxation("datapath.load_values_per_cycle", losses=("barriers",)),
)


class Keys(DatapathKeys):
    """All multipliers hold non-zeros of one operand, wherever they come from."""

    kind: Annotated[Literal["packed"], Choice(words=("packed",))] = Field(
        description="Family of the datapath; the keys beside it belong to the family."
    )
    stationary: Annotated[Literal["rows", "columns", "sparser"], Choice(words=("rows", "columns", "sparser"))] = Field(
        description="Operand whose non-zeros are packed onto the multipliers, those left out that meet nothing but "
        "zeros; the other streams. sparser: whichever has more zeros. It is put on the machine's rows."
    )
    load_values_per_cycle: Annotated[int, Integer(low=1, high=1 << 20)] = Field(
        description="Values of the stationary operand that are loaded in a cycle, into all multipliers that work "
        "on the same vectors."
    )
    reduction_cycles: Annotated[int, Integer(low=0, high=1024)] = Field(
        description="Cycles from the last products of a fold to its finished sums: levels of the adder tree, and the "
        "write."
    )
    between_folds: Annotated[Literal["wait", "overlap"], Choice(words=("wait", "overlap"))] = Field(
        description="wait: a fold is loaded when all sums of the one before it are finished; overlap: it is loaded, "
        "into a second register of each multiplier, while the one before it still works."
    )
    stream_vectors: Annotated[int | None, Integer(low=1, high=1 << 24, null="all that there are")] = Field(
        default=None,
        description="Vectors of the other operand that stream past each fold before the next one: as many as there is "
        "room for partial sums.",
    )


RULES: tuple[Rule, ...] = ()


def ways(contraction: Contraction, machine: Machine[Keys]) -> Ways:
    """See `Datapath`: with `stationary: sparser` the dense machine may use either orientation."""
    stationary = machine.datapath.stationary
    rows, columns = contraction.rows, contraction.columns
    sparser = columns.nonzeros * rows.positions < rows.nonzeros * columns.positions
    turned = stationary == "columns" or (stationary == "sparser" and sparser)
    orientations = (False, True) if stationary == "sparser" else (turned,)
    return Ways(
        skipping=tuple(
            Way(split=split, transposed=turned, skips=("rows", "columns")) for split in splits(machine)
        ),
        dense=tuple(Way(split=split, transposed=each) for each in orientations for split in splits(machine)),
    )  # fmt: skip


def schedule(contraction: Contraction, machine: Machine[Keys], ways: Sequence[Way]) -> tuple[Schedule, ...]:
    """See `Datapath`: what is worth loading is found only once for each orientation."""
    found: dict[tuple[bool, bool], NDArray[np.int64]] = {}
    schedules = []
    for way in ways:
        rows, columns = contraction.rows, contraction.columns
        if way.transposed:
            rows, columns = columns, rows
        key = (way.transposed, bool(way.skips))
        if key not in found:
            found[key] = _useful(rows, columns) if way.skips else np.full_like(rows.base, rows.offset.size)
        schedules.append(_run((rows, columns), found[key], way, machine))
    return tuple(schedules)


def _useful(stationary: Side, streaming: Side) -> NDArray[np.int64]:
    """Values of each vector [group, vector] that are present, and present at least once in what streams past."""
    counts, partners = np.empty_like(stationary.base), streaming.by_element
    for group in range(stationary.groups):
        offset = stationary.offset.reshape(-1)[partners[group] > 0]
        runs, _ = list_runs(offset, np.array([0, offset.size]))
        counts[group] = count_vectors(stationary.words, stationary.base[group], runs)
    return counts


def _run(sides: tuple[Side, Side], counts: NDArray[np.int64], way: Way, machine: Machine[Keys]) -> Schedule:
    """`counts` [group, vector]: values of the rows that are loaded."""
    rows, columns = sides
    datapath, split = machine.datapath, way.split
    multipliers = machine.tile.macs_per_cycle * split.row_tiles
    share = -(-columns.vectors // split.column_tiles)
    stream = Extent.of(min(datapath.stream_vectors or share, share), split.column_tiles)
    packed = Extent.of(machine.tile.rows, split.row_tiles)
    # The first tile is dealt to first: no other has more.
    streamed = np.minimum(stream.per_tile, np.arange(columns.vectors, 0, -stream.at_once))
    first, loads = _folds(counts, packed, multipliers, datapath.load_values_per_cycle)
    cycles = np.zeros((1, first.size - 1, streamed.size), dtype=np.int64)
    run_folds(first, loads, streamed, datapath.reduction_cycles, datapath.between_folds == "overlap", cycles[0])

    def losses() -> Losses:
        idle = int(counts.sum()) * columns.vectors - count_met(rows, columns) if way.skips else 0
        return Losses(
            reach=idle // (multipliers * split.column_tiles),
            barriers=int(cycles.sum()) - loads.size * int(streamed.sum()),
        )

    return Schedule(way=way, rows=rows, columns=columns, extents=(packed, stream), cycles=cycles, losses=losses)


def _folds(
    counts: NDArray[np.int64], extent: Extent, multipliers: int, load_width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first fold of each round (and the end of the last one's), and the cycles that each fold takes to load.

    Each group fills its folds with the values of one round after another; a fold belongs to the round it begins in.
    """
    groups, vectors = counts.shape
    starts = np.append(np.arange(0, vectors, extent.at_once), vectors)
    values = np.concatenate([np.zeros((groups, 1), dtype=np.int64), counts.cumsum(axis=1)], axis=1)[:, starts]
    begun = -(-values // multipliers)
    sizes = [np.minimum(multipliers, np.arange(total, 0, -multipliers)) for total in values[:, -1]]
    first = np.append(0, np.diff(begun, axis=1).reshape(-1).cumsum())
    return first, -(-np.concatenate(sizes) // load_width)
