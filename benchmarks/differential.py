"""Every kernel against its plain twin on many random cases: `python -m benchmarks.differential [--cases N] [--record]`.

Runs the tests that draw random input for the kernels (`tests/test_kernels_*.py`) and for whole schedules, which an
oracle executes value by value, on as many cases as are asked for, and counts them. `--record` writes
`benchmarks/differential.json`, of which `python -m docs.generate` makes a table in docs/reliability.md, file by file:
a run that ended goes on with `--only` the files that are left, and the same cases and seed.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RECORD = Path(__file__).parent / "differential.json"
KERNELS = ROOT / "swatsim" / "kernels"
# Tests that compare whole schedules with an oracle that executes them.
ORACLES = ("schedule_oracle", "systolic", "packed", "matrix_outer", "row_convolution", "outer")
# In CI each test draws so many (tests/conftest.py).
CI_EXAMPLES = 120


def files() -> dict[str, Path]:
    """The test files, by what they are about."""
    kernels = {path.stem.removeprefix("test_"): path for path in sorted((ROOT / "tests").glob("test_kernels_*.py"))}
    found = {name: path for name, path in kernels.items() if _drawing(path)}
    return found | {name: ROOT / "tests" / f"test_{name}.py" for name in ORACLES}


def _drawing(path: Path) -> int:
    """Tests in a file that draw random input."""
    return sum("given(" in ast.unparse(decorator) for each in _functions(path) for decorator in each.decorator_list)


def _functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]


def run(path: Path, *, examples: int, seed: int) -> dict[str, Any]:
    """Run the drawing tests of a file on so many cases each: the cases of each test. Raises SystemExit."""
    with tempfile.TemporaryDirectory() as folder:
        counted = Path(folder, "counts")
        environment = {
            **os.environ, "HYPOTHESIS_PROFILE": "differential", "SWATSIM_EXAMPLES": str(examples),
            "COUNTED_EXAMPLES": str(counted),
        }  # fmt: skip
        command = [
            sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", "-p",
            "benchmarks.counted_examples", "-m", "hypothesis", f"--hypothesis-seed={seed}", str(path),
        ]  # fmt: skip
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{path.name}, seed {seed}:\n{done.stdout[-6000:]}{done.stderr[-2000:]}")
        counts: dict[str, int] = json.loads(counted.read_text(encoding="utf-8"))
    return {"tests": len(counts), "cases": sum(counts.values())}


def kernels_of(name: str) -> list[str]:
    """The kernels in the module that a file of tests is about; none where it is about schedules."""
    source = KERNELS / f"{name.removeprefix('kernels_')}.py"
    if not name.startswith("kernels_") or not source.exists():
        return []
    return [node.name for node in _functions(source)]


def main(arguments: Sequence[str]) -> int:
    """Run all files; the first disagreement ends it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000, help="of all tests together, at least (100000)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed, the same cases")
    parser.add_argument("--only", nargs="+", metavar="FILE", help="some files, such as kernels_bits or outer")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--record", action="store_true", help="write benchmarks/differential.json")
    given = parser.parse_args(arguments)
    chosen = files()
    # Those of schedules divide it: each of their cases is a whole layer.
    examples = -(-given.cases // sum(_drawing(path) for name, path in chosen.items() if name.startswith("kernels_")))
    if unknown := set(given.only or ()) - set(chosen):
        parser.error(f"--only: got {', '.join(sorted(unknown))}, expected some of {', '.join(chosen)}")
    names = [name for name in chosen if given.only is None or name in given.only]
    cases = 0
    with ThreadPoolExecutor(given.workers) as pool:
        results = pool.map(partial(run, examples=examples, seed=given.seed), map(chosen.__getitem__, names))
        for name, result in zip(names, results, strict=True):
            print(f"{name}: {result['cases']:,} cases of {result['tests']} tests", flush=True)
            cases += result["cases"]
            if given.record:
                keep(name, {**result, "kernels": kernels_of(name)}, seed=given.seed, examples=examples)
    print(f"{cases:,} cases agree")
    return 0


def keep(name: str, found: Mapping[str, Any], *, seed: int, examples: int) -> None:
    """Record what a file came to, beside the others of the same seed and number of cases."""
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    drawn = {"seed": seed, "examples": examples}
    known = {**(record["files"] if record.get("drawn") == drawn else {}), name: found}
    kept = {each: known[each] for each in files() if each in known}
    date = f"{datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}"
    RECORD.write_text(f"{json.dumps({'date': date, 'drawn': drawn, 'files': kept}, indent=1)}\n", encoding="utf-8")


def section() -> str:
    """The section of docs/reliability.md."""
    nothing: dict[str, Any] = {"files": {}, "date": "never", "drawn": {"seed": 0}}
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else nothing
    files_found, seed = record["files"], record["drawn"]["seed"]
    total = sum(each["cases"] for each in files_found.values())
    in_ci = CI_EXAMPLES * sum(each["tests"] for name, each in files_found.items() if name.startswith("kernels_"))
    lines = ["| tests | cases | kernels of the module |", "|---|---:|---|"]
    for name, each in files_found.items():
        names = ", ".join(f"`{kernel}`" for kernel in each["kernels"]) or "whole schedules, executed value by value"
        lines.append(f"| `test_{name}.py` | {each['cases']:,} | {names} |")
    text = f"""## Do the kernels count as their plain twins do?

`python -m benchmarks.differential --record` runs each kernel beside a plain twin that shares no code with it, on random
input from a seed, and whole schedules beside an oracle that executes them and whose outputs must be the convolution and
its gradients. The last run ({record["date"]}, seed {seed}) drew {total:,} cases, all of which agreed; the aim
is 100,000, and every run of CI draws about {in_ci:,} of those of kernels. `TWINS` of `tests/test_kernels_compile.py`
says which twin stands beside which kernel.

"""
    return text + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
