"""Compiling the kernels of machines before a run needs them: a small training step on each compiles what it calls."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from swatsim.apart import Progress
from swatsim.architecture import Architecture
from swatsim.errors import SwatsimError
from swatsim.hierarchy import hierarchy_of
from swatsim.kernels.compile import cache_folder, cached_kernels, forget_unsaved, interpreting, is_cached, unsaved
from swatsim.layer import Layer
from swatsim.simulation import simulate
from swatsim.stream_plan import plan_stream
from swatsim.streaming import StreamOperation
from swatsim.trace import Trace
from swatsim.workers import in_order, thread_count


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

    One thread compiles at a time, so processes share the work: where one needs what another compiles, it goes on with
    what comes next (see `interpreting`).

    Parameters
    ----------
    architectures : the machines by name.
    workers : processes; by default one per processor.

    Raises SwatsimError where compiled kernels cannot be kept.
    """
    if not is_cached():
        expected = "a folder that can be written to, and no NUMBA_DISABLE_JIT"
        raise SwatsimError(f"{cache_folder()}: compiled kernels are not kept there, expected {expected}")
    forget_unsaved()
    began, before, processes = time.perf_counter(), cached_kernels(), thread_count(workers)
    machines = list(architectures.values())
    # Who begins with what is only streamed comes to the kernels in another order.
    shared = [(_simulate, machines[0]), (_stream, machines[0]), *((_simulate, each) for each in machines[1:])]
    shared += [(_simulate, machines[0])] * (processes - len(machines))
    steps = len(shared) + len(machines)

    def report(done_before: int) -> Progress | None:
        return None if progress is None else lambda done, _: progress(done_before + done, steps)

    with interpreting():
        in_order(lambda task: task[0](task[1]), shared, processes, report(0))
    # What all have left to one another.
    for reason in in_order(_simulate, machines, processes, report(len(shared))):
        if reason is not None:
            raise SwatsimError(f"{cache_folder()}: cannot be written: {reason}")
    kernels = cached_kernels()
    return WarmedUp(
        folder=str(cache_folder()), compiled=kernels - before, kernels=kernels, processes=processes,
        seconds=time.perf_counter() - began,
    )  # fmt: skip


def _simulate(machine: Architecture) -> str | None:
    """Why a kernel could not be kept, if one could not."""
    simulate(machine, _trace(), workers=1, keep_timeline=True)
    return unsaved()


def _stream(machine: Architecture) -> None:
    moved, size = {"weight": 1 << 14}, 1 << 13
    operation = StreamOperation(
        name="stream", pass_name="update", nodes=(), values=size, read=moved, write=moved,
        dense_values=size, dense_read=moved, dense_write=moved,
    )  # fmt: skip
    plan_stream(operation, hierarchy_of(machine, None), dense=False)


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
