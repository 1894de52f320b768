"""One target in this process: `python -m fuzz.one_target NAME COUNTS FOUND EXECUTIONS SECONDS ENGINE FIRST [INPUT...]`.

COUNTS is a file of integers that the parent reads, whatever becomes of this process. With INPUT it runs these alone.
"""

from __future__ import annotations

import importlib
import mmap
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from fuzz.judging import TIME_LIMIT_S, limit_memory, time_limit

if TYPE_CHECKING:  # imported only after libFuzzer has its hooks in it
    from fuzz.targets import Target

# What libFuzzer counts branches of; kernels are compiled by numba, which must see them as they are.
_INSTRUMENTED = [
    f"swatsim.{name}"
    for name in (
        "architecture", "arguments", "budgets", "keys", "layer", "report.restoring", "saved", "sources",
        "sweeping.store", "trace",
    )
]  # fmt: skip
_COUNTS = struct.Struct("<QQ")  # executions, and those that gave a value
MOST_INPUT_BYTES = 32_768


class Counts:
    """Counts that outlive the process."""

    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:  # noqa: PTH123  mmap needs the file's number
            self.memory = mmap.mmap(file.fileno(), _COUNTS.size)
        self.executions, self.values = 0, 0

    def add(self, *, value: bool) -> None:
        """One more execution."""
        self.executions += 1
        self.values += value
        _COUNTS.pack_into(self.memory, 0, self.executions, self.values)


def read_counts(path: Path) -> tuple[int, int]:
    """Executions, and those that gave a value."""
    executions, values = _COUNTS.unpack(path.read_bytes())
    return executions, values


def empty_counts(path: Path) -> None:
    """A file of zeros."""
    path.write_bytes(bytes(_COUNTS.size))


def main(arguments: list[str]) -> int:
    """Run the target; what it finds ends the process with a traceback."""
    name, counts_path, artifacts, executions, seconds, engine, first, *inputs = arguments
    counts, folder = Counts(counts_path), Path(artifacts)
    led = engine == "atheris" and not inputs
    with importlib.import_module("atheris").instrument_imports(include=_INSTRUMENTED) if led else nullcontext():
        target: Target = importlib.import_module("fuzz.targets").TARGETS[name]
    if target.needs is not None:
        importlib.import_module(target.needs)
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as workspace:

        def run(data: bytes) -> None:
            counts.add(value=target.run(data, Path(workspace)))

        if not inputs:
            limit_memory(target.memory_limit_bytes)
        if led:
            _run_led(name, run, folder, (int(executions), int(seconds), int(first)))
        elif inputs:
            for path in inputs:
                run(Path(path).read_bytes())
        else:
            _run_made(target, run, folder, (int(executions), int(seconds), int(first)))
    return 0


def _run_led(name: str, run: Callable[[bytes], None], artifacts: Path, limits: tuple[int, int, int]) -> None:
    """By libFuzzer, which ends the process."""
    executions, seconds, first = limits
    new = artifacts.parent / "new"
    new.mkdir()
    atheris = importlib.import_module("atheris")
    atheris.Setup(
        [
            "fuzz", f"-runs={executions}", f"-max_total_time={seconds}", f"-seed={1 + first}",
            f"-timeout={TIME_LIMIT_S}", f"-max_len={MOST_INPUT_BYTES}", f"-artifact_prefix={artifacts}/",
            "-rss_limit_mb=0", str(new), str(Path(__file__).parent / "corpus" / name),
        ],
        run,
    )  # fmt: skip
    atheris.Fuzz()


def _run_made(target: Target, run: Callable[[bytes], None], artifacts: Path, limits: tuple[int, int, int]) -> None:
    executions, seconds, first = limits
    assert target.make is not None
    end = time.monotonic() + seconds
    for number in range(first, first + executions):
        data = target.make(number)
        try:
            with time_limit():
                run(data)
        except BaseException:
            (artifacts / f"input-{number}").write_bytes(data)
            raise
        if time.monotonic() > end:
            break


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
