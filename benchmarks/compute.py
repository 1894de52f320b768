"""Compute cycles of layers without their memory, which is what published speedups of datapaths are about."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from swatsim.architecture import Architecture
from swatsim.contraction import contract
from swatsim.datapaths import arranged
from swatsim.layer import Layer
from swatsim.passes import PASSES
from swatsim.schedule import schedule
from swatsim.sides import Order


class Cycles(NamedTuple):
    """Compute cycles of a pass, or of several."""

    actual: int
    dense: int  # of the same machine with skipping off
    positions: int  # that it cannot skip
    products: int  # that it multiplies
    macs: int

    def plus(self, other: Cycles) -> Cycles:
        """The sum."""
        return Cycles(*map(sum, zip(self, other, strict=True)))

    @property
    def speedup(self) -> float:
        """Over the same machine with skipping off."""
        return self.dense / self.actual


NOTHING = Cycles(0, 0, 0, 0, 0)


def pass_cycles(architecture: Architecture, layer: Layer, pass_name: str) -> Cycles:
    """The fewest cycles of each contraction of a pass, with skipping and without."""
    order = Order(steps=architecture.mapping.step_order, windows=architecture.mapping.window_order)
    found = NOTHING
    for contraction in contract(layer, pass_name, order):
        ways = schedule(arranged(contraction, architecture), architecture)
        best = min(ways.actual, key=lambda way: way.compute_cycles)
        found = found.plus(Cycles(
            best.compute_cycles, min(way.compute_cycles for way in ways.dense), ways.ideal_positions,
            ways.multiplications([best]), ways.macs,
        ))  # fmt: skip
    return found


def network_cycles(
    architecture: Architecture, layers: Iterable[Layer], passes: Sequence[str] = PASSES
) -> dict[str, Cycles]:
    """By pass, over all layers that make it."""

    def of_layer(layer: Layer) -> dict[str, Cycles]:
        return {name: pass_cycles(architecture, layer, name) for name in layer.computed if name in passes}

    found = dict.fromkeys(passes, NOTHING)
    with ThreadPoolExecutor(os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count()) as pool:
        for each in pool.map(of_layer, layers):
            for name, cycles in each.items():
                found[name] = found[name].plus(cycles)
    return found


def total(found: dict[str, Cycles], passes: Iterable[str] = PASSES) -> Cycles:
    """The sum of some passes."""
    cycles = NOTHING
    for name in passes:
        cycles = cycles.plus(found[name])
    return cycles
