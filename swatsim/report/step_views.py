"""The tables that have no line per layer and pass: streaming work by kind, footprint and area."""

from __future__ import annotations

from collections.abc import Sequence

from swatsim.errors import SwatsimError
from swatsim.footprint import PUBLISHED_ACTIVATION_REDUCTION, PUBLISHED_WEIGHT_REDUCTION, Kept
from swatsim.passes import STREAMING
from swatsim.quantities import NOTHING, bytes_text, cycles_text, joules_text, share_text, times_text
from swatsim.report.records import OTHER, Row, add
from swatsim.report.report import Report
from swatsim.report.view import View, heading


def other_view(report: Report) -> View:
    """What a step does beside its convolutions, by kind."""
    streams = report.streaming_records
    kinds = [(kind, [row for row in streams if row.pass_name == kind]) for kind in STREAMING]
    lines = tuple(_stream_cells(kind, rows) for kind, rows in kinds if rows)
    totals = (_stream_cells(OTHER, streams),) if streams else ()
    headings = (
        "kind",
        "streams",
        "cycles",
        "stalls",
        "dense",
        "speedup",
        heading(report.machine.outermost.upper()),
        "energy",
    )
    notes = () if streams else ("Nothing: no whole step was simulated.",)
    return View(headings=headings, left=frozenset({"kind"}), lines=lines, totals=totals, notes=notes)


def _stream_cells(kind: str, rows: Sequence[Row]) -> tuple[str, ...]:
    total = add(kind, rows)
    return (
        kind,
        f"{len(rows):,}",
        cycles_text(total.cycles),
        cycles_text(total.stall_cycles),
        cycles_text(total.dense_cycles),
        times_text(total.speedup),
        bytes_text(total.dram_bytes),
        joules_text(total.energy.total.value),
    )


def area_view(report: Report) -> View:
    """Square millimetres by component."""
    area = report.area
    if area is None:
        raise SwatsimError("area: got a report without one, expected it from a simulation")
    total = area.total_mm2
    lines = tuple((name, f"{part:.2f}", share_text(part, total)) for name, part in area.parts_mm2.items())
    lines += tuple((name, "?", "?") for name in area.uncounted)
    notes = (f"Not counted, for nobody says how large: {', '.join(area.uncounted)}.",) if area.uncounted else ()
    return View(
        headings=("component", "mm2", "share"),
        left=frozenset({"component"}),
        lines=lines,
        totals=(("total", f"{total:.2f}", share_text(total, total)),),
        notes=notes,
    )


def footprint_view(report: Report) -> View:
    """Bytes kept from forward to backward."""
    footprint = report.footprint
    if footprint is None:
        raise SwatsimError("footprint: got a report without one, expected it from a simulation of a whole step")
    activation, weight = (
        f"{low:.0%} to {high:.0%}" for low, high in (PUBLISHED_ACTIVATION_REDUCTION, PUBLISHED_WEIGHT_REDUCTION)
    )
    missing = "" if footprint.between else " The trace does not say what is kept between layers."
    return View(
        headings=("kept for", "activation", "dense", "saved", "weight", "dense", "saved"),
        left=frozenset({"kept for"}),
        lines=tuple(_kept_cells(kept) for kept in (*footprint.layers, *footprint.between)),
        totals=tuple(map(_kept_cells, (footprint.layers_total, footprint.between_total, footprint.total))),
        notes=(
            "activation: inputs, masks and indices; weight: as the input gradient reads it; both with their format's "
            f"metadata.{missing}",
            f"The SWAT paper states savings of {activation} for activations and of {weight} for weights.",
        ),
    )


def _kept_cells(kept: Kept) -> tuple[str, ...]:
    sizes = (
        (kept.activation_bytes, kept.dense_activation_bytes),
        (kept.weight_bytes, kept.dense_weight_bytes),
    )
    cells = ((bytes_text(part), bytes_text(whole), _saved_text(part, whole)) for part, whole in sizes)
    return (kept.name, *(text for three in cells for text in three))


def _saved_text(part: int, whole: int) -> str:
    return f"{1 - part / whole:z.0%}" if whole else NOTHING
