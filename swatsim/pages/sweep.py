"""The page of a sweep: one point for each choice of parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from swatsim.charts import sweeps
from swatsim.charts.run_rows import Record, outermost_bytes
from swatsim.pages.bars import bar_figure
from swatsim.pages.curves import line_figure
from swatsim.pages.markup import element, text
from swatsim.pages.section import Section
from swatsim.pages.table import Column, Kind, parameter, table, tiles
from swatsim.quantities import bytes_text, cycles_text, joules_text, times_text

_MOST_LISTED = 100  # of points that failed
_TITLES = {"speedup": "Speedup", "cycles": "Cycles", "energy": "Energy", "traffic": "Traffic"}


def title(document: Mapping[str, Any]) -> str:
    """What the page is about."""
    return f"Sweep of {len(document['points'])} points over {', '.join(sweeps.varied(document)) or 'nothing'}"


def sections(document: Mapping[str, Any]) -> Iterator[Section]:
    """All of it but the provenance."""
    yield Section("summary", "Summary", _tiles(document) + "".join(_words(document)))
    for metric, heading in _TITLES.items():
        curves = sweeps.lines(document, metric)
        drawn = "" if curves is None else line_figure(f"{metric}-lines", curves)
        yield Section(metric, heading, drawn + bar_figure(f"{metric}-bars", sweeps.bars(document, metric)))
    yield Section("rows", "All points", _table(document))


def _finished(document: Mapping[str, Any]) -> list[tuple[Record, Record]]:
    """Points with their total."""
    measured = sweeps.measured(document)
    found = ((point, sweeps.total_of(point, measured)) for point in document["points"])
    return [(point, total) for point, total in found if total is not None]


def _tiles(document: Mapping[str, Any]) -> str:
    finished, keys = _finished(document), sweeps.varied(document)
    failed = len(document["points"]) - len(finished)
    facts = [("Points", f"{len(document['points']):,}", f"{failed:,} failed")]
    for name, key, write in (
        ("Fewest cycles", "cycles", cycles_text), ("Least energy", "energy_pj", joules_text),
    ):  # fmt: skip
        if finished:
            point, total = min(finished, key=lambda each: each[1][key])
            facts.append((name, write(total[key]), sweeps.label(point, keys)))
    sped = [each for each in finished if each[1]["speedup"] is not None]
    if sped:
        point, total = max(sped, key=lambda each: each[1]["speedup"])
        facts.append(("Most speedup", times_text(total["speedup"]), sweeps.label(point, keys)))
    return tiles(facts)


def _words(document: Mapping[str, Any]) -> Iterator[str]:
    name = sweeps.measured(document)
    what = "the whole training step" if name == "step" else f"the {name} pass, which all points have"
    yield element("p", text(f"All figures are of {what}. Speedups are over the same machine without skipping."))
    failed = [point for point in document["points"] if point["error"]]
    if failed:
        keys = sweeps.varied(document)
        lines = [f"{sweeps.label(point, keys)}: {point['error']}" for point in failed[:_MOST_LISTED]]
        if len(failed) > len(lines):
            lines.append(f"and {len(failed) - len(lines):,} more, which the table has")
        yield element("p", "Points that failed:")
        yield element("ul", [element("li", text(line)) for line in lines], class_="words")


def _table(document: Mapping[str, Any]) -> str:
    keys, measured = sweeps.varied(document) or tuple(document["grid"]), sweeps.measured(document)

    def of_total(read: Callable[[Record], float | None]) -> Callable[[Record], float | None]:
        return lambda point: sweeps.value_of(point, measured, read)

    columns = [
        *(parameter(key) for key in keys),
        Column(heading="cycles", read=of_total(lambda row: row["cycles"])),
        Column(heading="stalls", read=of_total(lambda row: row["stall_cycles"])),
        Column(heading="speedup", read=of_total(lambda row: row["speedup"]), write="{:.2f}x".format),
        Column(heading="utilization", read=of_total(lambda row: row["utilization"]), write="{:.0%}".format),
        Column(heading="off chip", read=of_total(outermost_bytes), write=lambda size: bytes_text(round(size))),
        Column(heading="energy", read=of_total(lambda row: row["energy_pj"]), write=joules_text),
    ]
    kinds = [
        Kind(name="finished", has=lambda point: not point["error"]), Kind(name="failed", has=lambda point: True)
    ]  # fmt: skip
    failed = any(point["error"] for point in document["points"])
    if failed:
        columns.append(Column(heading="error", read=lambda point: point["error"] or "", text=True))
    return table(columns, document["points"], kinds if failed else (), placeholder="part of a name or value")
