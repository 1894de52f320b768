"""Sweeps: a grid over machines, traces and their keys, whose finished points are kept (docs/sweeps.md)."""

from swatsim.sweeping.grid import Grid, read_grid
from swatsim.sweeping.result import Sweep
from swatsim.sweeping.running import sweep

__all__ = ["Grid", "Sweep", "read_grid", "sweep"]
