"""How time and memory grow with images, layers, tiles and workers: `python -m benchmarks.scaling [--images 1,2,4,8]`.

Medians of seven, sizes in turn within each round, so that a busy machine slows all of them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np

from benchmarks.end_to_end import Taken, measured
from benchmarks.kernel_runs import ALL, MACHINES, Run, call_all, machine_runs
from benchmarks.workload import MAIN_TRACE, random_layer
from swatsim.architecture import Architecture, load_architecture
from swatsim.bits import BitTensor
from swatsim.layer import Layer, Operand
from swatsim.simulation import simulate
from swatsim.trace import Trace, TraceWriter, load_trace
from swatsim.trace.selection import SelectedTrace

ROUNDS = 7
GOAL_OF_TWO_WORKERS = 1.7
# Of kernels, in each process.
WORKER_SECONDS = 0.3
# Of processor time for twice the work, in the gate: linear work takes twice as long, quadratic work four times. The
# line is between them, far from what a busy machine with shared caches does to the median.
MOST_GROWTH = 3.0
GATE_ROUNDS = 5


def in_turn(works: Mapping[int, Callable[[], float]], rounds: int = ROUNDS) -> dict[int, list[float]]:
    """What each gives in each round; one is called before they count."""
    for work in works.values():
        work()
    found: dict[int, list[float]] = {size: [] for size in works}
    for _ in range(rounds):
        for size, work in works.items():
            found[size].append(work())
    return found


def growth(found: Mapping[int, Sequence[float]], smaller: int, larger: int) -> float:
    """The median of the rounds' ratios."""
    return median(b / a for a, b in zip(found[smaller], found[larger], strict=True))


def write_stacked(path: Path, trace: Trace, images: int) -> str:
    """Write a trace with so many images: those of `trace`, and again with their channels in another order."""
    own = trace.specs[0].input_shape[0]
    with TraceWriter(path, metadata=replace(trace.manifest, name=f"{images} images")) as writer:
        writer.set_graph([replace(node, shape=_more_images(node.shape, images)) for node in trace.graph])
        for layer in trace:
            writer.add(_stacked(layer, images, own))
    return str(path)


def _more_images(shape: tuple[int, ...], images: int) -> tuple[int, ...]:
    return (images, *shape[1:])


def _stacked(layer: Layer, images: int, own: int) -> Layer:
    made: dict[int, BitTensor] = {}

    def more(bits: BitTensor) -> BitTensor:
        if id(bits) not in made:
            first = bits.to_bool()
            # Equal images would be recognised.
            copies = [np.roll(first, 5 * number, axis=1) for number in range(-(-images // own))]
            made[id(bits)] = BitTensor.from_array(np.concatenate(copies)[:images])
        return made[id(bits)]

    passes = {
        name: replace(given, operands={
            role: operand if role == "weight" else Operand(bits=more(operand.bits), sparsity=operand.sparsity)
            for role, operand in given.operands.items()
        })
        for name, given in layer.passes.items()
    }  # fmt: skip
    spec = layer.spec
    shapes = {name: _more_images(getattr(spec, name), images) for name in ("input_shape", "output_shape")}
    return Layer(spec=replace(spec, **shapes), passes=passes)


def by_images(sizes: Sequence[int], machine: str, folder: Path) -> list[str]:
    """The whole command, and the peak memory of its largest process: a trace streams layer by layer."""
    trace = load_trace(MAIN_TRACE)
    paths = {size: write_stacked(folder / f"{size}-images", trace, size) for size in sizes}
    taken: dict[int, list[Taken]] = {size: [] for size in sizes}

    def run(size: int) -> float:
        taken[size].append(measured(["run", "--arch", machine, "--trace", paths[size]]))
        return taken[size][-1].cpu_seconds

    found = in_turn({size: lambda size=size: run(size) for size in sizes})  # type: ignore[misc]
    walls = {size: median(each.wall_seconds for each in taken[size][1:]) for size in sizes}
    peaks = {size: max(each.peak_bytes for each in taken[size]) for size in sizes}
    return _lines(f"images, {machine}, whole command", found, [
        (f"{walls[size]:.2f} s of wall time", f"{peaks[size] / 1e6:,.0f} MB, {peaks[size] / peaks[before]:.2f} times")
        for before, size in pairwise([sizes[0], *sizes])
    ])  # fmt: skip


def by_layers(sizes: Sequence[int], machine: str) -> list[str]:
    """Different layers of one shape."""
    architecture = load_architecture(machine)
    layers = [random_layer("x" * number, (1, 128, 28, 28), (128, 128, 3, 3)) for number in range(1, max(sizes) + 1)]
    works = {size: _simulating(architecture, Trace("layers", layers[:size])) for size in sizes}
    return _lines(f"layers, {machine}", in_turn(works))


def by_tiles(sizes: Sequence[int], machine: str) -> list[str]:
    """Machines of more and more tiles, on one layer."""
    trace = Trace("layer", [random_layer("layer3.1.conv2", (2, 256, 14, 14), (256, 256, 3, 3))])
    works = {size: _simulating(load_architecture(machine, overrides={"tiles": size}), trace) for size in sizes}
    return _lines(f"tiles, {machine}", in_turn(works))


def by_workers(machine: str) -> list[str]:
    """A part of the main job on one thread and on two, in wall time."""
    architecture, trace = load_architecture(machine), SelectedTrace("part", load_trace(MAIN_TRACE), "layer3.*")

    def run(workers: int) -> float:
        began = perf_counter()
        simulate(architecture, trace, workers=workers)
        return perf_counter() - began

    found = in_turn({workers: lambda workers=workers: run(workers) for workers in (1, 2)})  # type: ignore[misc]
    return [f"workers, {machine}: 2 are {1 / growth(found, 1, 2):.2f} times as fast as 1"]


def kernels_by_workers(run: Run) -> list[str]:
    """The calls of kernels that one layer makes, in each of two processes at once, against the same in one."""
    found = in_turn({count: lambda count=count: _in_processes(run, count) for count in (1, 2)})  # type: ignore[misc]
    note = "" if (speedup := 2 / growth(found, 1, 2)) >= GOAL_OF_TWO_WORKERS else "  BELOW ITS GOAL"
    return [
        f"workers, kernels of {run.machine}: 2 are {speedup:.2f} times as fast as 1 (goal {GOAL_OF_TWO_WORKERS}){note}"
    ]


def _in_processes(run: Run, count: int) -> float:
    """Seconds until the slowest has made its calls; all begin together, with copies of their own."""
    context = get_context("fork")
    ready, seconds = context.Barrier(count), context.SimpleQueue()

    def work() -> None:
        given = [run.arguments() for _ in range(max(1, round(WORKER_SECONDS / run.seconds)))]
        ready.wait()
        began = perf_counter()
        for each in given:
            call_all(each)
        seconds.put(perf_counter() - began)

    processes = [context.Process(target=work) for _ in range(count)]
    for process in processes:
        process.start()
    found = [seconds.get() for _ in processes]
    for process in processes:
        process.join()
    return max(found)


def _simulating(architecture: Architecture, trace: Trace) -> Callable[[], float]:
    def run() -> float:
        began = process_time()
        simulate(architecture, trace, workers=1)
        return process_time() - began

    return run


def _lines(title: str, found: Mapping[int, Sequence[float]], notes: Sequence[tuple[str, ...]] = ()) -> list[str]:
    """A size each: the median of its processor time, and how it grows from the size before."""
    sizes = list(found)
    lines = [f"{title}:"]
    for index, size in enumerate(sizes):
        grown = f", {growth(found, sizes[index - 1], size):.2f} times {sizes[index - 1]}" if index else ""
        beside = "".join(f", {note}" for note in (notes[index] if notes else ()))
        lines.append(f"  {size:>3}: {median(found[size]):.3f} CPU-s{grown}{beside}")
    return lines


def gate_ratios() -> dict[str, float]:
    """Growth of processor time within this process: twice the images, twice the layers."""
    found = {}
    for machine in ("dadiannao", "sparten"):
        architecture = load_architecture(machine)
        images = {
            size: _simulating(architecture, Trace("images", [random_layer("a", (size, 128, 28, 28), (128, 128, 3, 3))]))
            for size in (2, 4)
        }
        layers = [random_layer("x" * number, (2, 64, 28, 28), (128, 64, 3, 3)) for number in range(1, 5)]
        works = {size: _simulating(architecture, Trace("layers", layers[:size])) for size in (2, 4)}
        found[f"{machine}: twice the images"] = growth(in_turn(images, GATE_ROUNDS), 2, 4)
        found[f"{machine}: twice the layers"] = growth(in_turn(works, GATE_ROUNDS), 2, 4)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--images", default="1,2,4,8", help="numbers of images, such as 1,2,4,8,64")
    parser.add_argument("--arch", default="dadiannao")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(*by_images([int(each) for each in arguments.images.split(",")], arguments.arch, Path(folder)), sep="\n")
    print(*by_layers((4, 8, 16), arguments.arch), *by_tiles((4, 16, 64), arguments.arch), sep="\n")
    print(*by_workers(arguments.arch), sep="\n")
    for machine in MACHINES:
        print(*kernels_by_workers(next(run for run in machine_runs(machine) if run.name == ALL)), sep="\n")


if __name__ == "__main__":
    main()
