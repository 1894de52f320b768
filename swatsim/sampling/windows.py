"""Forward and input_grad: groups of windows are drawn, in whole rounds of the machine (docs/sampling.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

import numpy as np

from swatsim.contraction import Contraction
from swatsim.sampling.design import Draw, FloatArray, Groups, IntArray, cut_into_groups, draw
from swatsim.sampling.errors import Estimate, slowest_set
from swatsim.sides import Side, TouchedBy
from swatsim.way import Losses, Schedule

# Of so many cycles at most each inner round is kept (`datapaths.lanes.pairs`): 32 MiB.
MOST_CYCLES = 1 << 22

Datapath = Callable[[Contraction], Sequence[Schedule]]
Places = Callable[[Schedule], Sequence[range]]


def estimate_windows(
    contraction: Contraction, at_once: int, draws: tuple[float, Random], run: Datapath, places: Places
) -> list[tuple[Schedule, Estimate]]:
    """Schedules of the ways that `run` has, of which each takes a divisor of `at_once` windows a round.

    draws : the fraction, and chance.
    places : which windows of a round each barrier set of a schedule has.

    Without those that cannot be estimated: none where the windows are too few to be sampled.
    """
    fraction, random = draws
    side = contraction.columns
    image = contraction.windows.counts[0] * contraction.windows.counts[1]
    groups = cut_into_groups(side.vectors, at_once, image, fraction)
    if groups is None:
        return []
    chosen = draw(_values(side, groups), groups.drawn, random)
    ranges = [groups.of(int(group)) for group in chosen.drawn] + ([groups.rest] if groups.rest else [])
    kept = np.concatenate([np.arange(each.start, each.stop) for each in ranges])
    sample = replace(contraction, columns=_chosen_windows(side, kept))
    return [
        _imputed(contraction, schedule, groups, chosen, places(schedule))
        for schedule in run(sample)
        if _has_rounds(schedule)
    ]


def _has_rounds(schedule: Schedule) -> bool:
    """Whether each round of the windows has its own cycles, or only all of them together."""
    outer = schedule.way.transposed != schedule.columns_outer
    windows = schedule.rows if schedule.way.transposed else schedule.columns
    rounds = schedule.extents[0 if schedule.way.transposed else 1].rounds(windows.vectors)
    return outer or schedule.cycles.shape[2] == rounds


def _values(side: Side, groups: Groups) -> FloatArray:
    """Values present in the windows of each group: what their cycles go with."""
    of_window = side.by_vector.sum(axis=0)[: groups.count * groups.size]
    return np.asarray(of_window.reshape(groups.count, groups.size).sum(axis=1), dtype=np.float64)


def _chosen_windows(side: Side, kept: IntArray) -> Side:
    touched = side.touched_by
    lines = kept // touched.vectors
    return replace(
        side, base=np.ascontiguousarray(side.base[:, kept]),
        touched_by=TouchedBy(first=touched.first[..., lines], last=touched.last[..., lines]),
    )  # fmt: skip


def _imputed(
    contraction: Contraction, schedule: Schedule, groups: Groups, chosen: Draw, places: Sequence[range]
) -> tuple[Schedule, Estimate]:
    """The schedule of all windows: each round takes that of a drawn group, and what it has more values than that."""
    windows_on_rows = schedule.way.transposed
    extent = schedule.extents[0 if windows_on_rows else 1]
    outer = windows_on_rows != schedule.columns_outer
    by_round = _by_round(schedule, outer=outer)
    rounds, rest = groups.size // extent.at_once, extent.rounds(len(groups.rest))
    source = _sources(chosen, rounds, rest)
    values = _values_of_sets(contraction.columns, extent.at_once, places)
    if not outer:
        # Inner rounds are those of all groups together.
        values = values.sum(axis=2, keepdims=True)
    simulated = np.concatenate([
        (chosen.drawn[:, None] * rounds + np.arange(rounds)).reshape(-1),
        groups.count * rounds + np.arange(rest),
    ])  # fmt: skip
    found = by_round.sum(axis=3)  # [set, group of the convolution, round]
    slope = _slopes(values[..., simulated], found)
    # What the values explain is known of all rounds, what they do not is taken from the sample.
    explained = np.tensordot(slope, values, axes=1)
    residual = (found - explained[..., simulated]).sum(axis=1)[:, : chosen.drawn.size * rounds]
    by_group = residual.reshape(residual.shape[0], -1, rounds).sum(axis=2).T
    wanted = explained + (found - explained[..., simulated])[..., source]
    sums = wanted.sum(axis=(1, 2))
    of_sets, error = slowest_set(sums - chosen.weights @ by_group, by_group, chosen)
    wanted = wanted * (of_sets / np.maximum(sums, 1))[:, None, None]
    many = not outer and by_round[:, :, 0].size * source.size > MOST_CYCLES
    full = _in_order(_with_sums(by_round, source, wanted, together=many), outer=outer)
    cycles = int(full.sum(axis=(1, 2)).max())
    return replace(
        schedule, rows=contraction.columns if windows_on_rows else schedule.rows,
        columns=schedule.columns if windows_on_rows else contraction.columns, cycles=full,
        multiplications=_multiplications(contraction, schedule), losses=_scaled_losses(schedule, cycles),
    ), error  # fmt: skip


def _sources(chosen: Draw, rounds: int, rest: int) -> IntArray:
    """Round of the sample that stands for each round."""
    of_groups = (chosen.donor[:, None] * rounds + np.arange(rounds)).reshape(-1)
    return np.concatenate([of_groups, chosen.drawn.size * rounds + np.arange(rest)])


def _values_of_sets(side: Side, at_once: int, places: Sequence[range]) -> FloatArray:
    """Values of each set's windows [1: all of them, 2: the fullest; set, group of the convolution, round]."""
    groups, windows = side.by_vector.shape
    padded = np.pad(side.by_vector, ((0, 0), (0, -windows % at_once))).reshape(groups, -1, at_once)
    of_places = {each: padded[:, :, each.start : each.stop] for each in places}
    sums, most = ({each: of(found, axis=2) for each, found in of_places.items()} for of in (np.sum, np.max))
    return np.stack([np.stack([found[each] for each in places]) for found in (sums, most)]).astype(np.float64)


def _slopes(values: FloatArray, cycles: IntArray) -> FloatArray:
    """Cycles for each value of the two kinds, fitted by least squares around the means."""
    apart = values.reshape(2, -1)
    apart = apart - apart.mean(axis=1, keepdims=True)
    found = cycles.reshape(-1) - cycles.mean()
    return np.asarray(np.linalg.lstsq(apart.T, found, rcond=None)[0])


def _with_sums(by_round: IntArray, source: IntArray, wanted: FloatArray, *, together: bool) -> IntArray:
    """Rounds of the sample [set, group, round, others], scaled to the sums that are wanted [set, group, round].

    together : as a single round, their sum.
    """
    factors = np.maximum(wanted, 0) / np.maximum(by_round.sum(axis=3)[:, :, source], 1)
    if together:
        of_sample = np.zeros((by_round.shape[2], *by_round.shape[:2]))
        np.add.at(of_sample, source, np.moveaxis(factors, 2, 0))
        cells = np.einsum("sgro,rsg->sgo", by_round, of_sample)[:, :, None]
    else:
        cells = by_round[:, :, source] * factors[..., None]
    # Sums are rounded, so that what rounding loses does not add up.
    sums = np.rint(np.cumsum(cells.reshape(cells.shape[0], -1), axis=1)).astype(np.int64)
    return np.asarray(np.diff(sums, axis=1, prepend=0).reshape(cells.shape))


def _scaled_losses(simulated: Schedule, cycles: int) -> Callable[[], Losses]:
    """The losses of what was simulated, as those of so many cycles."""
    compute = max(1, simulated.compute_cycles)
    return lambda: Losses(*(lost * cycles // compute for lost in simulated.losses()))


def _multiplications(contraction: Contraction, schedule: Schedule) -> int | None:
    """Those of all windows, in proportion to the values that they have."""
    if schedule.multiplications is None:
        return None
    sample = schedule.rows if schedule.way.transposed else schedule.columns
    values = contraction.columns.values
    return schedule.multiplications * values // max(1, sample.values)


def _in_order(by_round: IntArray, *, outer: bool) -> IntArray:
    """As `Schedule.cycles`."""
    sets, groups, rounds, others = by_round.shape
    if outer:
        return np.ascontiguousarray(by_round.reshape(sets, groups * rounds, others))
    return np.ascontiguousarray(by_round.reshape(sets, rounds, others).swapaxes(1, 2))


def _by_round(schedule: Schedule, *, outer: bool) -> IntArray:
    """Cycles [set, group of the convolution, round of windows, others]."""
    sets, outers, inners = schedule.cycles.shape
    if outer:
        return schedule.cycles.reshape(sets, schedule.groups, outers // schedule.groups, inners)
    # Each outer round belongs to one group; they keep their order.
    return schedule.cycles.reshape(sets, 1, outers, inners).transpose(0, 1, 3, 2)
