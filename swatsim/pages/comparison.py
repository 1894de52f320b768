"""The page of a comparison: machines on one trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from swatsim.charts import comparisons
from swatsim.charts.run_rows import trace_title
from swatsim.pages.bars import bar_figure
from swatsim.pages.markup import element, text
from swatsim.pages.section import Section, beside
from swatsim.pages.table import Column, Kind, bytes_column, count, energy_column, ratio, share, table, tiles, words
from swatsim.quantities import joules_text, times_text


def title(document: Mapping[str, Any]) -> str:
    """What the page is about."""
    return f"{len(document['machines'])} machines on {trace_title(document['trace'])}"


def sections(document: Mapping[str, Any]) -> Iterator[Section]:
    """All of it but the provenance."""
    notes = element("ul", [element("li", text(note)) for note in document["notes"]], class_="words")
    yield Section("summary", "Summary", _tiles(document) + _words(document) + notes)
    yield Section("speedup", "Speedup", bar_figure("speedup-machines", comparisons.speedup(document)))
    yield Section("costs", "Cycles, traffic and energy", beside(
        bar_figure("cycles", comparisons.cycles(document)), bar_figure("traffic", comparisons.traffic(document)),
        bar_figure("energy", comparisons.energy(document)),
    ))  # fmt: skip
    yield Section("rows", "All rows", _table(document))


def _of_all(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Rows of all passes that have a number, the fastest first."""
    key = _speedup(document)
    rows = [row for row in document["rows"] if row["pass"] == "passes" and row[key] is not None]
    return sorted(rows, key=lambda row: -row[key])


def _speedup(document: Mapping[str, Any]) -> str:
    return "speedup" if document["by"] == "cycles" else "compute_speedup"


def _tiles(document: Mapping[str, Any]) -> str:
    rows, key = _of_all(document), _speedup(document)
    facts = [("Machines", f"{len(document['machines'])}", f"baseline {document['baseline']['architecture']['name']}")]
    if rows:
        facts.append(("Fastest", times_text(rows[0][key]), rows[0]["architecture"]))
        facts.append(("Slowest", times_text(rows[-1][key]), rows[-1]["architecture"]))
        least = min(rows, key=lambda row: row["energy_pj"])
        facts.append(("Least energy of all passes", joules_text(least["energy_pj"]), least["architecture"]))
    return tiles(facts)


def _words(document: Mapping[str, Any]) -> str:
    rows, key = _of_all(document), _speedup(document)
    listed = ", ".join(f"{row['architecture']} {times_text(row[key])}" for row in rows)
    said = f"In all passes of the layers, the fastest first: {listed}." if rows else "No machine has a number."
    return element("p", text(said))


def _table(document: Mapping[str, Any]) -> str:
    columns = [
        words("machine"), words("architecture"), words("pass"), ratio("speedup"), ratio("own_speedup", "own dense"),
        ratio("compute_speedup", "compute"), ratio("own_compute_speedup", "compute, own dense"), count("cycles"),
        count("stall_cycles", "stalls"), count("dense_cycles", "dense"), share("utilization"),
        bytes_column("off chip", lambda row: row["dram_bytes"]), energy_column("energy_pj", "energy"),
        count("peak_macs_per_cycle", "peak MACs"),
        Column(heading="clock", read=lambda row: row["clock_hz"], write=lambda hertz: f"{hertz / 1e6:,g} MHz"),
        Column(heading="area", read=lambda row: row["area_mm2"], write="{:,.2f} mm²".format),
    ]  # fmt: skip
    names = dict.fromkeys(row["pass"] for row in document["rows"])
    kinds = [_kind(name) for name in names]
    return table(columns, document["rows"], kinds, placeholder="part of a name")


def _kind(name: str) -> Kind:
    return Kind(name=name, has=lambda row: row["pass"] == name)
