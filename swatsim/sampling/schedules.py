"""Schedules of a contraction, of which only a sample is simulated where its cycles depend on the images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Any

from swatsim.datapaths import datapaths
from swatsim.keys.machine import Machine
from swatsim.sampling.additive import counted_only, depends_on_images, windows_at_once, windows_of_sets
from swatsim.sampling.contraction import SampledContraction, SampledSchedule
from swatsim.sampling.windows import estimate_windows
from swatsim.way import Schedule, Way

# Of the cycles: where the maximum over barrier sets may be further off, all is simulated. Widths that come from chance
# are not asked for: samples that look narrow by chance would be kept.
MOST_BIAS = 0.02


def schedule_sample(
    contraction: SampledContraction, machine: Machine[Any], ways: Sequence[Way]
) -> tuple[Schedule, ...]:
    """Run the datapath in these ways: on a sample where that is sound, else on everything.

    It is sound where the cycles of groups of windows add up to those of all, and the slowest barrier set is
    known well enough (docs/sampling.md).
    """
    plain, datapath = contraction.plain, datapaths()[machine.datapath.kind]
    found: dict[Way, Schedule] = {}
    at_once = {
        way: count
        for way in ways
        if depends_on_images(plain, way) and not counted_only(machine, way)
        and (count := windows_at_once(plain, machine, way)) is not None
    }  # fmt: skip
    if at_once:
        # Chance depends on nothing but the seed and what is drawn from.
        draws = contraction.sampling.fraction, Random(f"{contraction.sampling.seed} {contraction.name}")
        estimates = estimate_windows(
            plain, math.lcm(*at_once.values()), draws, lambda sample: datapath.schedule(sample, machine, list(at_once)),
            lambda schedule: windows_of_sets(machine, schedule.way, schedule.cycles.shape[0]),
        )  # fmt: skip
        for schedule, error in estimates:
            if error.bias <= MOST_BIAS * schedule.compute_cycles:
                found[schedule.way] = SampledSchedule.of(schedule, error)
    left = [way for way in ways if way not in found]
    if left:
        found.update(zip(left, datapath.schedule(plain, machine, left), strict=True))
    return tuple(found[way] for way in ways)
