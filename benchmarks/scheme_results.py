"""The results of training runs, grouped over seeds."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The runs of one task, scheme and settings, by seed."""

    task: str
    scheme: str
    settings: Mapping[str, Any]
    runs: Mapping[int, Mapping[str, Any]]

    @property
    def length(self) -> int:
        """Of each run, in optimiser steps."""
        return int(next(iter(self.runs.values()))["steps"])

    def values(self, key: str) -> list[float]:
        """Of all seeds, in their order."""
        return [float(self.runs[seed][key]) for seed in sorted(self.runs)]

    def mean(self, table: str, key: str) -> float | None:
        """Of a density over seeds; None where there is none."""
        found = [run[table][key] for run in self.runs.values() if key in run[table]]
        return statistics.fmean(found) if found else None


def groups(rows: Iterable[Mapping[str, Any]]) -> list[Group]:
    """Runs that differ by their seed alone, together."""
    found: dict[tuple[str, str, tuple[tuple[str, Any], ...]], dict[int, Mapping[str, Any]]] = defaultdict(dict)
    for row in rows:
        found[row["task"], row["scheme"], tuple(row["settings"].items())][row["seed"]] = row
    return [
        Group(task=task, scheme=scheme, settings=dict(settings), runs=runs)
        for (task, scheme, settings), runs in found.items()
    ]


def differences(dense: Group, group: Group, key: str) -> list[float]:
    """Of the group to dense training, seed by seed."""
    return [float(group.runs[seed][key]) - float(dense.runs[seed][key]) for seed in sorted(group.runs)]


def spread(values: Sequence[float], digits: int) -> str:
    """Mean ± standard deviation."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.{digits}f} ± {deviation:.{digits}f}"
