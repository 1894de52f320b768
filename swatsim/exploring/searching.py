"""Try machines until all, or as many as were asked for, have been tried."""

from __future__ import annotations

import itertools
import os
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack

from swatsim.apart import Progress
from swatsim.errors import SwatsimError
from swatsim.exploring.candidates import Choice, Space, Tried, after_simulating, before_simulating
from swatsim.exploring.optimizing import AT_ONCE, Optimizer, imported
from swatsim.exploring.result import Exploration
from swatsim.sweeping.grid import ARCH, Grid, Name, as_names
from swatsim.sweeping.machines import Machines
from swatsim.sweeping.point import plan_point
from swatsim.sweeping.running import check_layers, compute_points, open_traces
from swatsim.sweeping.store import Store
from swatsim.trace import Trace
from swatsim.trace.records import is_synthetic
from swatsim.workers import thread_count

MOST_TRIALS = 100_000
# An optimizer that asks for nothing new any more ends the search.
_MOST_REPEATS = 20


def explore(  # noqa: PLR0913  each is a keyword of its own
    arch: Name | Iterable[Name],
    trace: Name | Iterable[Name],
    *,
    overrides: Mapping[str, Iterable[object]] | None = None,
    objective: str | Iterable[str] = "edp",
    budget: Mapping[str, float] | None = None,
    trials: int = 100,
    seed: int = 0,
    mapping: str = "cycles",
    layers: str = "*",
    folder: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Exploration:
    """Search the machines of a grid for the best ones on a set of traces (docs/explore.md).

    Parameters
    ----------
    arch, trace : architecture files or names, and traces.
    overrides : values of keys of the architecture that may be tried, as in {"tile.rows": [4, 8]}.
    objective : what should be least (`swatsim.exploring.measures.MEASURES`); of several, the machines that no other is
        better than are found.
    budget : the most that measures may be, as in {"area_mm2": 70}.
    trials : how many machines are tried; all of them where there are no more, else optuna chooses (extra `explore`).
    seed : of that choice.
    mapping : what mappings are chosen by: cycles, dram_bytes or energy.
    folder : where finished points are kept, and found again: those of sweeps too; by default nowhere.
    workers : processes; by default one per processor. What is found does not depend on it.

    Raises SwatsimError.
    """
    grid = Grid(
        arch=as_names(arch), trace=as_names(trace),
        overrides={} if overrides is None else overrides, objective=(mapping,), layers=layers,
    )  # fmt: skip
    space = Space.of(grid, as_names(objective), {} if budget is None else budget)
    return search(space, folder, trials=trials, seed=seed, workers=workers, progress=progress)


def search(
    space: Space,
    folder: str | os.PathLike[str] | None,
    *,
    trials: int,
    seed: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Exploration:
    """The same of a space."""
    for name, value, least in (("trials", trials, 1), ("seed", seed, 0)):
        if type(value) is not int or not least <= value <= MOST_TRIALS:
            raise SwatsimError(f"{name}: got {value!r}, expected an integer from {least} to {MOST_TRIALS}")
    machines = Machines(space.axes[ARCH])
    traces = open_traces(space.traces)
    check_layers(space.layers, traces)
    exhausted = len(space) <= trials
    if exhausted:
        machines.check_some_can_be(space.machine(choice) for choice in _choices(space))
    else:
        imported()  # said before anything is simulated
    with ExitStack() as stack:
        store = Store(folder if folder is not None else stack.enter_context(tempfile.TemporaryDirectory()))
        store.make()
        bench = _Bench(space, machines, traces, store, thread_count(workers))
        # What all are compared with.
        filed = bench.try_all([{ARCH: name} for name in space.axes[ARCH]], as_filed=True)
        tell = progress or (lambda done, total: None)
        tell(0, len(space) if exhausted else trials)
        found = _all(space, bench.try_all, tell) if exhausted else _chosen(space, bench.try_all, (trials, seed), tell)
    machines.check_some_can_be(tried.machine for tried in found)
    return Exploration(
        space=space, machines=machines, trials=trials, seed=None if exhausted else seed, tried=(*filed, *found),
        computed=bench.computed,
        traces=tuple(
            {"path": name, "name": trace.name, "digest": trace.digest,
             "synthetic": is_synthetic(trace.manifest.provenance)}
            for name, trace in traces.items()
        ),
    )  # fmt: skip


class _Bench:
    """Tries machines: those that their files do not rule out are simulated with each trace."""

    def __init__(
        self, space: Space, machines: Machines, traces: Mapping[str, Trace], store: Store, workers: int
    ) -> None:
        self._space, self._machines, self._traces = space, machines, traces
        self._store, self._workers = store, workers
        self.computed = 0  # points that were not kept

    def try_all(self, machines: Iterable[Mapping[str, object]], *, as_filed: bool = False) -> list[Tried]:
        """Try them, in order."""
        space = self._space
        first = [before_simulating(space, self._machines, machine, as_filed=as_filed) for machine in machines]
        # What is compared with is simulated whatever it takes.
        points = [
            [plan_point(parameters, space.layers, self._machines, self._traces)
             for parameters in space.parameters(tried.machine)]
            if tried.feasible or (as_filed and tried.refused is None) else []
            for tried in first
        ]  # fmt: skip
        documents, computed = compute_points(list(itertools.chain(*points)), self._store, workers=self._workers)
        self.computed += computed
        left = iter(documents)
        return [
            after_simulating(space, self._machines, tried, list(itertools.islice(left, len(own)))) if own else tried
            for tried, own in zip(first, points, strict=True)
        ]


TryAll = Callable[[Iterable[Mapping[str, object]]], list[Tried]]


def _choices(space: Space) -> Iterator[Choice]:
    return itertools.product(*(range(len(values)) for values in space.axes.values()))


def _all(space: Space, try_all: TryAll, tell: Progress) -> list[Tried]:
    choices = _choices(space)
    found: list[Tried] = []
    while batch := list(itertools.islice(choices, AT_ONCE)):
        found += try_all(map(space.machine, batch))
        tell(len(found), len(space))
    return found


def _chosen(space: Space, try_all: TryAll, asked: tuple[int, int], tell: Progress) -> list[Tried]:
    trials, seed = asked
    known: dict[Choice, Tried] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of optuna's experimental features
        optimizer = Optimizer(space, seed)
        repeats = 0
        while len(known) < trials and repeats < _MOST_REPEATS:
            asked_for = optimizer.ask()
            new = list(dict.fromkeys(choice for _, choice in asked_for if choice not in known))[: trials - len(known)]
            repeats = 0 if new else repeats + 1
            known.update(zip(new, try_all(map(space.machine, new)), strict=True))
            for trial, choice in asked_for:
                if choice in known:
                    optimizer.tell(trial, known[choice])
            tell(len(known), trials)
    return list(known.values())
