"""The tables of layers and passes: cycles, losses, stalls, traffic, energy, roofline and mapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from swatsim.moves import DIRECTIONS
from swatsim.quantities import NOTHING, bytes_text, cycles_text, joules_text, rate_text, share_text, times_text
from swatsim.report.columns import CAUSES
from swatsim.report.records import OTHER, Row
from swatsim.report.report import Report
from swatsim.report.view import WIDTH, Parts, View, columns_width, fitting, heading
from swatsim.way import Losses

_LONGEST_NAME = 21  # of a layer, before columns give way to it


def cycles_view(report: Report) -> View:
    """Cycles against the dense machine's and the ideal."""
    headings = (
        "cycles",
        "stalls",
        "dense",
        "ideal",
        "speedup",
        "util",
        heading(report.machine.outermost.upper()),
        "bound",
    )
    if report.sample is None:
        return _view(report, headings, _cycles_cells, left={"bound"})

    def cells(record: Row) -> tuple[str, ...]:
        cycles, *others = _cycles_cells(record)
        return (cycles, *_sampled_cells(record), *others)

    return _view(report, ("cycles", "error", "sample", *headings[1:]), cells, left={"bound"})


def _sampled_cells(record: Row) -> tuple[str, str]:
    """Half of the interval as a share of the cycles, and the groups that were simulated, of all."""
    interval = record.interval
    if interval is None or not interval.groups:
        return NOTHING, NOTHING
    half = max(interval.high - record.cycles, record.cycles - interval.low)
    return f"{half / max(1, record.cycles):.1%}", f"{interval.drawn}/{interval.groups}"


def _cycles_cells(record: Row) -> tuple[str, ...]:
    return (
        cycles_text(record.cycles),
        cycles_text(record.stall_cycles),
        cycles_text(record.dense_cycles),
        cycles_text(record.ideal_cycles),
        times_text(record.speedup),
        NOTHING if record.utilization is None else f"{record.utilization:.0%}",
        bytes_text(record.dram_bytes),
        record.bound_by,
    )


def losses_view(report: Report) -> View:
    """What the compute cycles are more than the ideal, by cause; streaming work multiplies nothing and is left out."""

    def cells(record: Row) -> tuple[str, ...]:
        parts = (record.ideal_cycles, *record.losses)
        return (
            cycles_text(record.compute_cycles),
            cycles_text(record.ideal_cycles),
            *(share_text(part, record.compute_cycles) for part in parts),
            cycles_text(record.stall_cycles),
        )

    view = _view(
        report,
        ("compute", "ideal", "busy", *Losses._fields, "stalls"),
        cells,
        notes=(
            "ideal: what cannot be skipped, packed perfectly on all multipliers; busy: its share of the compute "
            "cycles. The others are lost to: reach (multipliers that find no value), imbalance of rows and of tiles, "
            "barriers, edges (padding, what is idle in last rounds). stalls: cycles beside the compute cycles.",
        ),
    )
    streaming = (OTHER, "step")
    return replace(view, totals=tuple(cells for cells in view.totals if cells[1] not in streaming))


def stalls_view(report: Report) -> View:
    """Cycles, and what share of them waits for what."""

    def of(record: Row) -> Mapping[str, float]:
        return {cause: record.stalls.get(cause, 0) for cause in (*record.machine.levels, *CAUSES)}

    def cells(record: Row) -> tuple[str, ...]:
        return (
            cycles_text(record.cycles),
            cycles_text(record.stall_cycles),
            cycles_text(record.prefetched_cycles),
            share_text(record.compute_cycles, record.cycles),
        )

    headings = ("cycles", "stalls", "prefetched", "compute")
    causes = _fitting(report, of, lambda part, record: share_text(part, record.cycles), headings, cells)
    return _view(
        report,
        (*headings, *causes.headings),
        lambda record: (*cells(record), *causes.cells(record)),
        notes=(
            "compute, and what the stalls wait for: shares of the cycles. "
            "prefetched: loads that ran under the pass before.",
        ),
    )


def traffic_view(report: Report) -> View:
    """Bytes of the outermost level beside the least that any order moves, and bytes at the levels on the chip."""

    def of(record: Row) -> Mapping[str, float]:
        inner = record.machine.levels[1:]
        return {level: sum(record.moved(level, direction) for direction in DIRECTIONS) for level in inner}

    outermost = report.machine.outermost

    def cells(record: Row) -> tuple[str, ...]:
        return (
            bytes_text(record.moved(outermost, "read")),
            bytes_text(record.moved(outermost, "write")),
            bytes_text(record.compulsory_dram_bytes),
            times_text(record.dram_bytes / record.compulsory_dram_bytes if record.compulsory_dram_bytes else None),
        )

    headings = ("read", "write", "least", "more")
    levels = _fitting(report, of, lambda part, _: bytes_text(int(part)), headings, cells)
    return _view(
        report,
        (*headings, *levels.headings),
        lambda record: (*cells(record), *levels.cells(record)),
        notes=(
            f"read, write: of {outermost}. least: each operand read once as it is stored, the result written once; "
            "more: read and write by it. The other levels: bytes read and written.",
        ),
    )


def energy_view(report: Report) -> View:
    """Energy with its band, against the dense machine's, and where it goes."""

    def of(record: Row) -> Mapping[str, float]:
        energy = record.energy
        return {**{level: band.value for level, band in energy.levels.items()}, "mac": energy.mac.value}

    def cells(record: Row) -> tuple[str, ...]:
        total = record.energy.total
        dense = record.dense_energy.total.value
        return (
            joules_text(total.value),
            joules_text(total.low),
            joules_text(total.high),
            times_text(dense / total.value if total.value else None),
        )

    headings = ("energy", "low", "high", "saving")
    parts = _fitting(report, of, lambda part, record: share_text(part, record.energy.total.value), headings, cells)
    return _view(
        report,
        (*headings, *parts.headings),
        lambda record: (*cells(record), *parts.cells(record)),
        notes=(
            "low, high: at the lowest and highest prices of the sources. saving: the dense machine's energy by this "
            "one's. Levels and mac: shares of the energy. Leakage, clocks and control are not counted.",
        ),
    )


def roofline_view(report: Report) -> View:
    """Multiplications per byte of the outermost level, and how near the machine comes to its roof."""
    machine = report.machine
    ridge, width = machine.ridge_macs_per_dram_byte, machine.dram_bytes_per_cycle

    def cells(record: Row) -> tuple[str, ...]:
        roof = record.roofline_macs_per_cycle
        done = record.multiplications / record.cycles if record.cycles else 0.0
        return (
            f"{record.multiplications / 1e6:,.1f}",
            bytes_text(record.dram_bytes),
            rate_text(record.macs_per_dram_byte),
            rate_text(record.dense_macs_per_dram_byte),
            rate_text(roof),
            rate_text(done),
            share_text(done, roof),
            record.roofline_side,
        )

    balance = (
        f"{machine.outermost} is unlimited: there is no ridge."
        if ridge is None
        else f"The ridge is at {rate_text(ridge)} MACs/B: {machine.peak_macs_per_cycle:,} MACs and {width:,} bytes of "
        f"{machine.outermost} a cycle."
    )
    return _view(
        report,
        ("million MACs", heading(machine.outermost.upper()), "MACs/B", "dense", "roof", "done", "share", "side"),
        cells,
        left={"side"},
        notes=(
            f"{balance} MACs are those that the machine multiplies; dense: MACs/B of the machine without skipping. "
            "roof, done: MACs a cycle that the ridge allows, and that are done.",
        ),
    )


def mapping_view(report: Report) -> View:
    """What the mapper chose."""
    return View(
        headings=("layer", "pass", "skips", "blocks", "mapping"),
        left=frozenset({"layer", "pass", "skips", "mapping"}),
        lines=tuple(
            (record.layer, record.pass_name, record.scheduled, f"{record.blocks:,}", record.mapping or NOTHING)
            for record in report.layer_records
        ),
        totals=(),
        notes=(
            "skips: the operand whose zeros are skipped. Tiles along rows x columns; blocks of rows x of columns, and "
            "which are outside. |: the next contraction of the pass, as in a strided input gradient.",
        ),
        wraps=True,
    )


def _fitting(
    report: Report,
    of: Callable[[Row], Mapping[str, float]],
    text: Callable[[float, Row], str],
    headings: tuple[str, ...],
    cells: Callable[[Row], tuple[str, ...]],
) -> Parts:
    """Parts in the room that names, passes and the other columns leave."""
    shown = _shown(report)
    widths = columns_width(headings, map(cells, shown))
    names = columns_width(("layer", "pass"), ((record.layer[:_LONGEST_NAME], record.pass_name) for record in shown))
    return fitting(shown, of, text, WIDTH - names - widths)


def _shown(report: Report) -> tuple[Row, ...]:
    return (*report.layer_records, *report.totals)


def _view(
    report: Report,
    headings: tuple[str, ...],
    cells: Callable[[Row], tuple[str, ...]],
    left: set[str] | None = None,
    notes: tuple[str, ...] = (),
) -> View:
    """One line per layer and pass, and the totals; streaming work only as a total."""
    return View(
        headings=("layer", "pass", *headings),
        left=frozenset({"layer", "pass"} | (left or set())),
        lines=tuple((record.layer, record.pass_name, *cells(record)) for record in report.layer_records),
        totals=tuple((record.layer, record.pass_name, *cells(record)) for record in report.totals),
        notes=notes,
    )
