"""The zero-skipping mechanisms, one module each, whose name is the `KIND` that it states (docs/extending.md)."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Protocol, cast

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


class _Registry(Mapping[str, Datapath]):
    """The mechanisms by kind; each is imported when it is asked for: a machine has one of them."""

    def __init__(self) -> None:
        self._kinds = tuple(found.name for found in pkgutil.iter_modules(__path__))

    def __getitem__(self, kind: str) -> Datapath:
        if kind not in self._kinds:
            raise KeyError(kind)
        return cast(Datapath, importlib.import_module(f"{__name__}.{kind}"))

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)


@cache
def datapaths() -> Mapping[str, Datapath]:
    """All mechanisms by kind."""
    return _Registry()


def arranged(contraction: Contraction, machine: Machine[Any]) -> Contraction:
    """The contraction with its vectors in the order in which the machine has them."""
    arrange = getattr(datapaths()[machine.datapath.kind], "arrange", None)
    return contraction if arrange is None else arrange(contraction, machine)
