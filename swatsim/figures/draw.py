"""Charts drawn with matplotlib."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from swatsim.charts.model import BarChart, Chart, HeatChart, ParetoChart, RoofChart
from swatsim.errors import SwatsimError
from swatsim.figures.bars import draw_bars
from swatsim.figures.curves import draw_lines, draw_pareto, draw_roof
from swatsim.figures.pen import Pen
from swatsim.figures.strips import draw_strips
from swatsim.figures.style import named, settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def matplotlib() -> Any:
    """The library, without its global state (pyplot); raises SwatsimError where it is not installed."""
    try:
        importlib.import_module("matplotlib.figure")
        return importlib.import_module("matplotlib")
    except ImportError:
        raise SwatsimError("swatsim plot needs matplotlib: pip install 'swatsim[plot]'") from None


def draw(chart: Chart, *, width: str = "single", style: str = "paper") -> Figure:
    """Draw a chart as large as its place: a column of a paper (single), both (double) or a slide.

    Raises SwatsimError where width or style are not known, there is nothing to draw, or matplotlib is not installed.
    """
    size, colors = named(width, style)
    library = matplotlib()
    with library.rc_context(settings(size, colors)):
        figure = library.figure.Figure(layout="constrained")
        pen = Pen(figure=figure, axes=figure.subplots(), size=size, style=colors)
        if isinstance(chart, BarChart):
            draw_bars(pen, chart)
        elif isinstance(chart, RoofChart):
            draw_roof(pen, chart)
        elif isinstance(chart, HeatChart):
            draw_strips(pen, chart)
        elif isinstance(chart, ParetoChart):
            draw_pareto(pen, chart)
        else:
            draw_lines(pen, chart)
        if size.title:
            pen.title(chart.title)
        pen.fit()
    return figure  # type: ignore[no-any-return]
