"""Do the tests notice mistakes? A seeded sample of mutants, each run with the tests that concern its module.

python -m benchmarks.mutation --minutes 30    # more mutants of the sample, added to mutation.json
python -m benchmarks.mutation --again         # gaps, and those whose module has changed since
python -m benchmarks.mutation --show NAME     # a survivor's change
python -m benchmarks.mutation --update        # the section of docs/reliability.md, from mutation.json
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from benchmarks.mutants import Mutant, mutants_of
from benchmarks.mutation_tests import LEFT_OUT, TESTS, Tests, concerned

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).with_suffix(".json")
REVIEWED = Path(__file__).with_name("mutation_reviewed.json")
DOCUMENT = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- mutation: python -m benchmarks.mutation --update -->", "<!-- mutation ends -->"
SEED = 8
# Tests are given this many times the processor time that they take on the unchanged module, and this much more.
ALLOWED_TIMES, ALLOWED_S = 3, 10
OUTCOMES = ("failed", "stopped", "lived")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What the tests made of one mutant."""

    module: str
    name: str
    operator: str
    line: int
    outcome: str
    noticed_by: str
    module_digest: str  # of the module's text

    @property
    def key(self) -> str:
        """Module and change."""
        return f"{self.module}:{self.name}"


def digest_of(module: str) -> str:
    """Of a module's text, which decides whether a result still holds."""
    return hashlib.sha256((ROOT / module).read_bytes()).hexdigest()[:12]


def population() -> list[tuple[str, Mutant]]:
    """All mutants of the modules that are examined, with their modules, in an order that the seed decides.

    The first n of them are a random sample, whatever n is, and stay in it when other modules change.
    """
    modules = sorted({path for tests in TESTS for path in ROOT.glob(tests.modules)})
    names = [str(path.relative_to(ROOT)) for path in modules]
    found = [
        (name, mutant)
        for name in names
        if name not in LEFT_OUT
        for mutant in mutants_of((ROOT / name).read_text("utf-8"))
    ]
    return sorted(found, key=lambda each: hashlib.sha256(f"{SEED}:{each[0]}:{each[1].name}".encode()).digest())


def kept_results() -> dict[str, Result]:
    """Results of mutation.json, by key."""
    if not RESULTS.exists():
        return {}
    return {result.key: result for result in (Result(**row) for row in json.loads(RESULTS.read_text())["mutants"])}


def keep(results: dict[str, Result], size: int) -> None:
    """Write mutation.json."""
    rows = [asdict(results[key]) for key in sorted(results)]
    text = ",\n".join(json.dumps(row) for row in rows)
    beside = RESULTS.with_suffix(".new")
    beside.write_text(f'{{"seed": {SEED}, "population": {size}, "mutants": [\n{text}\n]}}\n', encoding="utf-8")
    beside.replace(RESULTS)


class Copy:
    """A copy of the checkout in which one module at a time is changed, and the servers that run its tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: dict[bool, subprocess.Popen[str]] = {}
        self.changes = 0
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for name in listed.stdout.decode().split("\0"):
            if name and (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)

    def run(self, tests: Tests, seconds: float) -> dict[str, Any]:
        """The server's answer; processor time is limited to `seconds`, the clock to eight times as much."""
        if tests.compiled not in self.servers:
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "HYPOTHESIS_PROFILE": "mutation"}
            environment.pop("NUMBA_DISABLE_JIT", None)
            if not tests.compiled:
                environment["NUMBA_DISABLE_JIT"] = "1"
            self.servers[tests.compiled] = subprocess.Popen(
                [sys.executable, "-P", ROOT / "benchmarks/mutation_server.py", self.folder, self.folder / "output.txt"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
        server = self.servers[tests.compiled]
        assert server.stdin is not None and server.stdout is not None
        job = {"tests": tests.arguments, "cpu_s": int(seconds) + 1, "wall_s": 8 * seconds}
        server.stdin.write(json.dumps(job) + "\n")
        server.stdin.flush()
        answer: dict[str, Any] = json.loads(server.stdout.readline())
        return answer

    def try_mutant(self, module: str, mutant: Mutant, seconds: float) -> Result:
        """Change the module, run its tests, and put it back."""
        path = self.folder / module
        shutil.copy2(path, self.folder / "unchanged")
        path.write_text(mutant.applied_to(path.read_text("utf-8")), encoding="utf-8")
        # Python knows a module's compiled file by time and length, and many changes keep the length.
        self.changes += 1
        os.utime(path, (self.changes, self.changes))
        answer = self.run(concerned(module), seconds)
        shutil.copy2(self.folder / "unchanged", path)
        outcome = "stopped" if answer["code"] is None else "failed" if answer["code"] else "lived"
        failed = [line.split()[1] for line in answer["said"].splitlines() if line.startswith(("FAILED ", "ERROR "))]
        if outcome == "failed" and not failed:
            failed = [f"exit code {answer['code']}"]
        return Result(
            module=module,
            name=mutant.name,
            operator=mutant.operator,
            line=mutant.line,
            outcome=outcome,
            noticed_by=failed[0] if failed else "",
            module_digest=digest_of(module),
        )

    def close(self) -> None:
        """End the servers."""
        for server in self.servers.values():
            if server.stdin is not None:
                server.stdin.close()
            server.wait()


def run_mutants(wanted: list[tuple[str, Mutant]], results: dict[str, Result], size: int, options: Any) -> None:
    """Run mutants on `options.jobs` copies until all are done or the time is over; results are kept as they come."""
    jobs: queue.SimpleQueue[tuple[str, Mutant]] = queue.SimpleQueue()
    for job in wanted:
        jobs.put(job)
    ends = time.monotonic() + 60 * options.minutes
    lock = threading.Lock()
    baselines: dict[tuple[str, ...], float] = {}
    tests_locks = {tuple(tests.arguments): threading.Lock() for tests in TESTS}

    def allowed_seconds(copy: Copy, tests: Tests) -> float:
        key = tuple(tests.arguments)
        with tests_locks[key]:
            if key not in baselines:
                answer = copy.run(tests, 600)
                if answer["code"] != 0:
                    raise RuntimeError(f"{tests.modules}: got failing tests, expected passing ones: {answer['said']}")
                baselines[key] = answer["cpu_s"]
                print(f"{answer['cpu_s']:6.1f} s unchanged: {' '.join(tests.arguments)}", flush=True)
        return ALLOWED_S + ALLOWED_TIMES * baselines[key]

    def work(folder: Path) -> None:
        copy = Copy(folder)
        try:
            while time.monotonic() < ends and not jobs.empty():
                module, mutant = jobs.get()
                began = time.monotonic()
                result = copy.try_mutant(module, mutant, allowed_seconds(copy, concerned(module)))
                with lock:
                    results[result.key] = result
                    keep(results, size)
                    print(f"{time.monotonic() - began:6.1f} s {result.outcome:8}{result.key[:150]}", flush=True)
        finally:
            copy.close()

    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        threads = [threading.Thread(target=work, args=(Path(scratch) / str(n),)) for n in range(options.jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def show(name: str, mutants: list[tuple[str, Mutant]]) -> None:
    """Print the change of each mutant whose module and change contain `name`."""
    for module, mutant in mutants:
        if name in f"{module}:{mutant.name}":
            text = (ROOT / module).read_text("utf-8")
            changed = mutant.applied_to(text).splitlines()
            lines = difflib.unified_diff(text.splitlines(), changed, module, module, lineterm="")
            print(f"{module}:{mutant.name}", *lines, sep="\n")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=1000, help="mutants in the sample")
    parser.add_argument("--modules", default="*", help="only mutants of modules whose path has this pattern")
    parser.add_argument("--minutes", type=float, default=30, help="none is begun later")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants at a time")
    parser.add_argument("--again", action="store_true", help="only gaps, and those whose module has changed")
    parser.add_argument("--show", metavar="NAME", help="print changes whose name contains this")
    parser.add_argument("--update", action="store_true", help="write the section of docs/reliability.md")
    options = parser.parse_args()
    if options.update:
        from benchmarks.mutation_page import update

        update()
        return
    mutants = population()
    if options.show is not None:
        show(options.show, mutants)
        return
    results = kept_results()
    sample = mutants[: options.sample]
    keys = {f"{module}:{mutant.name}" for module, mutant in sample}
    results = {key: result for key, result in results.items() if key in keys}
    explained = json.loads(REVIEWED.read_text(encoding="utf-8"))
    wanted = []
    for module, mutant in sample:
        if not fnmatch(module, options.modules):
            continue
        found = results.get(f"{module}:{mutant.name}")
        if options.again:
            gap = found and found.outcome == "lived" and found.key not in explained
            if found and (gap or found.module_digest != digest_of(module)):
                wanted.append((module, mutant))
        elif found is None:
            wanted.append((module, mutant))
    run_mutants(wanted, results, len(mutants), options)


if __name__ == "__main__":
    main()
