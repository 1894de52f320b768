"""Machines that may be tried, and what is found of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from swatsim.errors import SwatsimError
from swatsim.exploring.measures import Taken, check_names, of_machine, of_steps
from swatsim.keys.problems import shown
from swatsim.sweeping.grid import ARCH, OBJECTIVE, TRACE, Grid
from swatsim.sweeping.machines import Machines

Choice = tuple[int, ...]  # of a value of each axis


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """All machines that may be tried, the traces, and what they are compared and limited by."""

    axes: Mapping[str, tuple[Any, ...]]  # arch, then keys of the architecture
    traces: tuple[str, ...]
    objectives: tuple[str, ...]
    budgets: Mapping[str, float]  # the most that a measure may be
    layers: str = "*"
    mapping: str = "cycles"  # what mappings are chosen by

    def __post_init__(self) -> None:
        if not self.objectives:
            raise SwatsimError("objective: got none, expected at least one")
        check_names("objective", self.objectives)
        check_names("budget", tuple(self.budgets))
        for name, most in self.budgets.items():
            if isinstance(most, bool) or not isinstance(most, int | float) or not 0 < most < math.inf:
                raise SwatsimError(f"budget: {name}: got {shown(most)}, expected a number above 0")

    @staticmethod
    def of(grid: Grid, objectives: Sequence[str], budgets: Mapping[str, float]) -> Space:
        """The machines of a sweep's grid, whose one objective is what mappings are chosen by."""
        if not isinstance(budgets, Mapping):
            raise SwatsimError(f"budget: got {shown(budgets)}, expected measures and the most that they may be")
        if len(grid.objective) != 1:
            raise SwatsimError(f"mapping: got {', '.join(grid.objective)}, expected one")
        axes = {key: values for key, values in grid.axes.items() if key not in (TRACE, OBJECTIVE)}
        return Space(
            axes=axes, traces=tuple(grid.trace), objectives=tuple(objectives), budgets=dict(budgets),
            layers=grid.layers, mapping=grid.objective[0],
        )  # fmt: skip

    def __len__(self) -> int:
        """Machines in all."""
        return math.prod(len(values) for values in self.axes.values())

    @property
    def measures(self) -> tuple[str, ...]:
        """Objectives, then budgets that are none."""
        return tuple(dict.fromkeys((*self.objectives, *self.budgets)))

    def machine(self, choice: Choice) -> dict[str, Any]:
        """The machine that a choice stands for: arch and keys."""
        return {key: values[number] for (key, values), number in zip(self.axes.items(), choice, strict=True)}

    def parameters(self, machine: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Points of a sweep: that machine, with each trace."""
        others = {key: value for key, value in machine.items() if key != ARCH}
        return [
            {ARCH: machine[ARCH], TRACE: trace, OBJECTIVE: self.mapping, **others} for trace in self.traces
        ]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A machine, and what was found of it."""

    machine: Mapping[str, Any]
    as_filed: bool  # whether it has no override: what the others are compared with
    values: Mapping[str, float]  # by measure; those of a step are missing where it was not simulated
    refused: str | None  # why it cannot be
    excess: float  # the sum of what its measures are above their budgets, in parts of these; 0: within all

    @property
    def feasible(self) -> bool:
        """Whether it can be, and is within all budgets."""
        return self.refused is None and self.excess == 0


def before_simulating(space: Space, machines: Machines, machine: Mapping[str, Any], *, as_filed: bool) -> Tried:
    """What a machine's file alone says of it."""
    try:
        values, refused = of_machine(machines.of(machine), space.measures), None
    except SwatsimError as error:
        values, refused = {}, str(error)
    return Tried(machine=machine, as_filed=as_filed, values=values, refused=refused, excess=_excess(space, values))


def after_simulating(space: Space, machines: Machines, tried: Tried, documents: Sequence[Mapping[str, Any]]) -> Tried:
    """The same machine with what its points say, one for each trace."""
    refused = next((document["error"] for document in documents if document["error"] is not None), None)
    if refused is not None:
        return replace(tried, refused=str(refused))
    clock_hz = machines.of(tried.machine).clock_hz
    taken = [Taken.of(document["totals"], clock_hz) for document in documents]
    values = {**of_steps(taken, space.measures), **tried.values}
    # A budget holds for each trace, not for their mean alone.
    worst = [{**of_steps([each], space.measures), **tried.values} for each in taken]
    return replace(tried, values=values, excess=max(_excess(space, each) for each in worst))


def _excess(space: Space, values: Mapping[str, float]) -> float:
    return math.fsum(max(0.0, values[name] / most - 1) for name, most in space.budgets.items() if name in values)


def front(space: Space, tried: Sequence[Tried]) -> list[bool]:
    """Which feasible machines of the space no other one is better than: no worse in all objectives, better in one."""
    rows = [
        tuple(each.values[name] for name in space.objectives) if each.feasible and not each.as_filed else None
        for each in tried
    ]
    found = [row for row in rows if row is not None]
    return [row is not None and not any(_dominates(other, row) for other in found) for row in rows]


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
