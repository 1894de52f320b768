"""A report as a table for people, 100 columns wide."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from swatsim.report.records import TOTAL, Row
from swatsim.report.report import Report

WIDTH = 100
_UNITS = ("B", "KB", "MB", "GB", "TB", "PB", "EB")


def print_table(report: Report, console: Console) -> None:
    """Print one line per layer and pass, the totals, and what they mean."""
    console.print(Group(_table(report), *_summary(report)), width=min(WIDTH, console.width))


def _table(report: Report) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", show_edge=False)
    table.add_column("layer", overflow="ellipsis", no_wrap=True, max_width=24)
    table.add_column("pass", no_wrap=True)
    for name in ("cycles", "stalls", "dense", "ideal", "speedup", "util", "DRAM"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("bound", no_wrap=True)
    in_totals = False
    for record in report.records:
        if record.layer == TOTAL and not in_totals:
            in_totals = True
            table.add_section()
        table.add_row(*_cells(record), style="bold" if in_totals else None)
    return table


def _cells(record: Row) -> list[str]:
    return [
        record.layer,
        record.pass_name,
        f"{record.cycles:,}",
        f"{record.stall_cycles:,}",
        f"{record.dense_cycles:,}",
        f"{record.ideal_cycles:,}",
        "-" if record.speedup is None else f"{record.speedup:.2f}x",
        "-" if record.utilization is None else f"{record.utilization:.0%}",
        _bytes(record.moved("dram", "read") + record.moved("dram", "write")),
        record.bound_by,
    ]


def _bytes(count: int) -> str:
    size, unit = float(count), 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{count} B" if unit == 0 else f"{size:.3g} {_UNITS[unit]}" if size < 999.5 else f"{size:.0f} {_UNITS[unit]}"


def _summary(report: Report) -> list[RenderableType]:
    step = report.total()
    compute = "no time" if not step.compute_cycles else f"{step.dense_compute_cycles / step.compute_cycles:.2f}x"
    seconds = step.cycles / report.architecture["clock_hz"]
    speedup = "no time" if step.speedup is None else f"{step.speedup:.2f}x"
    lines = [
        f"{report.architecture['name']}, trace {report.trace['name']}: {step.cycles:,} cycles a step "
        f"({seconds * 1e3:.3f} ms at {report.architecture['clock_hz'] / 1e6:g} MHz).",
        f"Speedup over the same machine without skipping: {speedup} with memory stalls, {compute} in compute cycles.",
    ]
    return [Text(""), *(Text(line) for line in lines)]
