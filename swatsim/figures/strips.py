"""Strips of shares, a cell for each layer."""

from __future__ import annotations

import math

from swatsim.charts.model import HeatChart
from swatsim.figures.pen import Pen, plain

_SCALE = 7  # characters that the scale takes


def draw_strips(pen: Pen, chart: HeatChart) -> None:
    """A strip for each column of the chart, from left to right the layers."""
    cells = [[math.nan if value is None else value for value in strip] for strip in zip(*chart.values, strict=True)]
    image = pen.axes.imshow(cells, aspect="auto", interpolation="nearest", vmin=0, vmax=1, cmap=pen.style.strips)
    names = [f"{group}: {name}" for group, name in chart.columns]
    pen.axes.set_yticks(range(len(names)), [plain(name) for name in names])
    pen.axes.tick_params(length=0)
    pen.axes.spines[:].set_visible(False)
    groups = [group for group, _ in chart.columns]
    for row in range(1, len(groups)):
        if groups[row] != groups[row - 1]:
            pen.axes.axhline(row - 0.5, color=pen.style.paper, linewidth=2)
    pen.name_groups(chart.rows, pen.room(names, _SCALE))
    bar = pen.figure.colorbar(image, ax=pen.axes, fraction=0.05, pad=0.02, ticks=[0, 0.25, 0.5, 0.75, 1])
    bar.ax.set_yticklabels(["0", "25 %", "50 %", "75 %", "100 %"])
    bar.outline.set_visible(False)
