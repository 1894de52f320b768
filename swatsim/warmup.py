"""Compiling the kernels of machines before a run needs them: a small training step on each compiles what it calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from swatsim.architecture import Architecture, load_architecture
from swatsim.contraction import contract
from swatsim.datapaths import arranged
from swatsim.errors import SwatsimError
from swatsim.kernels.compile import cache_folder, cached_kernels, is_cached
from swatsim.layer import Layer
from swatsim.schedule import schedule
from swatsim.sides import Order
from swatsim.simulation import simulate
from swatsim.trace import Trace
from swatsim.workers import Progress, thread_count

_Task: TypeAlias = tuple[Callable[[Sequence[Architecture]], None], list[Architecture]]

_DENSE = "dadiannao-dense"  # its datapath needs next to no kernels


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmedUp:
    """What a warm-up did; a kernel counts once for each type of its arguments."""

    folder: str
    compiled: int
    kernels: int  # in the folder, those of other machines included
    processes: int
    seconds: float


def warm_up(
    architectures: Mapping[str, Architecture], *, workers: int | None = None, progress: Progress | None = None
) -> WarmedUp:
    """Compile the kernels that these machines call and that are not cached yet.

    One thread compiles at a time, so processes share the work: the kernels of the memory model, those of each kind of
    datapath, and then whatever single machines need beside these.

    Parameters
    ----------
    architectures : the machines by name.
    workers : processes; by default one per processor.

    Raises SwatsimError where compiled kernels cannot be kept.
    """
    if not is_cached():
        expected = "a folder that can be written to, and no NUMBA_DISABLE_JIT"
        raise SwatsimError(f"{cache_folder()}: compiled kernels are not kept there, expected {expected}")
    began, before = time.perf_counter(), cached_kernels()
    kinds: dict[str, list[Architecture]] = {}
    for architecture in architectures.values():
        kinds.setdefault(architecture.datapath.kind, []).append(architecture)
    first: list[_Task] = [(_simulate, [load_architecture(_DENSE)]), *((_schedule, each) for each in kinds.values())]
    then: list[_Task] = [(_simulate, [each]) for each in architectures.values()]
    processes = min(thread_count(workers), max(len(first), len(then)))
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        done = 0
        for stage in (first, then):
            for future in as_completed([pool.submit(work, machines) for work, machines in stage]):
                future.result()
                done += 1
                if progress is not None:
                    progress(done, len(first) + len(then))
    kernels = cached_kernels()
    return WarmedUp(
        folder=str(cache_folder()), compiled=kernels - before, kernels=kernels, processes=processes,
        seconds=time.perf_counter() - began,
    )  # fmt: skip


def _simulate(machines: Sequence[Architecture]) -> None:
    for machine in machines:
        simulate(machine, _trace(), workers=1, keep_timeline=True)


def _schedule(machines: Sequence[Architecture]) -> None:
    for machine in machines:
        order = Order(steps=machine.mapping.step_order, windows=machine.mapping.window_order)
        for layer in _trace():
            for pass_name in layer.computed:
                for contraction in contract(layer, pass_name, order):
                    schedule(arranged(contraction, machine), machine)


@cache
def _trace() -> Trace:
    """A training step of all that kernels tell apart: few channels, strides, groups, no height."""
    random = np.random.default_rng(0)

    def bits(*shape: int) -> NDArray[np.bool_]:
        return random.random(shape) < 0.5

    layers = [
        Layer.from_arrays(
            "first", input=bits(2, 3, 24, 24), weight=bits(24, 3, 3, 3), output_grad=bits(2, 24, 12, 12),
            stride=2, padding=1,
        ),
        Layer.from_arrays(
            "groups", input=bits(2, 24, 12, 12), weight=bits(80, 12, 3, 3), output_grad=bits(2, 80, 12, 12),
            padding=1, groups=2,
        ),
        Layer.from_arrays("linear", input=bits(2, 200), weight=bits(40, 200), output_grad=bits(2, 40)),
    ]  # fmt: skip
    return Trace("warmup", layers)
