"""weight_grad: groups of steps of the reduction, which runs over the images, are drawn (docs/sampling.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from random import Random
from typing import Any

import numpy as np

from swatsim.contraction import Contraction
from swatsim.kernels.gather import count_in_parts, list_runs
from swatsim.keys.machine import Machine
from swatsim.mapping import Mapping, map_contraction
from swatsim.sampling.additive import StepRule, without_waiting
from swatsim.sampling.design import Draw, FloatArray, Groups, IntArray, cut_into_groups, draw
from swatsim.sampling.errors import Estimate, slowest_set_error, spread_of_sets
from swatsim.sampling.imputed import Sums, scaled, scaled_losses, spread_out
from swatsim.sides import Reduction, Side
from swatsim.way import Schedule, Way

Datapath = Callable[[Contraction, Machine[Any], Sequence[Way]], Sequence[Schedule]]
# Of so many vectors of a side the values are counted, to find groups that are alike.
VECTORS_COUNTED = 64
# Of a group: what is simulated by itself in smaller pieces takes as long as more.
FEWEST_ELEMENTS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The steps of a reduction, and the machine that they are dealt to."""

    contraction: Contraction
    mapping: Mapping
    machine: Machine[Any]

    @staticmethod
    def of(contraction: Contraction, machine: Machine[Any]) -> Steps:
        """Deal the whole reduction to steps."""
        return Steps(contraction=contraction, mapping=map_contraction(contraction, machine), machine=machine)

    def part(self, ranges: Sequence[range]) -> Contraction:
        """The contraction with these steps alone, as they follow one another."""
        kept = np.concatenate([np.arange(each.start, each.stop) for each in ranges])
        rows, columns = (
            replace(side, reduction=Reduction(self._segment(offset[kept])))
            for side, offset in (
                (self.contraction.rows, self.mapping.row_offset), (self.contraction.columns, self.mapping.column_offset)
            )
        )  # fmt: skip
        # No line has the values of a vector any more.
        return replace(self.contraction, rows=replace(rows, by_line=False), columns=replace(columns, by_line=False))

    def _segment(self, offset: IntArray) -> IntArray:
        """One segment that is dealt to the same steps and lanes again."""
        blocked = self.machine.mapping.lane_channels == "blocked"
        return np.ascontiguousarray(offset.T if blocked else offset).reshape(1, -1)

    def values(self, groups: Groups, skips: Sequence[str]) -> FloatArray:
        """What the cycles of each group go with: values of the operands that are skipped by, multiplied."""
        found = np.ones(groups.count)
        for name in skips:
            side, offset = {
                "rows": (self.contraction.rows, self.mapping.row_offset),
                "columns": (self.contraction.columns, self.mapping.column_offset),
            }[name]  # fmt: skip
            found *= _values(side, offset, groups)
        return found


def _values(side: Side, offset: IntArray, groups: Groups) -> FloatArray:
    base = side.base.reshape(-1)
    base = np.ascontiguousarray(base[:: -(-base.size // VECTORS_COUNTED)])
    edges = np.arange(groups.count + 1) * groups.size * offset.shape[1]
    counts = np.empty((base.size, groups.count), dtype=np.int64)
    count_in_parts(side.words, base, *list_runs(offset.reshape(-1)[: edges[-1]], edges), counts)
    return np.asarray(counts.sum(axis=0), dtype=np.float64)


def estimate_steps(
    steps: Steps, rule: StepRule, ways: Sequence[Way], draws: tuple[float, Random], run: Datapath
) -> list[Estimated] | None:
    """What these ways, which share a rule, take; `draws`: the fraction, and chance.

    None where the steps are too few to be sampled.
    """
    fraction, random = draws
    usual = steps.mapping.steps // max(1, steps.contraction.image.shape[0])
    least = rule.granule * -(-FEWEST_ELEMENTS // (rule.granule * steps.mapping.row_offset.shape[1]))
    groups = cut_into_groups(steps.mapping.steps, least, usual, fraction)
    if groups is None:
        return None
    values = steps.values(groups, ways[0].skips)
    chosen = draw(values, fraction, random)
    machine = without_waiting(steps.machine) if rule.together > 1 else steps.machine
    sums = [Sums(rule.together) for _ in ways]
    ranges = [groups.of(int(group)) for group in chosen.drawn] + ([groups.rest] if groups.rest else [])
    for each, weight in zip(ranges, [*map(int, chosen.weights), 1], strict=False):
        for total, schedule in zip(sums, run(steps.part([each]), machine, ways), strict=True):
            if rule.together > 1 and not _has_rounds(schedule):
                return None
            total.add(schedule, weight)
    return [
        Estimated(
            sums=total, groups=groups, draw=chosen, values=values, seamless=rule.seamless,
            joint=_joined(steps, ranges, way, run),
        )
        for way, total in zip(ways, sums, strict=True)
    ]  # fmt: skip


def _has_rounds(schedule: Schedule) -> bool:
    """Whether each inner round has its own cycles, or an outer one has all of its units in one."""
    side, extent = schedule.columns, schedule.extents[1]
    return len(schedule.way.skips) == 1 or schedule.cycles.shape[2] == extent.rounds(side.vectors)


def _joined(steps: Steps, ranges: Sequence[range], way: Way, run: Datapath) -> Callable[[], Schedule]:
    """All simulated steps as one reduction, scheduled when asked for."""
    return cache(lambda: run(steps.part(ranges), steps.machine, [way])[0])


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """What a sample says of one way, for the whole reduction and for parts of it."""

    sums: Sums
    groups: Groups
    draw: Draw
    values: FloatArray  # [group]
    seamless: bool
    joint: Callable[[], Schedule]  # of all simulated steps

    @cached_property
    def _by_group(self) -> FloatArray:
        """Cycles [drawn, set]."""
        return np.stack(self.sums.by_set[: self.draw.drawn.size])

    @cached_property
    def _explained(self) -> FloatArray:
        """What the values of each group explain of its cycles [group, set], around their mean."""
        values = self.values - self.values[self.draw.drawn].mean()
        own = values[self.draw.drawn]
        squares = float(np.square(own).sum())
        slopes = own @ (self._by_group - self._by_group.mean(axis=0)) / max(squares, 1.0)
        return np.asarray(values[:, None] * slopes)

    @cached_property
    def _residual(self) -> FloatArray:
        return np.asarray(self._by_group - self._explained[self.draw.drawn])

    @cached_property
    def _rest(self) -> FloatArray:
        """Cycles [set] of what is in no group."""
        found = self.sums.by_set[self.draw.drawn.size :]
        return np.sum(found, axis=0) if found else np.zeros(self._by_group.shape[1])

    def over(self, contraction: Contraction, steps: range) -> tuple[Schedule, Estimate]:
        """The schedule of a part of the reduction, which is `contraction`, and its error.

        The errors of parts that make up the whole add up to its error: they are those of one sample.
        """
        simulated, share = self._rest + self.draw.weights @ self._by_group, len(steps) / self.groups.units
        between = spread_of_sets(self._residual, self.draw.donor.size)
        cycles = self.sums.waited(self.sums.spread(self.draw.drawn.size, max(1.0, share * self.draw.donor.size)))
        factors = self._cycles_over(steps, simulated) / np.maximum(simulated, 1)
        if not self.seamless:
            # What a group loses at its ends, the whole loses only once.
            ends = self.joint().compute_cycles / max(1.0, float(np.sum(self.sums.by_set, axis=0).max()))
            factors = factors * min(1.0, ends)
        cycles = spread_out(scaled(cycles, factors), between)
        compute, last = int(cycles.sum(axis=(1, 2)).max()), self.sums.last
        turned = last.way.transposed
        schedule = replace(
            last, rows=contraction.columns if turned else contraction.rows,
            columns=contraction.rows if turned else contraction.columns, cycles=cycles,
            multiplications=None if self.sums.multiplications is None else round(self.sums.multiplications * share),
            losses=scaled_losses(self.joint, compute),
        )  # fmt: skip
        error = slowest_set_error(self._residual, self._rest + self._explained.sum(axis=0), self.draw, between)
        scale = compute / max(1.0, share * float(simulated.max()))
        return schedule, replace(
            error, variance=error.variance * share * scale**2,
            drawn=round(error.drawn * share), groups=round(error.groups * share),
        )  # fmt: skip

    def _cycles_over(self, steps: range, simulated: FloatArray) -> FloatArray:
        """Cycles [set] of a part: what values explain of its own groups, and of the others its share."""
        starts = np.arange(self.groups.count) * self.groups.size
        inside = np.minimum(starts + self.groups.size, steps.stop) - np.maximum(starts, steps.start)
        own = np.maximum(inside, 0) / self.groups.size @ self._explained
        others = simulated - self.draw.weights @ self._explained[self.draw.drawn]
        return np.asarray(own + others * len(steps) / self.groups.units)
