"""A sweep for people: a line for each point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from swatsim.charts.run_rows import outermost_bytes
from swatsim.keys.problems import printable
from swatsim.quantities import NOTHING, bytes_text, cycles_text, joules_text, times_text
from swatsim.sweeping.result import Sweep

SYNTHETIC = "A trace is synthetic: its masks were drawn at random, nobody trained them."
STEP, PASSES = "step", ("forward", "backward")


def print_sweep(sweep: Sweep, console: Console) -> None:
    """The keys that vary, and the total of a step, or of what was simulated of it."""
    table = Table(box=None, pad_edge=False)
    for key in sweep.varied or ("arch",):
        table.add_column(key, overflow="fold")
    for name in ("cycles", "speedup", "energy", "DRAM", ""):
        table.add_column(name, justify="left" if not name else "right", no_wrap=bool(name))
    for point in sweep.points:
        given = [printable(str(point["parameters"][key])) for key in sweep.varied or ("arch",)]
        table.add_row(*given, *_cells(point))
    console.print(table)
    if sweep.synthetic:
        console.print(SYNTHETIC, highlight=False)


def _cells(point: Mapping[str, Any]) -> tuple[str, ...]:
    if point["totals"] is None:
        return NOTHING, NOTHING, NOTHING, NOTHING, printable(point["error"])
    if not point["totals"]:
        return NOTHING, NOTHING, NOTHING, NOTHING, "nothing was simulated as a whole"
    total = next((each for each in point["totals"] if each["pass"] == STEP), point["totals"][-1])
    note = "" if total["pass"] == STEP else f"{total['pass']} alone"
    return (
        cycles_text(total["cycles"]), times_text(total["speedup"]), joules_text(total["energy_pj"]),
        bytes_text(outermost_bytes(total)), note,
    )  # fmt: skip
