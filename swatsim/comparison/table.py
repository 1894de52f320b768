"""A comparison as two tables for people, 100 columns wide: over the baseline, and over each machine's dense self."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from rich.console import Console, Group
from rich.text import Text

from swatsim.charts.names import short_names
from swatsim.comparison.notes import notes
from swatsim.comparison.result import CONVOLUTIONS, Comparison
from swatsim.plain_text import printable
from swatsim.quantities import NOTHING, times_text
from swatsim.report.records import OTHER
from swatsim.report.table import SYNTHETIC
from swatsim.report.view import WIDTH, View, columns_width, print_view

_LONGEST_NAME = 24
_LEAST_BAR, _MOST_BAR = 6, 24


def print_comparison(comparison: Comparison, console: Console, by: str) -> None:
    """Print both tables and what was done; on a terminal, bars of the three passes where there is room."""
    view = over_baseline(comparison, by)
    if console.is_terminal and console.width >= WIDTH:
        view = with_bars(view, comparison, by)
    print_view(console, view)
    console.print()
    print_view(console, over_own_dense(comparison, by))
    below = ["", *notes(comparison, by)]
    if comparison.baseline.report.synthetic:
        below.append(SYNTHETIC)
    console.print(Group(*map(Text, below)), width=min(WIDTH, console.width))


def shown(comparison: Comparison) -> tuple[str, ...]:
    """What is compared and has a column: streaming work by itself has none."""
    return tuple(name for name in comparison.compared if name != OTHER)


def over_baseline(comparison: Comparison, by: str) -> View:
    """Speedups over the baseline, with each machine's peak and the factor by which its cycles were normalized."""
    speedups = [[times_text(entry.speedup(by)) for entry in comparison.of(name)] for name in shown(comparison)]
    peaks = [f"{machine.report.machine.peak_macs_per_cycle:,}" for machine in comparison.machines]
    factors = [
        NOTHING if factor is None else f"{float(factor):.4g}"
        for factor in (machine.scale.factor for machine in comparison.machines)
    ]
    return _view(
        comparison, comparison.baseline.architecture_name, {"MACs": peaks, "factor": factors}, speedups
    )  # fmt: skip


def over_own_dense(comparison: Comparison, by: str) -> View:
    """Speedups over the same machine with skipping off, and how well its multipliers are used in the three passes."""
    speedups = [[times_text(entry.own_speedup(by)) for entry in comparison.of(name)] for name in shown(comparison)]
    used = [entry.utilization(by) for entry in comparison.of(CONVOLUTIONS)]
    shares = [NOTHING if share is None else f"{share:.0%}" for share in used]
    return _view(comparison, "own dense", {"util": shares}, speedups)


def with_bars(view: View, comparison: Comparison, by: str) -> View:
    """The same with a bar for the speedup in the three passes, as long as the table leaves room for one."""
    room = min(_MOST_BAR, WIDTH - columns_width(view.headings, view.lines))
    speedups = [entry.speedup(by) or 0.0 for entry in comparison.of(CONVOLUTIONS)]
    if room < _LEAST_BAR or not any(speedups):
        return view
    most = max(speedups)
    bars = ["━" * round(room * speedup / most) for speedup in speedups]
    return View(
        headings=(*view.headings, CONVOLUTIONS[:_LEAST_BAR]), left=view.left,
        lines=tuple((*cells, f"{bar:<{room}}") for cells, bar in zip(view.lines, bars, strict=True)), totals=(),
    )  # fmt: skip


def _view(comparison: Comparison, over: str, before: dict[str, list[str]], speedups: Sequence[Sequence[str]]) -> View:
    names = short_names([machine.name for machine in comparison.machines], _LONGEST_NAME)
    heading = short_names([f"over {printable(over)}"], _LONGEST_NAME)[0]
    columns = (names, *before.values(), *speedups)
    return View(
        headings=tuple(chain((heading,), before, shown(comparison))), left=frozenset({heading}),
        lines=tuple(zip(*columns, strict=True)), totals=(),
    )  # fmt: skip
