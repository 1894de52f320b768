"""What a point of a sweep costs beside its simulation: `python -m benchmarks.sweeps [--points N] [--dask]`.

Points are runs of a single small layer. Wall seconds by point: planned, computed on two processes, read back and
written as a document, and on a Dask scheduler with two workers on this machine.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.workload import write_trace
from swatsim.sweeping import Grid
from swatsim.sweeping.running import plan, run_grid
from swatsim.trace import load_trace

SMALL = Path(__file__).parent.parent / "traces" / "smallcnn"


def grid_of(points: int, trace: str) -> Grid:
    """So many points: rows of a tile, and capacities that differ by a byte."""
    rows = (2, 4, 8, 16)
    return Grid(arch=["dadiannao"], trace=[trace], overrides={
        "tile.rows": rows, "memory.central.capacity_bytes": tuple((1 << 22) + i for i in range(points // len(rows))),
    })  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=400)
    parser.add_argument("--dask", action="store_true", help="on a Dask scheduler too (extra dask)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        small = load_trace(SMALL).layer(-1)
        grid = grid_of(asked.points, str(write_trace(Path(folder) / "trace", [small], "small")))
        run_grid(grid_of(4, grid.trace[0]), None)  # compiles
        began = time.perf_counter()
        plan(grid)
        planned = time.perf_counter()
        found = run_grid(grid, Path(folder) / "points", workers=2)
        computed = time.perf_counter()
        run_grid(grid, Path(folder) / "points", workers=2)
        again = time.perf_counter()
        size = len(found.to_json())
        written = time.perf_counter()
        for name, seconds in (
            ("plan", planned - began), ("compute on two processes, plan included", computed - planned),
            ("find all finished, plan included", again - computed), ("write the document", written - again),
        ):  # fmt: skip
            print(f"{name}: {1e3 * seconds / len(grid):.2f} ms a point")
        print(f"document: {size / len(grid):.0f} bytes a point")
        if asked.dask:
            each = on_dask(grid, Path(folder)) / len(grid)
            print(f"compute on a Dask cluster of two workers: {1e3 * each:.2f} ms a point")


def on_dask(grid: Grid, folder: Path) -> float:
    """Wall seconds."""
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
        run_grid(grid_of(4, grid.trace[0]), folder / "warm", dask=address)
        began = time.perf_counter()
        run_grid(grid, folder / "cluster", dask=address)
        return time.perf_counter() - began
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
