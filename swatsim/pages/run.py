"""The page of a run: one machine, one trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from swatsim.charts import energy, memory, shape, time
from swatsim.charts.run_rows import Run, is_total, outermost_bytes, trace_title
from swatsim.pages.bars import bar_figure
from swatsim.pages.curves import roof_figure
from swatsim.pages.heat import heat_figure
from swatsim.pages.section import Section, beside
from swatsim.pages.table import Kind, bytes_column, count, energy_column, ratio, share, table, words
from swatsim.pages.words import run_tiles, run_words
from swatsim.passes import PASSES


def title(document: Mapping[str, Any]) -> str:
    """What the page is about."""
    return f"{trace_title(document['trace'])} on {document['architecture']['name']}"


def sections(document: Mapping[str, Any]) -> Iterator[Section]:
    """All of it but the provenance."""
    run = Run.of(document)
    yield Section("summary", "Summary", run_tiles(run) + run_words(run))
    yield Section("speedup", "Speedup", bar_figure("speedup-layers", time.speedup(run)))
    cycles_note = (
        "Ideal work: what cannot be skipped, packed perfectly on all multipliers. Lost: multipliers that find no "
        "value, or wait for others. Stalls: the multipliers wait for memory."
    )
    yield Section("cycles", "Cycles and stalls", bar_figure("cycles-parts", time.cycles_by_part(run), cycles_note)
                  + bar_figure("cycles-layers", time.cycles(run)))  # fmt: skip
    roof_note = (
        "A point left of the ridge (dashed) is limited by the outermost level, one right of it by the multipliers."
    )
    yield Section("roofline", "Roofline", roof_figure("roof", shape.roofline(run), roof_note))
    yield Section("memory", "Memory", "".join(_memory(run)))
    yield Section("energy", "Energy and area", "".join(_energy(run)))
    yield Section("density", "Sparsity", heat_figure(
        "strips", shape.density(run),
        "Percent: non-zeros of both operands of each pass, and the share of its MACs that the machine carries out.",
    ))  # fmt: skip
    yield Section("rows", "All rows", _table(run))


def _memory(run: Run) -> Iterator[str]:
    yield bar_figure("traffic-levels", memory.traffic(run))
    yield bar_figure("traffic-layers", memory.traffic_by_layer(run))
    if run.document.get("footprint") is not None:
        yield bar_figure("footprint", memory.footprint(run))
        note = "What several layers read is counted where it is read first."
        yield bar_figure("footprint-layers", memory.footprint_by_layer(run), note)


def _energy(run: Run) -> Iterator[str]:
    area = energy.area(run)
    parts = bar_figure("energy-parts", energy.energy_by_part(run), "Bits moved at each level, and multiplications.")
    yield beside(parts, *([] if area is None else [bar_figure("area", area, _uncounted(run))]))
    yield bar_figure("energy-layers", energy.energy(run))


def _uncounted(run: Run) -> str:
    uncounted = run.document["area"]["uncounted"]
    return f"Not known, and not counted: {', '.join(uncounted)}." if uncounted else ""


def _table(run: Run) -> str:
    columns = [
        words("layer"), words("pass"), count("cycles"), count("stall_cycles", "stalls"), count("dense_cycles", "dense"),
        count("ideal_cycles", "ideal"), ratio("speedup"), share("utilization"),
        bytes_column("off chip", outermost_bytes), energy_column("energy_pj", "energy"),
        share("input_density", "input density"), share("weight_density", "weight density"),
        share("output_grad_density", "gradient density"),
        words("bound_by", "bound by"), words("scheduled", "skips"), words("mapping"),
    ]  # fmt: skip
    kinds = [
        Kind(name="totals", has=is_total),
        Kind(name="layers", has=lambda row: row["pass"] in PASSES),
        Kind(name="other work", has=lambda row: True, shown=False),
    ]
    present = [kind for kind in kinds if any(kind.has(row) for row in run.document["rows"])]
    # The totals first.
    rows = sorted(run.document["rows"], key=lambda row: not is_total(row))
    return table(columns, rows, present, placeholder="part of a name")
