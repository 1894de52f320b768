"""`python -m benchmarks`: measure and compare with the goals; `--gate`: the counters only, for CI."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("counters.json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--gate", action="store_true", help=f"compare counters with {FILE.name}; no time is measured")
    choice.add_argument("--update", action="store_true", help=f"write {FILE.name} anew")
    parser.add_argument("--trace", metavar="DIR", help="trace of the main job, in place of traces/resnet50")
    arguments = parser.parse_args()
    if arguments.trace:
        os.environ["SWATSIM_BENCHMARK_TRACE"] = str(Path(arguments.trace).resolve())
    if arguments.update:
        from benchmarks.counters import count

        FILE.write_text(json.dumps(count(), indent=1) + "\n")
        return 0
    return gate() if arguments.gate else measure()


def gate() -> int:
    from benchmarks.counters import MOST_MEMORY_GROWTH, count, differences, memory_growth

    found = count()
    wrong = differences(json.loads(FILE.read_text()), found)
    growth = memory_growth()
    print(f"{len(found)} counters, {len(wrong)} differ; memory of six layers by that of one: {growth:.3f}")
    for line in wrong[:40]:
        print(line)
    if wrong:
        print(
            "Where this is meant: python -m benchmarks --update, and commit benchmarks/counters.json with the reason."
        )
    if growth > MOST_MEMORY_GROWTH:
        print(f"memory grows with the number of layers: got {growth:.3f}, expected at most {MOST_MEMORY_GROWTH}")
    return 1 if wrong or growth > MOST_MEMORY_GROWTH else 0


def measure() -> int:
    import pytest

    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "benchmarks.json"
        files = [str(here / name) for name in ("bench_kernels.py", "bench_main_job.py")]
        code = pytest.main(
            ["-q", "-p", "no:cacheprovider", "--benchmark-columns=min,median,max,rounds", f"--benchmark-json={output}",
             f"--rootdir={here.parent}", *files]
        )  # fmt: skip
        if code or not output.read_bytes():
            return int(code) or 1
        entries = json.loads(output.read_text())["benchmarks"]
    print()
    print(f"{'kernel':<22} {'positions':>11} {'median':>10} {'measured':>13} {'goal':>13}  {'a position is'}")
    for entry in entries:
        if "positions" in entry["extra_info"]:
            print(kernel_line(entry))
    print()
    print(f"{'command':<22} {'median':>10} {'goal':>10} {'peak memory':>13} {'goal':>10}")
    for entry in entries:
        if "goal_seconds" in entry["extra_info"]:
            print(command_line(entry))
    return 0


def kernel_line(entry: dict[str, Any]) -> str:
    info, median = entry["extra_info"], entry["stats"]["median"]
    rate, goal = info["positions"] / median, info["goal"]
    note = "" if rate >= goal else "  BELOW ITS GOAL"
    return (
        f"{info['name']:<22} {info['positions']:>11,} {median * 1e3:>7.2f} ms {rate / 1e6:>9,.0f} M/s "
        f"{goal / 1e6:>9,.0f} M/s  {info['position']}{note}"
    )


def command_line(entry: dict[str, Any]) -> str:
    info, median = entry["extra_info"], entry["stats"]["median"]
    met = median <= info["goal_seconds"] and info["peak_bytes"] <= info["goal_bytes"]
    return (
        f"{info['name']:<22} {median:>8.3f} s {info['goal_seconds']:>8.2f} s {info['peak_bytes'] / 1e6:>10,.0f} MB "
        f"{info['goal_bytes'] / 1e6:>7,.0f} MB{'' if met else '  BEYOND ITS GOAL'}"
    )


if __name__ == "__main__":
    sys.exit(main())
