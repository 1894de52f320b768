"""The zero-skipping mechanisms, one module each, found by the `KIND` that it states (docs/extending.md)."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

from swatsim.contraction import Contraction
from swatsim.keys.machine import DatapathKeys, Machine
from swatsim.keys.rule import Rule
from swatsim.way import Schedule, Way, Ways


class Datapath(Protocol):
    """What a module of this package offers.

    It may have more: `arrange(contraction, machine) -> Contraction`, called before anything else (an order of vectors
    in which they are stored and dealt), `RELAXATIONS: Sequence[Relaxation]` that `swatsim explain` tries, and
    `EXPLAIN: Mapping[str, str]`, what it says of a loss.
    """

    KIND: str
    Keys: type[DatapathKeys]  # of its part of an architecture file
    RULES: tuple[Rule, ...]  # combinations of keys that make no sense

    def ways(self, contraction: Contraction, machine: Machine[Any]) -> Ways:
        """All ways in which the machine may run a contraction."""

    def schedule(self, contraction: Contraction, machine: Machine[Any], ways: Sequence[Way]) -> tuple[Schedule, ...]:
        """Run a contraction, or a part of its reduction, in each of these ways."""


@cache
def datapaths() -> dict[str, Datapath]:
    """All mechanisms by kind."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    return {module.KIND: module for module in modules}


def arranged(contraction: Contraction, machine: Machine[Any]) -> Contraction:
    """The contraction with its vectors in the order in which the machine has them."""
    arrange = getattr(datapaths()[machine.datapath.kind], "arrange", None)
    return contraction if arrange is None else arrange(contraction, machine)
