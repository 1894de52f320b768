"""A report as a table for people, 100 columns wide."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from swatsim.report.records import TOTAL, Row
from swatsim.report.report import Report

WIDTH = 100
HEADER = ("layer", "pass", "cycles", "stalls", "dense", "ideal", "speedup", "util", "DRAM", "bound")
_UNITS = ("B", "KB", "MB", "GB", "TB", "PB", "EB")


def print_table(report: Report, console: Console) -> None:
    """Print one line per layer and pass, the totals, and what they mean."""
    # A narrower terminal wraps the lines itself: a number that is cut would be a wrong number.
    console.print(_table(report), width=WIDTH, crop=False)
    console.print(Group(*_summary(report)), width=min(WIDTH, console.width))


def _table(report: Report) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", show_edge=False, pad_edge=False)
    records = [_cells(record) for record in report.records]
    widths = [max(len(cells[column]) for cells in (HEADER, *records)) for column in range(len(HEADER))]
    # Only the layer's name gives way.
    widths[0] = max(1, min(widths[0], WIDTH - sum(widths[1:]) - (len(HEADER) - 1)))
    for column, name in enumerate(HEADER):
        text = name in ("layer", "pass", "bound")
        table.add_column(
            name, justify="left" if text else "right", no_wrap=True, overflow="ellipsis", width=widths[column]
        )
    in_totals = False
    for record, cells in zip(report.records, records, strict=True):
        if record.layer == TOTAL and not in_totals:
            in_totals = True
            table.add_section()
        # As text: a layer's name is not markup, whatever brackets it has.
        table.add_row(*map(Text, cells), style="bold" if in_totals else None)
    return table


def _cells(record: Row) -> list[str]:
    return [
        record.layer,
        record.pass_name,
        _cycles(record.cycles),
        _cycles(record.stall_cycles),
        _cycles(record.dense_cycles),
        _cycles(record.ideal_cycles),
        "-" if record.speedup is None else f"{record.speedup:.2f}x",
        "-" if record.utilization is None else f"{record.utilization:.0%}",
        _bytes(record.moved("dram", "read") + record.moved("dram", "write")),
        record.bound_by,
    ]


def _cycles(count: int) -> str:
    return f"{count:,}" if count < 10_000_000 else f"{count / 1e6:,.2f}M"


def _bytes(count: int) -> str:
    size, unit = float(count), 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{count} B" if unit == 0 else f"{size:.{2 if size < 9.995 else 1 if size < 99.95 else 0}f} {_UNITS[unit]}"


def _summary(report: Report) -> list[RenderableType]:
    totals = [record for record in report.records if record.layer == TOTAL]
    whole = [record for record in totals if record.pass_name == "step"] or totals
    clock_hz = report.architecture["clock_hz"]
    lines = [""]
    for total in whole:
        milliseconds = total.cycles / clock_hz * 1e3
        compute = f"{total.dense_compute_cycles / total.compute_cycles:.2f}x" if total.compute_cycles else "no time"
        speedup = "no time" if total.speedup is None else f"{total.speedup:.2f}x"
        lines += [
            f"{report.architecture['name']}, trace {report.trace['name']}, {total.pass_name}: {total.cycles:,} cycles "
            f"({milliseconds:.3f} ms at {clock_hz / 1e6:g} MHz).",
            f"Speedup over the same machine without skipping: {speedup} with memory stalls, "
            f"{compute} in compute cycles.",
        ]
    return [Text(line) for line in lines]
