"""Branches of swatsim that the test suite runs: `python -m benchmarks.coverage [--record]` (`pip install coverage`).

Runs the suite, its subprocesses and forked workers under coverage.py, where all extras are installed. Kernels count
where `tests/test_kernels_settings.py` runs them without compilation. Left out is what says nothing about this, or fails
under a tracer: `SUITE`. A process that is killed counts nothing, nor does one that may write no file. `--record` writes
`benchmarks/coverage.json`, of which `python -m docs.generate` makes a table in docs/reliability.md; `--html DIR` shows
what is not run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RECORD = Path(__file__).with_suffix(".json")
GOAL_PERCENT = 95
COUNTS = ("num_statements", "covered_lines", "num_branches", "covered_branches")
SUITE = (
    # Compiled kernels count nothing, and these take long.
    "--deselect", "tests/test_kernels_settings.py::test_kernels_with[bounds checked",
    # The tracer imports multiprocessing, which --help must not.
    "--deselect", "tests/test_startup.py::test_help_imports_nothing_heavy",
    # It says that its own file cannot be written either.
    "--deselect", "tests/test_faults.py::test_a_command_on_a_full_disk",
)  # fmt: skip
SETTINGS = """[run]
branch = true
parallel = true
source = {root}/swatsim
data_file = {folder}/data
patch = subprocess, fork, _exit
disable_warnings = no-data-collected, module-not-imported, couldnt-parse

[report]
exclude_also =
    if TYPE_CHECKING:
"""


def measure(folder: Path, tests: Sequence[str], html: str | None) -> tuple[dict[str, Any], bool]:
    """Run the suite, or some tests: counts of each file, and whether no test failed."""
    settings = folder / "coveragerc"
    settings.write_text(SETTINGS.format(root=ROOT, folder=folder), encoding="utf-8")
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}

    def run(what: str, *arguments: str) -> int:
        command = [sys.executable, "-m", "coverage", what, f"--rcfile={settings}", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode

    failed = run("run", "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal", *SUITE, *tests)
    failed = run("combine", "-q") or failed
    found = folder / "found.json"
    run("json", "-q", "-o", str(found))
    if html is not None:
        run("html", "-q", "-d", html)
        shutil.copy(found, html)
    files = json.loads(found.read_text(encoding="utf-8"))["files"]
    counts = {name: {count: each["summary"][count] for count in COUNTS} for name, each in sorted(files.items())}
    return counts, failed == 0


def part_of(name: str) -> str:
    """The directory below swatsim/ in which a file is."""
    parts = Path(name).parts
    return parts[1] if len(parts) > 2 else "other"


def percent(counts: Mapping[str, int], kind: str) -> str:
    """Of statements and branches together, or of one of both; rounded down: a goal is not reached by rounding."""
    names = {"lines": ("covered_lines", "num_statements"), "branches": ("covered_branches", "num_branches")}
    chosen = names.values() if kind == "both" else [names[kind]]
    ran, there = (sum(counts[name] for name in each) for each in zip(*chosen, strict=True))
    return f"{1000 * ran // there / 10:.1f} %" if there else "–"


def main(arguments: Sequence[str]) -> int:
    """Measure, and say or keep what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write benchmarks/coverage.json")
    parser.add_argument("--html", metavar="DIR", help="write pages that show what is not run")
    parser.add_argument("tests", nargs="*", help="some tests instead of the suite; those are not recorded")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found, passed = measure(Path(folder), given.tests, given.html)
    for name, counts in found.items():
        print(f"{percent(counts, 'both'):>8} {name}")
    if given.record and passed and not given.tests:
        record = {
            "date": f"{datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}", "python": platform.python_version(),
            "files": found,
        }  # fmt: skip
        RECORD.write_text(f"{json.dumps(record, indent=1)}\n", encoding="utf-8")
    return 0 if passed else 1


def section() -> str:
    """The section of docs/reliability.md."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    parts: dict[str, Counter[str]] = {}
    for name, counts in record["files"].items():
        for part in (part_of(name), "all"):
            parts.setdefault(part, Counter()).update(counts)
    heads = ("part", "statements", "branches", "statements run", "branches run", "both")
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    for part in sorted(parts, key=lambda each: (each == "all", each == "other", each)):
        counts = parts[part]
        shares = " | ".join(percent(counts, kind) for kind in ("lines", "branches", "both"))
        lines.append(f"| {part} | {counts['num_statements']:,} | {counts['num_branches']:,} | {shares} |")
    text = f"""## Which branches do the tests run?

`python -m benchmarks.coverage --record` runs the suite where all extras are installed, with its subprocesses and forked
workers, and counts statements and branches with [coverage.py](https://coverage.readthedocs.io); kernels where they run
without compilation. The goal is {GOAL_PERCENT} % of branches. Last run: {record["date"]}, Python {record["python"]}.

"""
    return text + "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
