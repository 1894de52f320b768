"""What a sweep takes: `python -m benchmarks.sweeps [--points N] [--document N] [--update]`; needs the extra `dask`.

Wall time by point, of points that are runs of a single small layer; processor time of points of ResNet-50, on one
process; and wall time and memory of `swatsim report` on a document of N points, the small ones again and again under
other keys. `--update` writes the tables of docs/scaling.md.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.end_to_end import measured
from benchmarks.workload import MAIN_TRACE, write_trace
from swatsim.sweeping import Grid
from swatsim.sweeping.machines import Machines
from swatsim.sweeping.point import Point, plan_point
from swatsim.sweeping.result import Sweep
from swatsim.sweeping.running import compute_points, plan
from swatsim.sweeping.store import Store
from swatsim.trace import load_trace

ROOT = Path(__file__).parent.parent
SMALL = ROOT / "traces" / "smallcnn"
PAGE = ROOT / "docs" / "scaling.md"
BEGIN, END = "<!-- sweeps: python -m benchmarks.sweeps --update -->", "<!-- end of sweeps -->"
LARGE_POINTS = ("dadiannao", "scnn")
CAPACITY = "memory.central.capacity_bytes"


def grid_of(points: int, trace: str) -> Grid:
    """So many machines: rows of a tile, and capacities that differ by a byte."""
    rows = (2, 4, 8, 16)
    capacities = tuple((1 << 22) + number for number in range(points // len(rows)))
    return Grid(arch=["dadiannao"], trace=[trace], overrides={"tile.rows": rows, CAPACITY: capacities})


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def made(folder: Path) -> Store:
    """A store whose folder is there."""
    store = Store(folder)
    store.make()
    return store


def small_points(count: int, folder: Path) -> tuple[dict[str, float], Sweep, int]:
    """Seconds by point of each part, the sweep, and the bytes of its document."""
    trace = str(write_trace(folder / "trace", [load_trace(SMALL).layer(-1)], "small"))
    compute_points(plan(grid_of(4, trace)), made(folder / "first"), workers=2)  # compiles
    grid, store = grid_of(count, trace), made(folder / "points")
    points: list[Point] = []
    planned = seconds(lambda: points.extend(plan(grid)))
    machines, traces, last = Machines(grid.arch), {trace: load_trace(trace)}, points[-1].parameters
    plan_point(last, "*", machines, traces)
    further = seconds(lambda: [plan_point(last, "*", machines, traces) for _ in points])
    computed = seconds(lambda: compute_points(points, store, workers=2))
    found, _ = compute_points(points, store, workers=1)
    whole = Sweep(grid=grid.axes, points=tuple(found), computed=0)
    again = made(folder / "again")
    parts = {
        "plan a machine: read it, apply overrides, check it, and its first point": planned,
        "plan a further point of the same machine": further,
        "compute on a pool of two processes, simulation of the layer included": computed,
        "the same on a Dask scheduler with two workers on this machine": on_dask(points, folder),
        "keep a point: write it and sync it to this disk": seconds(lambda: [again.write(each) for each in found]),
        "find a finished point": seconds(lambda: [store.read(point.key) for point in points]),
        "write it into the document": seconds(whole.to_json),
    }
    return {name: taken / len(grid) for name, taken in parts.items()}, whole, len(whole.to_json())


def large_points() -> Iterator[tuple[str, float]]:
    """Processor seconds of ResNet-50's three passes on one process, kernels compiled."""
    trace = load_trace(MAIN_TRACE)
    for point in plan(Grid(arch=LARGE_POINTS, trace=[str(MAIN_TRACE)])):
        replace(point, layers=trace.specs[-1].name).document()
        began = time.process_time()
        point.document()
        yield str(point.parameters["arch"]), time.process_time() - began


def document_of(sweep: Sweep, count: int) -> str:
    """A document of so many points: those of the sweep again and again, under other keys and capacities."""
    points = [
        {**point, "key": f"{number:032x}", "parameters": {**point["parameters"], CAPACITY: (1 << 22) + number}}
        for number, point in enumerate(itertools.islice(itertools.cycle(sweep.points), count))
    ]
    capacities = tuple((1 << 22) + number for number in range(count))
    return Sweep(grid={**sweep.grid, CAPACITY: capacities}, points=tuple(points), computed=0).to_json()


def tables(count: int, of_document: int) -> str:
    """What is measured, as the page has it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts, sweep, size = small_points(count, folder)
        lines = [f"`python -m benchmarks.sweeps --points {count} --document {of_document}`:", "",
                 f"| {len(sweep.points)} points of a small layer | ms a point |", "|---|---:|"]  # fmt: skip
        lines += [f"| {name} | {1e3 * taken:.2f} |" for name, taken in parts.items()]
        lines += ["", "| a point of `traces/resnet50`, three passes, on one process | processor s |", "|---|---:|"]
        lines += [f"| `{arch}` | {taken:.1f} |" for arch, taken in large_points()]
        document, page = folder / "sweep.json", folder / "page.html"
        document.write_text(document_of(sweep, of_document), encoding="utf-8")
        taken = measured(["report", str(page), str(document)])
        lines += [
            "", f"| `swatsim report` on a document of {of_document:,} points | |", "|---|---:|",
            f"| document, KB a point | {size / len(sweep.points) / 1e3:.1f} |",
            f"| document, MB | {document.stat().st_size / 1e6:.0f} |",
            f"| wall time, s | {taken.wall_seconds:.0f} |",
            f"| peak memory, MB | {taken.peak_bytes / 1e6:,.0f} |",
            f"| page, MB | {page.stat().st_size / 1e6:.1f} |",
        ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=400)
    parser.add_argument("--document", type=int, default=10_000, help="points of the document that is read")
    parser.add_argument("--update", action="store_true", help="write the tables of docs/scaling.md")
    asked = parser.parse_args()
    found = tables(asked.points, asked.document)
    sys.stdout.write(found)
    if asked.update:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n\n{found}\n{END}{after}", encoding="utf-8")


def on_dask(points: Sequence[Point], folder: Path) -> float:
    """Wall seconds of all points on a scheduler and two workers of this machine."""
    import distributed

    file, processes = folder / "scheduler.json", []
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-m", "dask"]
    try:
        scheduler = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
        processes.append(subprocess.Popen([*command, *scheduler], **quiet))
        while not file.exists():
            time.sleep(0.05)
        worker = [*command, "worker", "--scheduler-file", str(file), "--no-nanny", "--nthreads", "1", "--no-dashboard"]
        processes += [subprocess.Popen(worker, **quiet) for _ in range(2)]
        with distributed.Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(2)
            address = client.scheduler.address
        compute_points(points[:4], made(folder / "warm"), dask=address, workers=1)
        return seconds(lambda: compute_points(points, made(folder / "cluster"), dask=address, workers=1))
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
