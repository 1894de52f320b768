"""`python -m benchmarks`: measure and compare with the goals; `--gate`: counters and ratios only, for CI."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

FILE = Path(__file__).with_name("counters.json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--gate", action="store_true", help=f"compare counters with {FILE.name}, and check ratios")
    choice.add_argument("--update", action="store_true", help=f"write {FILE.name} anew")
    choice.add_argument("--kernels", action="store_true", help="measure kernels only")
    choice.add_argument("--commands", action="store_true", help="measure whole commands only")
    parser.add_argument("--trace", metavar="DIR", help="trace of the main job, in place of traces/resnet50")
    arguments = parser.parse_args()
    if arguments.trace:
        os.environ["SWATSIM_BENCHMARK_TRACE"] = str(Path(arguments.trace).resolve())
    if arguments.update:
        from benchmarks.counters import count

        FILE.write_text(json.dumps(count(), indent=1) + "\n")
        return 0
    if arguments.gate:
        return gate()
    kinds = [kind for kind in ("kernels", "commands") if getattr(arguments, kind)] or ["kernels", "commands"]
    return measure([f"bench_{kind}.py" for kind in kinds])


def gate() -> int:
    from benchmarks.counters import MOST_MEMORY_GROWTH, count, differences, memory_growth
    from benchmarks.scaling import MOST_GROWTH, gate_ratios

    found = count()
    wrong = differences(json.loads(FILE.read_text()), found)
    print(f"{len(found)} counters, {len(wrong)} differ")
    for line in wrong[:40]:
        print(line)
    if wrong:
        print(
            "Where this is meant: python -m benchmarks --update, and commit benchmarks/counters.json with the reason."
        )
    limits = [("memory of six layers by that of one", memory_growth(), MOST_MEMORY_GROWTH)]
    limits += [(f"{name}: time", ratio, MOST_GROWTH) for name, ratio in gate_ratios().items()]
    for name, ratio, most in limits:
        print(f"{name}: {ratio:.2f} times, expected at most {most}{'' if ratio <= most else '  TOO MUCH'}")
    return 1 if wrong or any(ratio > most for _, ratio, most in limits) else 0


def measure(names: list[str]) -> int:
    import pytest

    from benchmarks.tables import command_lines, kernel_lines

    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "benchmarks.json"
        options = ["-q", "-p", "no:cacheprovider", "--benchmark-quiet", f"--benchmark-json={output}"]
        code = pytest.main([*options, f"--rootdir={here.parent}", *(str(here / name) for name in names)])
        if code or not output.read_bytes():
            return int(code) or 1
        entries = json.loads(output.read_text())["benchmarks"]
    for name, lines in (("bench_kernels.py", kernel_lines), ("bench_commands.py", command_lines)):
        if name in names:
            print("", *lines(entries), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
