"""Machines of an exploration, from its document: those that were tried, and the best of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swatsim.charts.model import ParetoChart, Point, Series
from swatsim.charts.sweeps import label

Document = Mapping[str, Any]
# How each measure is called in a sentence, and its unit.
_MEASURES: Mapping[str, tuple[str, str]] = {
    "cycles": ("cycles", "cycles"),
    "seconds": ("time", "seconds"),
    "energy_j": ("energy", "joules"),
    "edp": ("energy-delay product", "joule seconds"),
    "ed2p": ("energy-delay-squared product", "joule seconds²"),
    "power_w": ("power", "watts"),
    "traffic_bytes": ("bytes off chip", "bytes"),
    "area_mm2": ("area", "mm2"),
    "on_chip_bytes": ("bytes on chip", "bytes"),
    "macs_per_cycle": ("multipliers", "number"),
}
_OTHER, _FRONT, _FILED, _OUTSIDE = range(4)
_ORDER = "machine"


def pareto(document: Document) -> ParetoChart:
    """The first objective over the second one, else over the first other measure, else machine by machine."""
    up = document["objectives"][0]
    across = next((name for name in measures(document) if name != up), _ORDER)
    found = []
    for number, machine in enumerate(document["tried"]):
        values = {**machine["values"], _ORDER: number}
        if machine["refused"] is None and up in values and across in values:
            found.append(Point(
                name=machine_label(document, machine), series=_series(machine), x=values[across], y=values[up],
            ))  # fmt: skip
    best = "best" if len(document["objectives"]) == 1 else "no other is better"
    return ParetoChart(
        title=f"{word(up)[0].upper()}{word(up)[1:]} of the machines that were tried",
        names=(word(across), word(up)), units=(unit(across), unit(up)), front=_FRONT,
        series=(Series(name="tried", color="blue"), Series(name=best, color="orange"),
                Series(name="as its file has it", color="green"), Series(name="above a budget", color="gray")),
        points=tuple(found),
    )  # fmt: skip


def measures(document: Document) -> tuple[str, ...]:
    """Objectives, then budgets that are none."""
    return tuple(dict.fromkeys((*document["objectives"], *document["budgets"])))


def machine_label(document: Document, machine: Mapping[str, Any]) -> str:
    """A machine by what it differs in from others."""
    varied = [key for key, values in document["space"].items() if len(values) > 1]
    keys = [key for key in varied if key in machine["parameters"]]
    return label(machine, keys) if keys else str(machine["parameters"]["arch"])


def _series(machine: Mapping[str, Any]) -> int:
    if machine["front"]:
        return _FRONT
    if machine["as_filed"]:
        return _FILED
    return _OTHER if machine["feasible"] else _OUTSIDE


def word(measure: str) -> str:
    """How a measure is called."""
    return "machine, in the order tried" if measure == _ORDER else _MEASURES.get(measure, (measure, ""))[0]


def unit(measure: str) -> str:
    """Its unit, one of those of charts; later versions may have measures that are numbers to this one."""
    return _MEASURES.get(measure, ("", "number"))[1]
