"""Compute the points of a grid that are not finished yet: here on a pool, a share of them, or on a cluster."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from swatsim.apart import Progress
from swatsim.errors import SwatsimError
from swatsim.files import is_address
from swatsim.keys.problems import shown
from swatsim.sweeping.grid import Grid, Name, as_names
from swatsim.sweeping.machines import Machines, machine_of
from swatsim.sweeping.point import Point, plan_point
from swatsim.sweeping.result import Sweep
from swatsim.sweeping.store import Store
from swatsim.trace import Trace, load_trace
from swatsim.workers import in_order, thread_count

TOPOLOGY = ".csv"
Shard = tuple[int, int]  # its number, from 1, and how many there are


def sweep(  # noqa: PLR0913  each is a keyword of its own
    arch: Name | Iterable[Name],
    trace: Name | Iterable[Name],
    *,
    overrides: Mapping[str, Iterable[object]] | None = None,
    objective: str | Iterable[str] = "cycles",
    layers: str = "*",
    folder: str | os.PathLike[str] | None = None,
    shard: Shard | None = None,
    dask: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Sweep:
    """Simulate every combination of machines, traces and keys.

    Parameters
    ----------
    arch, trace : architecture files or names, and traces.
    overrides : values of keys of the architecture, as in {"tile.rows": [4, 8]}.
    folder : where finished points are kept, and found again; by default nowhere.
    shard : (i, n) computes and gives the i-th of n shares of the points; they are disjoint and make up the whole.
    dask : address of a Dask scheduler whose workers compute the points; needs the extra `dask`.
    workers : processes here; by default one per processor.

    Raises SwatsimError. What is wrong with a single point is its `error`.
    """
    grid = Grid(
        arch=as_names(arch),
        trace=as_names(trace),
        overrides={} if overrides is None else overrides,
        objective=as_names(objective),
        layers=layers,
    )
    return run_grid(grid, folder, shard=shard, dask=dask, workers=workers, progress=progress)


def run_grid(
    grid: Grid,
    folder: str | os.PathLike[str] | None,
    *,
    shard: Shard | None = None,
    dask: str | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Sweep:
    """The same of a grid."""
    with ExitStack() as stack:
        store = Store(folder if folder is not None else stack.enter_context(tempfile.TemporaryDirectory()))
        store.make()
        points = plan(grid, shard)
        documents, computed = compute_points(points, store, dask=dask, workers=thread_count(workers), progress=progress)
    return Sweep(grid=grid.axes, points=tuple(documents), computed=computed)


def compute_points(
    points: Sequence[Point], store: Store, *, dask: str | None = None, workers: int, progress: Progress | None = None
) -> tuple[list[dict[str, Any]], int]:
    """Compute what is not kept; give the document of each point, and how many were computed. Raises SwatsimError."""
    # Points that come to the same, as where two names are one machine, are computed once.
    by_key = {point.key: point for point in points}
    left = [point for key, point in by_key.items() if store.read(key) is None]
    kept = len(by_key) - len(left)
    if progress is not None:
        progress(kept, len(by_key))
    _compute(left, store, dask, workers, _counted(progress, kept, len(by_key)))
    documents = []
    for point in points:
        found = store.read(point.key)
        if found is None:
            raise SwatsimError(f"{store.folder}: got no {point.key}.json, which was there, expected it left alone")
        documents.append({**found, "parameters": dict(point.parameters)})
    return documents, len(left)


def plan(grid: Grid, shard: Shard | None = None) -> list[Point]:
    """All points or those of a share, in order; only their machines are read.

    Raises SwatsimError where a file cannot be read, there is no such share, or no machine of the grid can be.
    """
    numbers = share_of(grid, shard)
    machines = Machines(grid.arch)
    traces = open_traces(grid.trace)
    check_layers(grid.layers, traces)
    every = list(grid.points())
    points = {number: plan_point(every[number], grid.layers, machines, traces) for number in numbers}
    if all(point.refused is not None for point in points.values()):
        machines.check_some_can_be(every)
    return [points[number] for number in sorted(points)]


def open_traces(names: Sequence[str]) -> dict[str, Trace]:
    """Open traces, by name. Raises SwatsimError, also for a topology: a kept point is known by a trace on disk."""
    for name in names:
        path = Path(name)
        if not is_address(name) and path.suffix.lower() == TOPOLOGY and path.is_file():
            raise SwatsimError(
                f"{name}: got a SCALE-Sim topology, which run, compare, explain and check take, expected a trace: a "
                f"directory with a manifest.json, as `swatsim trace import {name} --density PART -o DIR` makes"
            )
    return {name: load_trace(name) for name in names}


def check_layers(layers: str, traces: Mapping[str, Trace]) -> None:
    """Refuse a pattern that matches no layer of any trace. Raises SwatsimError."""
    if not any(fnmatchcase(spec.name, layers) for trace in traces.values() for spec in trace.specs):
        names = ", ".join(trace.name for trace in traces.values())
        raise SwatsimError(f"layers: got {shown(layers)}, which matches no layer of {names}")


def share_of(grid: Grid, shard: Shard | None) -> list[int]:
    """Numbers of the points of a share of the grid, all points of a machine one after the other.

    Shares are equal to one point, machines in an order that mixes long and short ones. What decides is what the grid
    says: two names of one machine may be in two shares. Raises SwatsimError where there is no such share.
    """
    if shard is None:
        shard = (1, 1)
    if not (isinstance(shard, tuple | list) and len(shard) == 2 and all(type(part) is int for part in shard)):
        raise SwatsimError(f"shard: got {shown(shard)}, expected i and n")
    number, count = shard
    if not 1 <= number <= count:
        raise SwatsimError(f"shard: got {number}/{count}, expected i/n with i from 1 to n")
    machines = [hashlib.sha256(machine_of(parameters).encode()).digest() for parameters in grid.points()]
    numbers = sorted(range(len(machines)), key=machines.__getitem__)
    return numbers[(number - 1) * len(numbers) // count : number * len(numbers) // count]


def _compute(points: Sequence[Point], store: Store, dask: str | None, workers: int, progress: Progress | None) -> None:
    if not points:
        return
    if dask is not None:
        from swatsim.sweeping.cluster import compute_on_cluster

        compute_on_cluster(points, store, dask, progress)
        return
    # Few points have more than one process each.
    each = max(1, workers // len(points))

    def work(point: Point) -> None:
        store.write(point.document(workers=each if len(points) < workers else 1))

    if len(points) == 1:
        work(points[0])
        if progress is not None:
            progress(1, 1)
    else:
        in_order(work, points, workers, progress)


def _counted(progress: Progress | None, before: int, total: int) -> Progress | None:
    return None if progress is None else lambda done, _: progress(before + done, total)
