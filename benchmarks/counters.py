"""Counters of the pinned layers: what the machine does, and what swatsim does to find out. No time is measured."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from benchmarks.workload import pinned_layers, random_layer, write_trace
from swatsim.architecture import load_architecture, shipped_architectures
from swatsim.moves import DIRECTIONS
from swatsim.report import Report
from swatsim.simulation import simulate
from swatsim.trace import Trace, load_trace

KEPT = (
    "cycles", "compute_cycles", "dense_cycles", "dense_compute_cycles", "ideal_cycles", "effectual_macs", "blocks",
    "compulsory_dram_bytes", "prefetched_cycles",
)  # fmt: skip
# A trace's layers are simulated one at a time: six of a kind take no more memory than one, but for their rows.
MOST_MEMORY_GROWTH = 1.2

Measure = Callable[..., int]
# Where a call counts, under which name, and how much; arguments as the kernels have them.
WATCHED: tuple[tuple[str, str, Measure], ...] = (
    ("swatsim.datapaths.lanes.gather_words", "words gathered", lambda *given: given[3].size),
    ("swatsim.datapaths.lanes.schedule_units", "buffers scheduled", lambda *given: given[3].shape[0]),
    ("swatsim.datapaths.lanes.count_in_chunks", "chunks counted", lambda *given: given[4].size),
    ("swatsim.presence.count_present", "positions counted", lambda *given: given[1].size * given[2].size),
    ("swatsim.mapper.search", "pairs of cuts searched", lambda *given: prod(each.blocks.size for each in given[1])),
    ("swatsim.demand.touched_bytes", "blocks measured", lambda *given: given[-1].size),
    ("swatsim.stream_plan.run_blocks", "blocks of streams tried", lambda *given: given[0].compute.size),
    ("swatsim.timeline.run_blocks", "blocks run", lambda *given: given[0].compute.size),
    ("swatsim.trace.tensors.read", "tensors read", lambda *given: 1),
)


def count() -> dict[str, int]:
    """Every counter by name, such as `dadiannao strided forward cycles`."""
    found: dict[str, int] = {}
    with TemporaryDirectory() as folder:
        path = write_trace(Path(folder) / "pinned", pinned_layers(), "pinned")
        for name in shipped_architectures():
            with watching() as work:
                report = simulate(load_architecture(name), load_trace(path), workers=1)
            found |= {f"{name} {key}": value for key, value in _kept(report)}
            found |= {f"{name} {key}": work[key] for _, key, _ in WATCHED}
    return found


def _kept(report: Report) -> Iterator[tuple[str, int]]:
    """Of passes and totals; streams are in the totals."""
    moved = [f"{level}_{direction}_bytes" for level in report.machine.levels for direction in DIRECTIONS]
    for record in (*report.layer_records, *report.totals):
        columns = record.as_dict()
        for key in (*KEPT, *moved):
            yield f"{record.layer} {record.pass_name} {key}", int(columns[key] or 0)


@contextmanager
def watching() -> Iterator[Counter[str]]:
    """Count the calls of `WATCHED` while the block runs."""
    work: Counter[str] = Counter()
    with ExitStack() as patches:
        for target, key, measure in WATCHED:
            module, _, function = target.rpartition(".")
            original = getattr(__import__(module, fromlist=[function]), function)

            def counted(*given: Any, original: Any = original, key: str = key, measure: Measure = measure) -> Any:
                work[key] += measure(*given)
                return original(*given)

            patches.enter_context(mock.patch(target, counted))
        yield work


def memory_growth() -> float:
    """Peak memory of a trace of six equal layers by that of one of them."""
    machine = load_architecture("dadiannao")
    layer = random_layer("layer", (2, 64, 28, 28), (64, 64, 3, 3))
    layers = [replace(layer, spec=replace(layer.spec, name=f"layer {number}")) for number in range(6)]
    simulate(machine, Trace("warm", [layer]), workers=1)
    peaks = []
    with TemporaryDirectory() as folder:
        for size in (1, 6):
            trace = load_trace(write_trace(Path(folder) / str(size), layers[:size], "equal"))
            tracemalloc.start()
            simulate(machine, trace, workers=1)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    return peaks[1] / peaks[0]


def differences(expected: dict[str, int], found: dict[str, int]) -> list[str]:
    """One line for each counter that is not as it was."""
    names = dict.fromkeys([*expected, *found])
    return [
        f"{name}: got {found.get(name, 'nothing')}, expected {expected.get(name, 'nothing')}"
        for name in names
        if expected.get(name) != found.get(name)
    ]
