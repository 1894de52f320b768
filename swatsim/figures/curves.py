"""Points under a roof, and lines over a parameter."""

from __future__ import annotations

from swatsim.charts.model import LineChart, ParetoChart, RoofChart
from swatsim.charts.ticks import decades, ticks
from swatsim.charts.units import axis_name, tick_text
from swatsim.figures.pen import Pen, plain

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LOGARITHMIC = 8  # from which ratio of its ends an axis is so
_MOST_NAMED = 10


def draw_roof(pen: Pen, chart: RoofChart) -> None:
    """A point for each layer and pass; a marker of its own for each pass, for those who do not see colors."""
    axes = pen.axes
    colors = pen.style.series([series.color for series in chart.series])
    handles = []
    for number, color in enumerate(colors):
        own = [point for point in chart.points if point.series == number]
        handles.append(axes.scatter(
            [point.x for point in own], [point.y for point in own], s=pen.size.font_points * 1.6, color=color,
            alpha=0.75, marker=_MARKERS[number % len(_MARKERS)], linewidths=0,
        ))  # fmt: skip
    across = [point.x for point in chart.points] + ([chart.ridge] if chart.ridge else []) or [1.0]
    up = [point.y for point in chart.points] + [chart.peak]
    x, y = decades(min(across), max(across) * 1.01), decades(min(up), chart.peak)
    start = x[0] if chart.ridge is None else chart.ridge
    axes.plot([start, x[-1]], [chart.peak, chart.peak], color=pen.style.ink, linewidth=1)
    if chart.ridge is not None:
        axes.plot([x[0], chart.ridge], [chart.peak * x[0] / chart.ridge, chart.peak], color=pen.style.ink, linewidth=1)
        axes.axvline(chart.ridge, color=pen.style.ink, linewidth=0.6, linestyle=(0, (3, 3)))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(y[0], y[-1])
    axes.set_xticks(x, [f"{value:,g}" for value in x])
    axes.set_yticks(y, [f"{value:,g}" for value in y])
    pen.name_across(f"MACs per byte of {plain(chart.level)}")
    axes.set_ylabel("MACs a cycle")
    axes.grid()
    pen.legend(handles, [series.name for series in chart.series])


def draw_lines(pen: Pen, chart: LineChart) -> None:
    """A line for each choice of the other parameters."""
    axes = pen.axes
    colors = pen.style.series([line.color for line in chart.lines])
    handles = []
    for number, (line, color) in enumerate(zip(chart.lines, colors, strict=True)):
        handles += axes.plot(
            [x for x, _ in line.points], [y for _, y in line.points], color=color, linewidth=1.2,
            marker=_MARKERS[number % len(_MARKERS)], markersize=pen.size.font_points * 0.55, clip_on=False,
        )  # fmt: skip
    across = sorted({x for line in chart.lines for x, _ in line.points})
    if across[0] > 0 and across[-1] / across[0] >= _LOGARITHMIC:
        axes.set_xscale("log", base=2)
    axes.minorticks_off()
    shown = across if len(across) <= _MOST_NAMED else across[:: -(-len(across) // _MOST_NAMED)]
    axes.set_xticks(shown, [f"{x:,g}" for x in shown])
    marks = ticks(max(y for line in chart.lines for _, y in line.points) or 1.0, 6)
    axes.set_yticks(marks, [tick_text(value, chart.unit) for value in marks])
    axes.set_ylim(0, marks[-1])
    pen.name_across(plain(chart.x_name))
    axes.set_ylabel(axis_name(chart.unit))
    axes.grid(axis="y")
    if len(chart.lines) > 1:
        pen.legend(handles, [line.name for line in chart.lines])


def draw_pareto(pen: Pen, chart: ParetoChart) -> None:
    """A point for each machine; those that no other one is better than are joined."""
    axes = pen.axes
    colors = pen.style.series([series.color for series in chart.series])
    handles, shown = [], []
    for number, (series, color) in enumerate(zip(chart.series, colors, strict=True)):
        own = sorted((point.x, point.y) for point in chart.points if point.series == number)
        if not own:
            continue
        joined = "-" if number == chart.front else ""
        handles += axes.plot(
            [x for x, _ in own], [y for _, y in own], color=color, linewidth=1, linestyle=joined,
            marker=_MARKERS[number % len(_MARKERS)], markersize=pen.size.font_points * 0.5, clip_on=False,
        )  # fmt: skip
        shown.append(series.name)
    for axis, values, unit in (
        (axes.xaxis, [point.x for point in chart.points], chart.units[0]),
        (axes.yaxis, [point.y for point in chart.points], chart.units[1]),
    ):
        marks = ticks(max(values, default=0.0) or 1.0, 5)
        axis.set_ticks(marks, [tick_text(value, unit) for value in marks])
        axis.set_view_interval(0, marks[-1], ignore=True)
    pen.name_across(plain(chart.names[0]))
    axes.set_ylabel(plain(chart.names[1]))
    axes.grid()
    pen.legend(handles, shown)
