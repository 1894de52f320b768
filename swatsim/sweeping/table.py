"""A sweep for people: a line for each point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from swatsim.charts.run_rows import outermost_bytes
from swatsim.quantities import NOTHING, bytes_text, cycles_text, joules_text, times_text
from swatsim.report.view import View
from swatsim.sweeping.result import Sweep

SYNTHETIC = "A trace is synthetic: its masks were drawn at random, nobody trained them."
_MEASURES, _NOTE = ("cycles", "speedup", "energy", "DRAM"), ""
STEP, PASSES = "step", ("forward", "backward")


def sweep_view(sweep: Sweep) -> View:
    """The keys that vary, and the total of a step, or of what was simulated of it."""
    keys = sweep.varied or ("arch",)
    lines = [(*(str(point["parameters"][key]) for key in keys), *_cells(point)) for point in sweep.points]
    return View(
        headings=(*keys, *_MEASURES, _NOTE), left=frozenset((*keys, _NOTE)), lines=tuple(lines), totals=(),
        notes=(SYNTHETIC,) if sweep.synthetic else (),
    )  # fmt: skip


def print_sweep(sweep: Sweep, console: Console) -> None:
    """The same as a table as wide as the terminal: names of files are folded, numbers never cut."""
    view = sweep_view(sweep)
    table = Table(box=None, pad_edge=False)
    for name in view.headings:
        measure = name in _MEASURES
        table.add_column(Text(name), justify="right" if measure else "left", no_wrap=measure, overflow="fold")
    # As text: a trace's name is not markup, whatever brackets it has.
    for cells in view.lines:
        table.add_row(*map(Text, cells))
    console.print(table)
    for note in view.notes:
        console.print(note, highlight=False)


def _cells(point: Mapping[str, Any]) -> tuple[str, ...]:
    if point["totals"] is None:
        return NOTHING, NOTHING, NOTHING, NOTHING, str(point["error"])
    if not point["totals"]:
        return NOTHING, NOTHING, NOTHING, NOTHING, "nothing was simulated as a whole"
    total = next((each for each in point["totals"] if each["pass"] == STEP), point["totals"][-1])
    note = "" if total["pass"] == STEP else f"{total['pass']} alone"
    return (
        cycles_text(total["cycles"]), times_text(total["speedup"]), joules_text(total["energy_pj"]),
        bytes_text(outermost_bytes(total)), note,
    )  # fmt: skip
