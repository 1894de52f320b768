"""Schedules of a contraction, of which only a sample is simulated where its cycles depend on the images."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from random import Random
from typing import Any

from swatsim.contraction import Contraction
from swatsim.datapaths import Datapath, datapaths
from swatsim.keys.machine import Machine
from swatsim.sampling.additive import counted_only, depends_on_images, step_rule, windows_at_once, windows_of_sets
from swatsim.sampling.contraction import SampledContraction, SampledSchedule
from swatsim.sampling.errors import Estimate
from swatsim.sampling.steps import Estimated, Steps, estimate_steps
from swatsim.sampling.windows import estimate_windows
from swatsim.way import Schedule, Way

Found = Iterable[tuple[Schedule, Estimate]]


def schedule_sample(
    contraction: SampledContraction, machine: Machine[Any], ways: Sequence[Way]
) -> tuple[Schedule, ...]:
    """Run the datapath in these ways: on a sample where that is sound, else on everything.

    It is sound where the cycles of groups of windows, or of steps, add up to those of all (docs/sampling.md).
    """
    datapath = datapaths()[machine.datapath.kind]
    plain = contraction.plain
    others = [way for way in ways if depends_on_images(plain, way) and not counted_only(machine, way)]
    exact = [way for way in ways if way not in others]
    found = dict(zip(exact, datapath.schedule(plain, machine, exact), strict=True)) if exact else {}
    if others:
        estimate = _by_windows if plain.taps is not None else _by_steps
        found.update(estimate(contraction, plain, machine, others, datapath))
    return tuple(found[way] for way in ways)


def _random(contraction: SampledContraction) -> Random:
    """Chance that depends on nothing but the seed and what is drawn from."""
    return Random(f"{contraction.sampling.seed} {contraction.name}")


def _by_windows(
    contraction: SampledContraction, plain: Contraction, machine: Machine[Any], ways: Sequence[Way], datapath: Datapath
) -> dict[Way, Schedule]:
    rounds = [windows_at_once(machine, way) for way in ways]
    estimates: Found | None = None
    if None not in rounds:
        at_once = math.lcm(*(count for count in rounds if count is not None))
        estimates = estimate_windows(
            plain, at_once, (contraction.sampling.fraction, _random(contraction)),
            lambda sample: datapath.schedule(sample, machine, ways),
            lambda found: windows_of_sets(machine, found.way, found.cycles.shape[0]),
        )  # fmt: skip
    return _found(ways, estimates, plain, machine, datapath)


def _by_steps(
    contraction: SampledContraction, plain: Contraction, machine: Machine[Any], ways: Sequence[Way], datapath: Datapath
) -> dict[Way, Schedule]:
    known = contraction.shared if contraction.images is not None else {}
    found: dict[Way, Schedule] = {
        way: SampledSchedule.of(*known[way].over(plain, _steps(contraction.images, known[way])))
        for way in ways
        if way in known and contraction.images is not None
    }
    left = [way for way in ways if way not in known]
    if not left:
        return found
    steps = Steps.of(plain, machine)
    rules = {way: step_rule(machine, way, steps.mapping.steps) for way in left}
    for rule, alike in groupby(sorted(left, key=lambda way: repr(rules[way])), key=rules.__getitem__):
        chosen, estimates = list(alike), None
        if rule is not None:
            draws = contraction.sampling.fraction, _random(contraction)
            estimates = estimate_steps(steps, rule, chosen, draws, datapath.schedule)
        if estimates is not None and contraction.images is None:
            contraction.shared.update(zip(chosen, estimates, strict=True))
        whole = range(steps.mapping.steps)
        found.update(_found(
            chosen, None if estimates is None else [each.over(plain, whole) for each in estimates],
            plain, machine, datapath,
        ))  # fmt: skip
    return found


def _steps(images: tuple[int, int, int], estimated: Estimated) -> range:
    """The steps of the images from the first to the one after the last, of all."""
    first, last, count = images
    of_image = estimated.groups.units // count
    return range(first * of_image, last * of_image)


def _found(
    ways: Sequence[Way], estimates: Found | None, plain: Contraction, machine: Machine[Any], datapath: Datapath
) -> dict[Way, Schedule]:
    """The estimates by way; without, all is simulated."""
    if estimates is None:
        return dict(zip(ways, datapath.schedule(plain, machine, ways), strict=True))
    return {way: SampledSchedule.of(*each) for way, each in zip(ways, estimates, strict=True)}
