"""Speedup, and where the cycles go."""

from __future__ import annotations

from collections.abc import Iterable

from swatsim.charts.colors import OF_PASS, in_order
from swatsim.charts.model import Bar, BarChart, Group, Series
from swatsim.charts.run_rows import Record, Run, add

ALL_LAYERS = "all layers"


def speedup(run: Run) -> BarChart:
    """Speedup over the dense machine, pass by pass: all layers together, then each."""
    series = tuple(Series(name=name, color=OF_PASS[name]) for name in run.passes)
    whole = {name: run.parts[name] for name in run.passes}
    groups = [_speedups(ALL_LAYERS, whole, run.passes)]
    groups += [_speedups(layer, {key: (row,) for key, row in own.items()}, run.passes) for layer, own in
               run.by_layer.items()]  # fmt: skip
    return BarChart(
        title="Speedup over the same machine without skipping", unit="times", series=series, groups=tuple(groups),
        mark="in compute cycles, without stalls", reference=1.0,
    )  # fmt: skip


def _speedups(layer: str, rows: dict[str, tuple[Record, ...]], passes: tuple[str, ...]) -> Group:
    bars = []
    for name, chosen in rows.items():
        cycles, compute = add(chosen, "cycles"), add(chosen, "compute_cycles")
        if not cycles:
            continue
        value = add(chosen, "dense_cycles") / cycles
        mark = add(chosen, "dense_compute_cycles") / compute if compute else None
        bars.append(Bar(name=name, parts=only(value, passes.index(name), len(passes)), mark=mark))
    return Group(name=layer, bars=tuple(bars))


def only(value: float, place: int, count: int) -> tuple[float, ...]:
    """The parts of a bar that is of one series."""
    return tuple(value if number == place else 0.0 for number in range(count))


def cycles(run: Run) -> BarChart:
    """Cycles of each layer and pass: what cannot be skipped, what is lost to the schedule, stalls by cause."""
    groups = [
        Group(name=layer, bars=tuple(_cycles(name, (row,), run) for name, row in own.items()))
        for layer, own in run.by_layer.items()
    ]
    return BarChart(
        title="Cycles of each layer and pass", unit="cycles", series=cycle_series(run), groups=tuple(groups)
    )


def cycles_by_part(run: Run) -> BarChart:
    """The same of the parts of the step."""
    groups = [Group(name=name, bars=(_cycles(name, rows, run),)) for name, rows in run.parts.items()]
    return BarChart(
        title="Cycles of the parts of the step", unit="cycles", series=cycle_series(run), groups=tuple(groups),
        mark="without skipping",
    )  # fmt: skip


def cycle_series(run: Run) -> tuple[Series, ...]:
    """What cycles are made of."""
    return (
        Series(name="ideal work", color="blue"),
        Series(name="lost to the schedule", color="pale"),
        *(Series(name=f"stall: {cause}", color=in_order(number)) for number, cause in enumerate(run.causes)),
    )


def _cycles(name: str, rows: Iterable[Record], run: Run) -> Bar:
    chosen = tuple(rows)
    ideal = add(chosen, "ideal_cycles")
    stalls = (add(chosen, f"stall_{cause}_cycles") for cause in run.causes)
    return Bar(
        name=name, parts=(ideal, add(chosen, "compute_cycles") - ideal, *stalls), mark=add(chosen, "dense_cycles")
    )
