"""Points under a roof, and lines over a parameter, as SVG: places across are shares of the width."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from swatsim.charts.model import LineChart, ParetoChart, RoofChart, Series
from swatsim.charts.ticks import decades, ticks
from swatsim.charts.units import amount_text, axis_name, tick_text
from swatsim.pages.figure import AXIS, FEW_TICKS, SMALL, Drawing, figure, legend_of, tip, vertical_grid
from swatsim.pages.markup import element, percent, text
from swatsim.quantities import rate_text

_HEIGHT = 320
_TITLE = 16  # pixels for the name of an axis


@dataclass(frozen=True, slots=True)
class _Axis:
    """From values to shares of an axis."""

    low: float
    high: float
    change: Callable[[float], float]

    def share(self, value: float) -> float:
        low, high = self.change(self.low), self.change(self.high)
        # A parameter so large that one more is the same has no width.
        return (self.change(value) - low) / (high - low) if high > low else 0.0


def roof_figure(key: str, chart: RoofChart, note: str = "") -> str:
    """The roofline as a figure of a page."""
    across = [point.x for point in chart.points] + ([chart.ridge] if chart.ridge else []) or [1.0]
    up = [point.y for point in chart.points] + [chart.peak]
    x_ticks, y_ticks = decades(min(across), max(across) * 1.01), decades(min(up), max(up))
    x, y = (_Axis(marks[0], marks[-1], math.log) for marks in (x_ticks, y_ticks))
    plot = list(vertical_grid([(x.share(v), f"{v:,g}") for v in x_ticks], AXIS, AXIS + _HEIGHT))
    plot += _roof(chart, x, y)
    for point in chart.points:
        roof = chart.peak if chart.ridge is None else min(chart.peak, chart.peak * point.x / chart.ridge)
        facts = [("MACs/byte", rate_text(point.x)), ("MACs/cycle", rate_text(point.y)),
                 ("of its roof", f"{point.y / roof:.0%}")]  # fmt: skip
        place = (percent(x.share(point.x)), _height(y.share(point.y)))
        plot.append(_point(place, chart.series[point.series].color, tip(point.name, facts)))
    left = sum(1 for point in chart.points if chart.ridge is not None and point.x < chart.ridge)
    about = f"{len(chart.points)} points; {left} of them lie left of the ridge, where {chart.level} limits them."
    levels = [(y.share(v), f"{v:,g}") for v in y_ticks]
    return _curve_figure(key, (chart.title, note), legend_of(chart.series), _Plot(
        plot, levels, about, (f"MACs per byte of {chart.level}", "MACs a cycle")
    ))  # fmt: skip


def _point(place: tuple[str, float], color: str, said: str) -> str:
    return element("circle", cx=place[0], cy=place[1], r=4, class_=f"point {color}", data_tip=said)


def _roof(chart: RoofChart, x: _Axis, y: _Axis) -> Iterator[str]:
    top = _height(y.share(chart.peak))
    start = x.low if chart.ridge is None else chart.ridge
    yield element("line", x1=percent(x.share(start)), x2="100%", y1=top, y2=top, class_="roof")
    yield element("text", f"peak: {chart.peak:,.0f}", x="100%", dx=-4, y=top - 6, class_="small", text_anchor="end")
    if chart.ridge is None:
        return
    # The slope ends where it leaves the plot.
    first = max(x.low, chart.ridge * y.low / chart.peak)
    bottom = _height(y.share(chart.peak * first / chart.ridge))
    ridge = percent(x.share(chart.ridge))
    yield element("line", x1=percent(x.share(first)), x2=ridge, y1=bottom, y2=top, class_="roof")
    yield element("line", x1=ridge, x2=ridge, y1=top, y2=AXIS + _HEIGHT, class_="one")


def line_figure(key: str, chart: LineChart, note: str = "") -> str:
    """Lines over a parameter as a figure of a page."""
    points = [point for line in chart.lines for point in line.points]
    lowest, highest = min(x for x, _ in points), max(x for x, _ in points)
    across = sorted({x for x, _ in points})
    logarithmic = lowest > 0 and highest / lowest >= 8
    x = _Axis(lowest, highest if highest > lowest else lowest + 1, math.log if logarithmic else float)
    marks = ticks(max(y for _, y in points) or 1.0)
    y = _Axis(0.0, marks[-1], float)
    below = [(0.03 + 0.94 * x.share(value), f"{value:,g}") for value in _thinned(across)]
    plot = list(vertical_grid(below, AXIS, AXIS + _HEIGHT))
    for line in chart.lines:
        placed = [(percent(0.03 + 0.94 * x.share(a)), _height(y.share(b))) for a, b in line.points]
        for (x1, y1), (x2, y2) in itertools.pairwise(placed):
            plot.append(element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=f"curve {line.color}"))
        for place, (a, b) in zip(placed, line.points, strict=True):
            facts = [(chart.x_name, f"{a:,g}"), (axis_name(chart.unit), amount_text(b, chart.unit))]
            plot.append(_point(place, line.color, tip(line.name, facts)))
    about = f"{len(chart.lines)} lines over {chart.x_name}, from {lowest:g} to {highest:g}. The table has the numbers."
    legend = legend_of([Series(name=line.name, color=line.color) for line in chart.lines])
    levels = [(y.share(v), tick_text(v, chart.unit)) for v in marks]
    plotted = _Plot(plot, levels, about, (chart.x_name, axis_name(chart.unit)))
    return _curve_figure(key, (chart.title, note), legend if len(legend) > 1 else [], plotted)


def pareto_figure(key: str, chart: ParetoChart, note: str = "") -> str:
    """Machines that were tried as a figure of a page; those that no other one is better than are joined."""
    x_ticks, y_ticks = (
        ticks(max(values, default=0.0) or 1.0)
        for values in ([point.x for point in chart.points], [point.y for point in chart.points])
    )
    x, y = (_Axis(0.0, marks[-1], float) for marks in (x_ticks, y_ticks))
    plot = list(vertical_grid([(x.share(v), tick_text(v, chart.units[0])) for v in x_ticks], AXIS, AXIS + _HEIGHT))
    front = sorted((point.x, point.y) for point in chart.points if point.series == chart.front)
    joined = [(percent(x.share(a)), _height(y.share(b))) for a, b in front]
    plot += [
        element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=f"curve {chart.series[chart.front].color}")
        for (x1, y1), (x2, y2) in itertools.pairwise(joined)
    ]
    for point in sorted(chart.points, key=lambda point: point.series == chart.front):
        facts = [(name, amount_text(value, unit)) for name, value, unit in
                 zip(chart.names, (point.x, point.y), chart.units, strict=True)]  # fmt: skip
        place = (percent(x.share(point.x)), _height(y.share(point.y)))
        plot.append(_point(place, chart.series[point.series].color, tip(point.name, facts)))
    about = f"{len(chart.points)} machines, {len(front)} of them joined. The table has the numbers."
    used = {point.series for point in chart.points}
    legend = legend_of([series for number, series in enumerate(chart.series) if number in used])
    levels = [(y.share(v), tick_text(v, chart.units[1])) for v in y_ticks]
    return _curve_figure(key, (chart.title, note), legend, _Plot(plot, levels, about, chart.names))


@dataclass(frozen=True, slots=True)
class _Plot:
    content: list[str]
    levels: list[tuple[float, str]]  # shares of the height, with the numbers at the left
    about: str
    axes: tuple[str, str]  # names of what is across and up


def _curve_figure(key: str, words: tuple[str, str], legend: list[str], plot: _Plot) -> str:
    lines, numbers = [], []
    for share, shown in plot.levels:
        y = _height(share)
        lines.append(element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid"))
        numbers.append(element("text", text(shown), x="100%", dx=-6, y=y + 3.5, class_="small", text_anchor="end"))
    titles = [
        element("text", text(plot.axes[0]), x="50%", y=AXIS + _HEIGHT + AXIS + 12, text_anchor="middle"),
        element("text", text(plot.axes[1]), x="0", y=AXIS - 8),
    ]
    return figure(key, words[0], legend, Drawing(
        names=numbers, names_width=max(len(shown) for _, shown in plot.levels) * SMALL + 14,
        plot=[*lines, *plot.content, *titles], height=AXIS + _HEIGHT + AXIS + _TITLE, about=plot.about,
    ), words[1])  # fmt: skip


def _height(share: float) -> float:
    return AXIS + _HEIGHT * (1 - share)


def _thinned(values: Sequence[float]) -> Sequence[float]:
    """Few enough to be written below a narrow plot."""
    step = -(-len(values) // (FEW_TICKS + 1))
    return values[::step]
