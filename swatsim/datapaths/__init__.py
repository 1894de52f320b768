"""The zero-skipping mechanisms, one module each, found by the `KIND` that it states.

A module has `prepare(side, offset, per_tile, architecture) -> Schedules`: the schedules of one operand,
made once and then combined for any split of the tiles.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from swatsim.architecture import Architecture
from swatsim.mapping import Extent
from swatsim.sides import Side


class Schedules(Protocol):
    """The schedules of all vectors of one operand."""

    def set_cycles(self, extent: Extent, repeats: int) -> NDArray[np.int64]:
        """Cycles [barrier set, group·rounds + round] with the vectors dealt to `extent`, each round repeated."""


class Datapath(Protocol):
    """What a module of this package offers."""

    KIND: str

    def prepare(self, side: Side, offset: NDArray[np.int64], per_tile: int, architecture: Architecture) -> Schedules:
        """Schedule the vectors of `side`, whose steps are offset[step, lane], `per_tile` of them in each tile."""


@cache
def datapaths() -> dict[str, Datapath]:
    """All mechanisms by kind."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    return {module.KIND: module for module in modules}
