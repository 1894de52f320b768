"""A report as a table for people, 100 columns wide."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.console import Console, Group
from rich.text import Text

from swatsim.plain_text import printable
from swatsim.quantities import joules_text
from swatsim.report.records import Row
from swatsim.report.report import Report
from swatsim.report.step_views import area_view, footprint_view, other_view
from swatsim.report.view import WIDTH, View, print_view
from swatsim.report.views import (
    cycles_view,
    energy_view,
    losses_view,
    mapping_view,
    roofline_view,
    stalls_view,
    traffic_view,
)

SYNTHETIC = "The trace is synthetic: its masks were drawn at random, nobody trained them."
# What `swatsim run --show` may name, the default first.
VIEWS: dict[str, Callable[[Report], View]] = {
    "cycles": cycles_view,
    "losses": losses_view,
    "stalls": stalls_view,
    "traffic": traffic_view,
    "energy": energy_view,
    "roofline": roofline_view,
    "mapping": mapping_view,
    "other": other_view,
    "footprint": footprint_view,
    "area": area_view,
}


def print_table(report: Report, console: Console, show: str = "cycles") -> None:
    """Print one of VIEWS and what it means; below cycles, what they come to."""
    view = VIEWS[show](report)
    print_view(console, view)
    below = list(_summary(report) if show == "cycles" else view.notes)
    if report.sample is not None:
        below.append(_sample(report.sample))
    if report.synthetic:
        below.append(SYNTHETIC)
    console.print(Group(*(Text(printable(line)) for line in ("", *below))), width=min(WIDTH, console.width))


def _sample(sample: Mapping[str, Any]) -> str:
    return (
        f"Sampled: --sample {sample['fraction']:g} --seed {sample['seed']}. Cycles of passes with a sample (groups "
        f"simulated / in all) are estimates, with intervals that hold {sample['confidence']:.0%} of the time or more "
        "(docs/sampling.md). What has none was simulated whole. Bytes are exact."
    )


def _summary(report: Report) -> Iterator[str]:
    whole = [record for record in report.totals if record.pass_name == "step"] or report.totals
    for total in whole:
        yield from _total_lines(report, total)


def _total_lines(report: Report, total: Row) -> Iterator[str]:
    clock_hz = total.machine.clock_hz
    milliseconds = total.cycles / clock_hz * 1e3
    compute = f"{total.dense_compute_cycles / total.compute_cycles:.2f}x" if total.compute_cycles else "no time"
    speedup = "no time" if total.speedup is None else f"{total.speedup:.2f}x"
    yield (
        f"{report.architecture['name']}, trace {report.trace_title}, {total.pass_name}: {total.cycles:,} cycles "
        f"({milliseconds:.3f} ms at {clock_hz / 1e6:g} MHz)."
    )
    interval = total.interval
    if interval is not None:
        low, high = (f"{each:.2f}x" if each else "no time" for each in (total.speedup_low, total.speedup_high))
        yield f"Estimated: {interval.low:,} to {interval.high:,} cycles, a speedup of {low} to {high}."
    yield f"Speedup over the same machine without skipping: {speedup} with memory stalls, {compute} in compute cycles."
    energy, power = total.energy.total, total.average_power_w
    yield (
        f"Energy: {joules_text(energy.value)} (sources allow {joules_text(energy.low)} to {joules_text(energy.high)}; "
        f"without skipping {joules_text(total.dense_energy.total.value)})"
        + (f", {power:.3g} W on average." if power is not None else ".")
    )
