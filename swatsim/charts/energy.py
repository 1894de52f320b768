"""Energy by what takes it, and area."""

from __future__ import annotations

from collections.abc import Iterable

from swatsim.charts.colors import in_order
from swatsim.charts.model import Bar, BarChart, Group, Series
from swatsim.charts.run_rows import Record, Run, add

_BAND = "what the sources of the prices allow"


def energy(run: Run) -> BarChart:
    """Energy of each layer, its passes together."""
    groups = [
        Group(name=layer, bars=(_energy(layer, own.values(), run),)) for layer, own in run.by_layer.items()
    ]  # fmt: skip
    return BarChart(
        title="Energy of each layer", unit="picojoules", series=_takers(run), groups=tuple(groups),
        mark="without skipping", band=_BAND,
    )  # fmt: skip


def energy_by_part(run: Run) -> BarChart:
    """Energy of the parts of the step."""
    groups = [Group(name=name, bars=(_energy(name, rows, run),)) for name, rows in run.parts.items()]
    return BarChart(
        title="Energy of the parts of the step", unit="picojoules", series=_takers(run), groups=tuple(groups),
        mark="without skipping", band=_BAND,
    )  # fmt: skip


def _takers(run: Run) -> tuple[Series, ...]:
    return (
        Series(name="multipliers", color="blue"),
        *(Series(name=level, color=in_order(number)) for number, level in enumerate(run.levels)),
    )


def _energy(name: str, rows: Iterable[Record], run: Run) -> Bar:
    chosen = tuple(rows)
    keys = ("energy_mac_pj", *(f"energy_{level}_pj" for level in run.levels))
    return Bar(
        name=name, parts=tuple(add(chosen, key) for key in keys), mark=add(chosen, "dense_energy_pj"),
        low=add(chosen, "energy_low_pj"), high=add(chosen, "energy_high_pj"),
    )  # fmt: skip


def area(run: Run) -> BarChart | None:
    """Area of the machine's components; None where it is not known."""
    known = run.document.get("area")
    if known is None or not known["parts_mm2"]:
        return None
    groups = [Group(name=name, bars=(Bar(name=name, parts=(value,)),)) for name, value in known["parts_mm2"].items()]
    return BarChart(title="Area", unit="mm2", series=(Series(name="area", color="gray"),), groups=tuple(groups))
