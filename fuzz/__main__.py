"""Fuzz the readers: `python -m fuzz [TARGET...] [--executions N] [--seconds S] [--record]`.

Needs Linux and, for the targets that libFuzzer leads, `pip install atheris` (Python 3.11 to 3.13). Inputs that a reader
does not stand are kept in fuzz/found; `python -m fuzz TARGET --replay FILE` runs one again. `--record` adds the counts
to fuzz/executions.json, of which `python -m docs.generate` makes docs/reliability.md.
"""

from __future__ import annotations

import argparse
import fcntl
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fuzz.one_target import empty_counts, read_counts
from fuzz.targets import TARGETS
from swatsim.files import write_file

FOLDER = Path(__file__).parent
EXECUTIONS = FOLDER / "executions.json"
FOUND = FOLDER / "found"
_EDGES = re.compile(rb"cov: (\d+) ")
_MOST_KEPT_BYTES = 40_000  # of the corpus of a target


def main() -> int:
    """Run the targets one after another; exits with 1 where one found something."""
    options = _options()
    names = options.targets or list(TARGETS)
    failed = False
    for name in names:
        target = TARGETS[name]
        needs = target.needs or ("atheris" if target.make is None else None)
        if needs is not None and importlib.util.find_spec(needs) is None and not options.replay:
            print(f"{name}: not run: got no {needs}, expected it installed", flush=True)
            failed = failed or bool(options.targets)
            continue
        result = _run(name, options)
        failed |= result["found"]
        print(f"{name}: {json.dumps(result)}", flush=True)
        if options.record and not result["found"]:
            _record(name, result)
    return int(failed)


def _options() -> Any:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Hostile input for the readers.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"some of {', '.join(TARGETS)}; by default all")
    parser.add_argument("--executions", type=int, default=10_000, help="of each target, at most")
    parser.add_argument("--seconds", type=int, default=600, help="of each target, at most")
    parser.add_argument("--first", type=int, help="number of the first input that is made, and libFuzzer's seed")
    parser.add_argument("--record", action="store_true", help="add the counts to fuzz/executions.json")
    parser.add_argument("--keep", action="store_true", help="add small inputs that reach new branches to the corpus")
    parser.add_argument("--replay", metavar="FILE", help="run this input alone")
    options = parser.parse_args()
    unknown = [name for name in options.targets if name not in TARGETS]
    if unknown:
        parser.error(f"TARGET: got {unknown[0]!r}, expected one of {', '.join(TARGETS)}")
    return options


def _run(name: str, options: Any) -> dict[str, Any]:
    """Counts of one target, and whether it found something."""
    with tempfile.TemporaryDirectory() as scratch:
        counts, artifacts = Path(scratch, "counts"), Path(scratch, "found")
        artifacts.mkdir()
        empty_counts(counts)
        engine = "atheris" if TARGETS[name].make is None else "made"
        command = [
            sys.executable, "-m", "fuzz.one_target", name, str(counts), str(artifacts), str(options.executions),
            str(options.seconds), engine, str(_first(name, options)), *([options.replay] if options.replay else []),
        ]  # fmt: skip
        # Many threads would map much memory of their own: those of a numerical library, and those that fetch a trace.
        environment = {
            **os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1",
        }  # fmt: skip
        done = subprocess.run(command, cwd=FOLDER.parent, env=environment, capture_output=True, check=False)
        executions, values = read_counts(counts)
        if done.returncode:
            # The traceback: atheris writes it to standard output.
            sys.stderr.write(
                (done.stdout if b"Traceback" in done.stdout else done.stderr).decode("utf-8", "replace")[-3000:]
            )
            for each in artifacts.iterdir():
                (FOUND / name).mkdir(parents=True, exist_ok=True)
                shutil.copy(each, FOUND / name / each.name)
                print(f"{name}: kept {FOUND / name / each.name}")
        elif options.keep:
            _keep(name, Path(scratch, "new"))
    edges = _EDGES.findall(done.stderr)
    return {
        "executions": executions, "values": values, "edges": int(edges[-1]) if edges else None,
        "found": bool(done.returncode),
    }  # fmt: skip


def _first(name: str, options: Any) -> int:
    """Where the recorded executions of a target ended: a made input is not made twice, and libFuzzer draws others."""
    if options.first is not None:
        return int(options.first)
    return int(_recorded()["targets"].get(name, {}).get("executions", 0))


def _keep(name: str, new: Path) -> None:
    folder = FOLDER / "corpus" / name
    kept = sum(path.stat().st_size for path in folder.iterdir())
    for path in sorted(new.iterdir() if new.is_dir() else (), key=lambda path: (path.stat().st_size, path.name)):
        kept += path.stat().st_size
        if kept > _MOST_KEPT_BYTES:
            break
        shutil.copy(path, folder / path.name)


def _recorded() -> dict[str, Any]:
    if not EXECUTIONS.exists():
        return {"targets": {}}
    found: dict[str, Any] = json.loads(EXECUTIONS.read_text(encoding="utf-8"))
    return found


def _record(name: str, result: dict[str, Any]) -> None:
    with (FOLDER / "__init__.py").open("rb") as lock:  # two commands may record at a time
        fcntl.flock(lock, fcntl.LOCK_EX)
        _record_alone(name, result)


def _record_alone(name: str, result: dict[str, Any]) -> None:
    recorded = _recorded()
    before = recorded["targets"].get(name, {"executions": 0, "values": 0})
    recorded["targets"][name] = {
        "executions": before["executions"] + result["executions"], "values": before["values"] + result["values"],
        "edges": result["edges"], "date": datetime.now(UTC).date().isoformat(), "python": platform.python_version(),
    }  # fmt: skip
    recorded["targets"] = {each: recorded["targets"][each] for each in TARGETS if each in recorded["targets"]}
    write_file(EXECUTIONS, (json.dumps(recorded, indent=1) + "\n").encode())


if __name__ == "__main__":
    sys.exit(main())
