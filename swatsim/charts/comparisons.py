"""Machines side by side, from the document of a comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from swatsim.charts.colors import OF_PASS
from swatsim.charts.model import Bar, BarChart, Group, Series
from swatsim.charts.names import short_names
from swatsim.charts.run_rows import Record
from swatsim.charts.time import only

_LONGEST_NAME = 28
Document = Mapping[str, Any]


def speedup(document: Document) -> BarChart:
    """Speedup over the baseline, a bar for each of what is compared."""
    by = "" if document["by"] == "cycles" else "compute_"
    names = tuple(name for name in _compared(document) if name != "other")
    return BarChart(
        title=f"Speedup over {document['baseline']['architecture']['name']} with skipping off", unit="times",
        series=_series(names), mark="over its own dense machine", reference=1.0,
        groups=_groups(document, lambda row: _one(row, names, row[f"{by}speedup"], row[f"own_{by}speedup"])),
    )  # fmt: skip


def cycles(document: Document) -> BarChart:
    """Normalized cycles of all passes: computation and stalls."""

    def bar(row: Record) -> Bar | None:
        if row["pass"] != _last(document) or row["normalized_cycles"] is None:
            return None
        compute = row["normalized_compute_cycles"]
        return Bar(name=row["pass"], parts=(compute, row["normalized_cycles"] - compute))

    series = (Series(name="computation", color="blue"), Series(name="stalls", color="red"))
    title = f"Cycles of the {_last(document)}, normalized to the baseline"
    return BarChart(title=title, unit="cycles", series=series, groups=_groups(document, bar))


def energy(document: Document) -> BarChart:
    """Energy of each machine."""
    return _amounts(document, "energy_pj", "Energy", "picojoules", "dense_energy_pj")


def traffic(document: Document) -> BarChart:
    """Bytes that each machine moves off chip."""
    return _amounts(document, "dram_bytes", "Bytes read and written off chip", "bytes", None)


def _amounts(document: Document, key: str, title: str, unit: str, dense: str | None) -> BarChart:
    names = tuple(name for name in _compared(document) if name in ("passes", "step"))

    def bar(row: Record) -> Bar | None:
        return _one(row, names, row[key], row[dense] if dense else None)

    return BarChart(title=title, unit=unit, series=_series(names), groups=_groups(document, bar),
                    mark="its own dense machine" if dense else "")  # fmt: skip


def _compared(document: Document) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row["pass"] for row in document["rows"]))


def _last(document: Document) -> str:
    return "step" if "step" in _compared(document) else "passes"


def _series(names: tuple[str, ...]) -> tuple[Series, ...]:
    return tuple(Series(name=name, color=OF_PASS[name]) for name in names)


def _one(row: Record, names: tuple[str, ...], value: float | None, mark: float | None) -> Bar | None:
    if row["pass"] not in names or value is None:
        return None
    return Bar(name=row["pass"], parts=only(value, names.index(row["pass"]), len(names)), mark=mark)


def _groups(document: Document, bar: Callable[[Record], Bar | None]) -> tuple[Group, ...]:
    machines = document["machines"]
    shown = short_names([machine["name"] for machine in machines], _LONGEST_NAME)
    found = []
    for machine, name in zip(machines, shown, strict=True):
        bars = [bar(row) for row in document["rows"] if row["machine"] == machine["name"]]
        there = tuple(each for each in bars if each is not None)
        found.append(Group(name=name, bars=there, missing="" if there else _reason(machine)))
    return tuple(found)


def _reason(machine: Record) -> str:
    return f"no number: {machine['not_normalized'] or 'it takes no time'}"
