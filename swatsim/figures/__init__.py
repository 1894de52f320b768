"""Figures for papers and talks, drawn with matplotlib (extra `plot`; docs/figures.md)."""

from swatsim.figures.draw import draw
from swatsim.figures.output import rendered
from swatsim.figures.plots import Plots

__all__ = ["Plots", "draw", "rendered"]
