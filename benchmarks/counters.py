"""Counters of the pinned layers: what the machine does, and what swatsim does to find out. No time is measured."""

from __future__ import annotations

import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from benchmarks.kernel_runs import bytes_of, called_kernels
from benchmarks.workload import pinned_layers, random_layer, write_trace
from swatsim import datapaths
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

# Bytes of peak memory that a window of a further image takes: its address, a bit for each value in each operand, and
# what a count or two for each round and block of the cuts take.
MOST_WINDOW_BYTES = {"dadiannao": 230, "sparten": 130}

# Where a call counts, and under which name; kernels and caches are found by themselves.
WATCHED: tuple[tuple[str, str], ...] = (("swatsim.trace.tensors.read", "tensors read"),)


def count() -> dict[str, int]:
    """Every counter by name, such as `dadiannao strided forward cycles` or `dadiannao search calls`."""
    found: dict[str, int] = {}
    for module in walk_packages(datapaths.__path__, f"{datapaths.__name__}."):
        import_module(module.name)  # what is imported later would call its kernels unseen
    with TemporaryDirectory() as folder:
        path = write_trace(Path(folder) / "pinned", pinned_layers(), "pinned")
        for name in shipped_architectures():
            for cache in _caches().values():
                cache.cache_clear()
            with watching() as work:
                report = simulate(load_architecture(name), load_trace(path), workers=1)
            found |= {f"{name} {key}": value for key, value in _kept(report)}
            found |= {f"{name} {key}": value for key, value in sorted(work.items())}
    idle = [
        target for target, key in WATCHED if not any(found.get(f"{name} {key}") for name in shipped_architectures())
    ]
    if idle:
        raise LookupError(f"benchmarks/counters.py watches what no machine calls: {', '.join(idle)}: where is it now?")
    return found


def _caches() -> dict[str, Any]:
    """Functions of swatsim that keep some of their results, by name."""
    return {
        value.__name__: value
        for module_name, module in list(sys.modules.items())
        if module_name.startswith("swatsim.")
        for value in vars(module).values()
        if not isinstance(value, type)
        and hasattr(value, "cache_parameters")
        and value.cache_parameters()["maxsize"] is not None
    }


def _kept(report: Report) -> Iterator[tuple[str, int]]:
    """Of passes and totals; streams are in the totals."""
    moved = [f"{level}_{direction}_bytes" for level in report.machine.levels for direction in DIRECTIONS]
    for record in (*report.layer_records, *report.totals):
        columns = record.as_dict()
        for key in (*KEPT, *moved):
            yield f"{record.layer} {record.pass_name} {key}", int(columns[key] or 0)


@contextmanager
def watching() -> Iterator[Counter[str]]:
    """Count, while the block runs, calls of kernels and bytes that they are handed, hits of caches, and `WATCHED`."""
    work: Counter[str] = Counter()

    def counted(original: Callable[..., Any], calls: str, touched: str | None) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            work[calls] += 1
            if touched is not None:
                work[touched] += bytes_of(given)
            return original(*given)

        return call

    with ExitStack() as patches:
        for target, kernel in called_kernels().items():
            name = kernel.__name__
            patches.enter_context(mock.patch(target, counted(kernel, f"{name} calls", f"{name} bytes")))
        for target, key in WATCHED:
            module, _, function = target.rpartition(".")
            original = getattr(import_module(module), function, None)
            if original is None:
                raise LookupError(f"benchmarks/counters.py watches {target}, which is gone: where is it now?")
            patches.enter_context(mock.patch(target, counted(original, key, None)))
        yield work
    hits = {f"{name} hits": cache.cache_info().hits for name, cache in _caches().items()}
    work.update({key: value for key, value in hits.items() if value})


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


def window_bytes(machine: str) -> float:
    """Peak memory that each further window of a layer takes, from 4 images to 32."""
    architecture, peaks = load_architecture(machine), []
    side = 28
    for images in (4, 4, 32):  # once without counting
        trace = Trace("layer", [random_layer("layer", (images, 16, side, side), (16, 16, 3, 3))])
        tracemalloc.start()
        simulate(architecture, trace, workers=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return (peaks[2] - peaks[1]) / (28 * side * side)


def differences(expected: dict[str, int], found: dict[str, int]) -> list[str]:
    """One line for each counter that is not as it was."""
    names = dict.fromkeys([*expected, *found])
    return [
        f"{name}: got {found.get(name, 'nothing')}, expected {expected.get(name, 'nothing')}"
        for name in names
        if expected.get(name) != found.get(name)
    ]
