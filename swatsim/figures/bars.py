"""Groups of bars, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from swatsim.charts.model import BarChart
from swatsim.charts.ticks import ticks
from swatsim.charts.units import axis_name, tick_text
from swatsim.figures.pen import Pen, plain

_GROUP = 0.82  # share of the room of a group that its bars take


def draw_bars(pen: Pen, chart: BarChart) -> None:
    """Parts of a bar stand on one another; marks are short lines across it, bands thin ones along it."""
    axes = pen.axes
    colors = pen.style.series([series.color for series in chart.series])
    slots = max([1, *(len(group.bars) for group in chart.groups)])
    wide = _GROUP / slots
    heights: list[list[float]] = [[] for _ in chart.series]
    places: list[float] = []
    for number, group in enumerate(chart.groups):
        for index, bar in enumerate(group.bars):
            places.append(number + wide * (index - (len(group.bars) - 1) / 2))
            for series, part in zip(heights, bar.parts, strict=True):
                series.append(part)
    bottoms = [0.0] * len(places)
    handles = []
    for series, color in zip(heights, colors, strict=True):
        handles.append(axes.bar(places, series, wide, bottom=bottoms, color=color, linewidth=0))
        bottoms = [bottom + part for bottom, part in zip(bottoms, series, strict=True)]
    names = [series.name for series in chart.series]
    handles += _marks(pen, chart, places, wide)
    names += [name for name in (chart.band, chart.mark) if name]
    for number, group in enumerate(chart.groups):
        if group.missing:
            axes.text(number, 0, f" {plain(group.missing)}"[:24], rotation=90, ha="center", va="bottom",
                      fontsize=pen.size.font_points - 2)  # fmt: skip
    if chart.reference is not None:
        axes.axhline(chart.reference, color=pen.style.ink, linewidth=0.6, linestyle=(0, (3, 3)))
    _axes(pen, chart)
    if len(names) > 1:
        pen.legend(handles, names)


def _marks(pen: Pen, chart: BarChart, places: Sequence[float], wide: float) -> list[Any]:
    """Bands and marks of all bars; `places` are their middles, `wide` is how wide they are."""
    bars, axes, ink = [bar for group in chart.groups for bar in group.bars], pen.axes, pen.style.ink
    # Thin enough for bars that are a point wide.
    thick = min(1.0, 0.35 * wide * pen.size.inches * 72 / max(1, len(chart.groups)))
    handles: list[Any] = []
    if chart.band:
        banded = [(x, bar) for x, bar in zip(places, bars, strict=True) if bar.low is not None]
        lows, highs = [bar.low for _, bar in banded], [bar.high for _, bar in banded]
        axes.vlines([x for x, _ in banded], lows, highs, color=ink, linewidth=thick)
        handles += axes.plot([], [], color=ink, linestyle="none", marker="|")
    if chart.mark:
        marked = [(x, bar.mark) for x, bar in zip(places, bars, strict=True) if bar.mark is not None]
        starts, ends = [x - wide / 2 for x, _ in marked], [x + wide / 2 for x, _ in marked]
        axes.hlines([mark for _, mark in marked], starts, ends, color=ink, linewidth=max(0.5, thick))
        handles += axes.plot([], [], color=ink, linestyle="none", marker="_")
    return handles


def _axes(pen: Pen, chart: BarChart) -> None:
    marks = ticks(max(chart.most, chart.reference or 0.0) or 1.0, 6)
    pen.axes.set_yticks(marks, [tick_text(value, chart.unit) for value in marks])
    pen.axes.set_ylim(0, marks[-1])
    pen.axes.set_xlim(-0.6, max(1, len(chart.groups)) - 0.4)
    pen.axes.set_ylabel(axis_name(chart.unit))
    pen.axes.grid(axis="y")
    pen.axes.tick_params(axis="x", length=0)
    pen.name_groups([group.name for group in chart.groups])
    if chart.bar_names:
        pen.name_across(f"in each group: {', '.join(map(plain, chart.bar_names))}")
