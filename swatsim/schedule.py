"""Cycles of a pass: what is scheduled, how the tiles share it, and the dense machine beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swatsim.architecture import Architecture
from swatsim.contraction import Contraction
from swatsim.datapaths import datapaths
from swatsim.kernels.gather import count_present
from swatsim.mapping import Extent, Mapping, Split, extents, map_contraction, splits, transpose
from swatsim.sides import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Compute cycles of one contraction on the machine; memory stalls are `timeline`'s.

    set_cycles[set, outer round] are the cycles of the tiles that share barriers, over all rounds of the inner side;
    the outer side is the columns where `columns_scheduled`, else the rows.
    """

    mapping: Mapping
    split: Split
    scheduled: Side | None  # the operand whose zeros are skipped
    columns_scheduled: bool
    set_cycles: NDArray[np.int64]

    @property
    def compute_cycles(self) -> int:
        """Cycles until the slowest barrier set has finished."""
        return int(self.set_cycles.sum(axis=1).max())


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedules:
    """The ways in which one contraction can be scheduled, on the machine as it is and with skipping off.

    The mapper takes the way that is best with its memory traffic.
    """

    contraction: Contraction
    actual: tuple[Schedule, ...]  # none has more compute cycles than the best of `dense`
    dense: tuple[Schedule, ...]
    rows: PresentCounts  # of the contraction's rows, whatever the orientation
    columns: PresentCounts
    ideal_positions: int  # multiply positions that the machine cannot skip
    macs: int

    @property
    def effectual_macs(self) -> int:
        """Multiply positions at which both operands are present."""
        return int((self.rows.by_element * self.columns.by_element).sum())

    def multiplications(self, way: Schedule) -> int:
        """Multiplications that are carried out with one of the schedules: all that it does not skip."""
        return self.macs if way.scheduled is None else self.ideal_positions


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentCounts:
    """How many values of one side are present."""

    by_vector: NDArray[np.int64]  # [group, vector]: elements present in the vector
    by_element: NDArray[np.int64]  # [group, element of the reduction]: vectors in which it is present


def schedule(contraction: Contraction, architecture: Architecture) -> Schedules:
    """Schedule one contraction with and without skipping, over all allowed splits (docs/model.md §2).

    With `skip: sparser`, what takes more compute cycles than the dense machine is given up: skipping is then off.
    """
    mapping = map_contraction(contraction, architecture)
    skip = architecture.datapath.skip
    orientations = (mapping, transpose(mapping)) if skip == "sparser" else (mapping,)
    dense = tuple(
        _dense(orientation, split, architecture) for orientation in orientations for split in splits(architecture)
    )
    fewest = min(way.compute_cycles for way in dense)
    rows, columns = count(contraction.rows), count(contraction.columns)
    skipping = () if skip == "none" else tuple(_skipping(mapping, architecture))
    ideal_positions = contraction.macs
    if skipping and skipping[0].scheduled is contraction.rows:
        ideal_positions = int(rows.by_vector.sum()) * contraction.columns.vectors
    elif skipping:
        ideal_positions = int(columns.by_vector.sum()) * contraction.rows.vectors
    actual = dense if skip == "none" else tuple(way for way in skipping if way.compute_cycles <= fewest)
    if skip == "sparser":
        # Where skipping saves no cycles, or too few for what its memory traffic costs, it is off.
        actual += tuple(way for way in dense if way.compute_cycles == fewest)
    return Schedules(
        contraction=contraction, actual=actual, dense=dense, rows=rows, columns=columns,
        ideal_positions=ideal_positions, macs=contraction.macs,
    )  # fmt: skip


def schedule_part(part: Contraction, like: Sequence[Schedule], architecture: Architecture) -> tuple[Schedule, ...]:
    """Schedule a part of a contraction's reduction in the orientations and splits of the whole."""
    mapping = map_contraction(part, architecture)
    both = {False: mapping, True: transpose(mapping)}
    skipping = [way for way in like if way.scheduled is not None]
    found = {
        id(way): _dense(both[way.mapping.transposed], way.split, architecture)
        for way in like if way.scheduled is None
    }  # fmt: skip
    if skipping:
        orientation = both[skipping[0].mapping.transposed]
        made = _with_splits(orientation, architecture, [way.split for way in skipping])
        found |= {id(way): schedule for way, schedule in zip(skipping, made, strict=True)}
    return tuple(found[id(way)] for way in like)


def count(side: Side) -> PresentCounts:
    """Count what is present in each vector, and in each element of the reduction."""
    by_vector = np.empty((side.groups, side.vectors), dtype=np.int64)
    by_element = np.empty((side.groups, side.offset.size), dtype=np.int64)
    for group in range(side.groups):
        count_present(side.present, side.base[group], side.offset.reshape(-1), by_vector[group], by_element[group])
    return PresentCounts(by_vector=by_vector, by_element=by_element)


def _dense(mapping: Mapping, split: Split, architecture: Architecture) -> Schedule:
    rows, columns = extents(architecture, split)
    cycles = columns.rounds(mapping.columns.vectors) * mapping.steps
    rounds = mapping.groups * rows.rounds(mapping.rows.vectors)
    return Schedule(
        mapping=mapping, split=split, scheduled=None, columns_scheduled=False,
        set_cycles=np.full((1, rounds), cycles, dtype=np.int64),
    )  # fmt: skip


def _skipping(mapping: Mapping, architecture: Architecture) -> Iterator[Schedule]:
    if architecture.datapath.skip == "sparser" and _sparser(mapping.columns, mapping.rows):
        mapping = transpose(mapping)
    return _with_splits(mapping, architecture, splits(architecture))


def _with_splits(mapping: Mapping, architecture: Architecture, chosen: Iterable[Split]) -> Iterator[Schedule]:
    """The machine's schedule over several splits: the schedules of single vectors are made only once."""
    datapath = architecture.datapath
    columns_scheduled = datapath.skip == "columns"
    if columns_scheduled:
        side, other, offset = mapping.columns, mapping.rows, mapping.column_offset
        per_tile = architecture.tile.columns
    else:
        side, other, offset = mapping.rows, mapping.columns, mapping.row_offset
        per_tile = architecture.tile.rows
    schedules = datapaths()[datapath.kind].prepare(side, offset, per_tile, architecture)
    for split in chosen:
        own, others = _ordered(extents(architecture, split), columns_scheduled)
        yield Schedule(
            mapping=mapping, split=split, scheduled=side, columns_scheduled=columns_scheduled,
            set_cycles=schedules.set_cycles(own, others.rounds(other.vectors)),
        )  # fmt: skip


def _ordered(pair: tuple[Extent, Extent], exchanged: bool) -> tuple[Extent, Extent]:
    return (pair[1], pair[0]) if exchanged else pair


def _sparser(candidate: Side, other: Side) -> bool:
    """Whether `candidate` has the larger fraction of zeros, compared exactly."""
    return candidate.nonzeros * other.positions < other.nonzeros * candidate.positions
