"""Cycles that were not simulated, in the place of those that would have been (docs/sampling.md)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swatsim.sampling.design import FloatArray, IntArray
from swatsim.sampling.errors import spread_factor
from swatsim.way import Losses, Schedule

# Of so many cycles all groups are kept: 64 MiB.
MOST_KEPT = 1 << 24


def spread_out(cycles: IntArray, spread: float) -> IntArray:
    """Cycles [set, ...] whose sums over a set differ from their mean `spread` times as much as before."""
    if cycles.shape[0] == 1 or spread == 1:
        return cycles
    totals = cycles.reshape(cycles.shape[0], -1).sum(axis=1)
    wanted = np.rint(totals.mean() + spread * (totals - totals.mean()))
    return scaled(cycles, wanted / np.maximum(totals, 1))


def scaled(cycles: IntArray, factors: FloatArray) -> IntArray:
    """Cycles [set, ...] times the factor of each set: sums are rounded, so that what rounding loses does not add up."""
    flat = cycles.reshape(cycles.shape[0], -1)
    sums = np.rint(np.cumsum(flat, axis=1) * factors[:, None]).astype(np.int64)
    return np.diff(sums, axis=1, prepend=0).reshape(cycles.shape)


def scaled_losses(simulated: Callable[[], Schedule], cycles: int) -> Callable[[], Losses]:
    """The losses of what was simulated, as those of so many cycles."""

    def losses() -> Losses:
        schedule = simulated()
        return Losses(*(lost * cycles // max(1, schedule.compute_cycles) for lost in schedule.losses()))

    return losses


class Sums:
    """Cycles of one way over groups of steps; `together` slots, each a set of its own, wait at the end of a buffer."""

    def __init__(self, together: int) -> None:
        self.together = together
        self._groups: list[NDArray[np.int32]] = []  # cycles of each group, as long as they have room
        self._means: list[FloatArray] = []  # [group][set]: cycles of its slots, on average
        self.multiplications: int | None = None
        self._weighted: IntArray | None = None
        self._last: Schedule | None = None
        self._apart: FloatArray = np.zeros(1)  # sums of deviations
        self._squares = 0.0  # of deviations

    def add(self, schedule: Schedule, weight: int) -> None:
        """Add a group that stands for `weight` of them."""
        cycles = schedule.cycles * weight
        self._weighted = cycles if self._weighted is None else self._weighted + cycles
        self._last = schedule
        if schedule.multiplications is not None:
            self.multiplications = (self.multiplications or 0) + weight * schedule.multiplications
        mean, apart = self._places(schedule.cycles)
        self._means.append(np.asarray(mean.sum(axis=(1, 2, 3))))
        if self.together > 1 and len(self._groups) == len(self._means) - 1 and self._has_room(cycles.size):
            self._groups.append(schedule.cycles.astype(np.int32))
        if self.together > 1:
            self._apart = self._apart + apart
            self._squares += float(np.square(apart).sum())

    @property
    def last(self) -> Schedule:
        """That of the group that was added last."""
        assert self._last is not None, "a group is added first"
        return self._last

    def _has_room(self, values: int) -> bool:
        return (len(self._groups) + 1) * values <= MOST_KEPT

    @cached_property
    def by_set(self) -> list[FloatArray]:
        """[group][set]: cycles of those slots that are the slowest of their set in all groups together.

        Where the groups' cycles had no room, those of its slots on average.
        """
        if self.together == 1 or len(self._groups) < len(self._means):
            return self._means
        assert self._weighted is not None, "a group is added first"
        slowest = self._in_sets(self._weighted).argmax(axis=1)[:, None]
        return [
            np.take_along_axis(self._in_sets(each), slowest, axis=1).sum(axis=(1, 2, 3)).astype(np.float64)
            for each in self._groups
        ]

    def spread(self, drawn: int, groups: float) -> float:
        """`spread_factor` of slots that wait for each other."""
        added = len(self._means)
        means = float(np.square(self._apart / added).sum())
        return spread_factor((self._squares - added * means) / (added - 1), means, drawn, groups)

    def waited(self, spread: float) -> IntArray:
        """Cycles [set, outer round, inner round] of all groups, the slots of a set waiting for the slowest."""
        assert self._weighted is not None, "a group is added first"
        if self.together == 1:
            return self._weighted
        mean, apart = self._places(self._weighted)
        return np.asarray(np.rint((mean + spread * apart).max(axis=1)), dtype=np.int64)

    def _places(self, cycles: IntArray) -> tuple[FloatArray, FloatArray]:
        """Mean over the slots of a set, and the deviation of each: [set, 1 or place, outer round, inner round].

        A slot without a unit in a round has no part in it.
        """
        padded = self._in_sets(cycles)
        busy = padded > 0
        mean = padded.sum(axis=1, keepdims=True) / np.maximum(1, busy.sum(axis=1, keepdims=True))
        return mean, np.where(busy, padded - mean, 0.0)

    def _in_sets(self, cycles: NDArray[Any]) -> NDArray[Any]:
        """Cycles [set, place, outer round, inner round]; those of places that no slot has are 0."""
        padding = -cycles.shape[0] % self.together
        return np.pad(cycles, ((0, padding), (0, 0), (0, 0))).reshape(-1, self.together, *cycles.shape[1:])
