"""Cycles of a pass: the ways that its datapath offers, and what the mapper may choose from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swatsim.architecture import Architecture
from swatsim.contraction import Contraction
from swatsim.datapaths import datapaths
from swatsim.presence import count_met
from swatsim.profile import stage
from swatsim.sampling import SampledContraction
from swatsim.way import Schedule, Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedules:
    """The ways in which one contraction can be scheduled, on the machine as it is and with skipping off.

    The mapper takes the way that is best with its memory traffic.
    """

    contraction: Contraction
    actual: tuple[Schedule, ...]  # none has more compute cycles than the best of `dense`
    dense: tuple[Schedule, ...]
    skips: frozenset[tuple[str, ...]]  # the sides that the machine may skip by, in each of its ways
    macs: int

    @property
    def effectual_macs(self) -> int:
        """Multiply positions at which both operands are present."""
        return count_met(self.contraction.rows, self.contraction.columns)

    @property
    def ideal_positions(self) -> int:
        """Multiply positions that the machine cannot skip, in the way that skips most."""
        return min((self._positions(skips) for skips in self.skips), default=self.macs)

    def multiplications(self, parts: Sequence[Schedule]) -> int:
        """Multiplications that are carried out with a schedule for each part: all that is not skipped."""
        own = [part.multiplications for part in parts if part.multiplications is not None]
        return sum(own) if own else self._positions(parts[0].way.skips)

    def _positions(self, skips: tuple[str, ...]) -> int:
        """Multiply positions at which the operands that are skipped by are present."""
        if len(skips) > 1:
            return self.effectual_macs
        if not skips:
            return self.macs
        rows, columns = self.contraction.rows, self.contraction.columns
        side, other = (rows, columns) if skips[0] == "rows" else (columns, rows)
        return side.values * other.vectors


@stage("scheduling")
def schedule(contraction: Contraction, architecture: Architecture) -> Schedules:
    """Schedule one contraction with and without skipping, in all ways that the datapath offers (docs/model.md §2).

    What takes more compute cycles than the dense machine is given up: skipping is then off.
    """
    ways = datapaths()[architecture.datapath.kind].ways(contraction, architecture)
    found = _run(contraction, architecture, (*ways.skipping, *ways.dense))
    skipping, dense = found[: len(ways.skipping)], found[len(ways.skipping) :]
    fewest = min(each.compute_cycles for each in dense)
    actual = tuple(each for each in skipping if each.compute_cycles <= fewest)
    if ways.may_turn_off:
        # Where skipping saves too few cycles for what its memory traffic costs, it is off.
        actual += tuple(each for each in dense if each.compute_cycles == fewest)
    return Schedules(
        contraction=contraction, actual=actual or dense, dense=dense,
        skips=frozenset(way.skips for way in ways.skipping), macs=contraction.macs,
    )  # fmt: skip


@stage("scheduling")
def schedule_part(part: Contraction, like: Sequence[Schedule], architecture: Architecture) -> tuple[Schedule, ...]:
    """Schedule a part of a contraction's reduction in the ways of the whole."""
    return _run(part, architecture, [each.way for each in like])


def dealt_by_split(architecture: Architecture) -> bool:
    """Whether vectors have the same places whatever is skipped, so that `deal_part` finds them."""
    return architecture.datapath.kind == "lanes"


@stage("scheduling")
def deal_part(part: Contraction, like: Sequence[Schedule], architecture: Architecture) -> tuple[Schedule, ...]:
    """A part as `schedule_part` has it, but with cycles that take no time to find: those with skipping off."""
    return _run(part, architecture, [each.way._replace(skips=()) for each in like])


def _run(contraction: Contraction, architecture: Architecture, ways: Sequence[Way]) -> tuple[Schedule, ...]:
    if isinstance(contraction, SampledContraction):
        from swatsim.sampling.schedules import schedule_sample

        return schedule_sample(contraction, architecture, ways)
    return datapaths()[architecture.datapath.kind].schedule(contraction, architecture, ways)
