"""One target in this process: `python -m fuzz.one_target NAME COUNTS FOLDER EXECUTIONS SECONDS FIRST [INPUTS...]`.

COUNTS is a file of integers that the parent reads, whatever becomes of this process. With INPUTS it runs these alone.
"""

from __future__ import annotations

import importlib
import mmap
import struct
import sys
import tempfile
import time
from pathlib import Path

from fuzz.judging import TIME_LIMIT_S, limit_memory, time_limit

# What libFuzzer counts branches of; kernels are compiled by numba, which must see them as they are.
_INSTRUMENTED = [
    f"swatsim.{name}"
    for name in ("architecture", "keys", "layer", "report.restoring", "saved", "sources", "sweeping.store", "trace")
]
_COUNTS = struct.Struct("<QQ")  # executions, and those that gave a value
_MOST_INPUT_BYTES = 16_384


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
    name, counts_path, found_folder, executions, seconds, first, *inputs = arguments
    counts, folder = Counts(counts_path), Path(found_folder)
    engine_atheris = None
    if not inputs and first == "atheris":
        engine_atheris = importlib.import_module("atheris")
        with engine_atheris.instrument_imports(include=_INSTRUMENTED):
            targets = importlib.import_module("fuzz.targets")
    else:
        targets = importlib.import_module("fuzz.targets")
    target = targets.TARGETS[name]
    scratch = Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108
    with tempfile.TemporaryDirectory(dir=scratch) as workspace:
        work = Path(workspace)

        def run(data: bytes) -> None:
            counts.add(value=target.run(data, work))

        for path in inputs:
            run(Path(path).read_bytes())
        if inputs:
            return 0
        if target.needs is not None:
            importlib.import_module(target.needs)
        if engine_atheris is not None:
            corpus = folder.parent / "new"
            corpus.mkdir(exist_ok=True)
            shipped = Path(__file__).parent / "corpus" / name
            engine_atheris.Setup(
                [
                    "fuzz", f"-runs={executions}", f"-max_total_time={seconds}", f"-timeout={TIME_LIMIT_S}", "-seed=1",
                    f"-max_len={_MOST_INPUT_BYTES}", f"-artifact_prefix={folder}/", "-rss_limit_mb=0", "-print_final_stats=1",
                    str(corpus), str(shipped),
                ],
                run,
            )  # fmt: skip
            limit_memory(target.memory_limit_bytes)
            engine_atheris.Fuzz()
            return 0
        limit_memory(target.memory_limit_bytes)
        return _run_made(target, run, folder, (int(executions), int(seconds), int(first)))


def _run_made(target: object, run: object, folder: Path, limits: tuple[int, int, int]) -> int:
    executions, seconds, first = limits
    end = time.monotonic() + seconds
    for number in range(first, first + executions):
        data = target.make(number)  # type: ignore[attr-defined]
        try:
            with time_limit():
                run(data)  # type: ignore[operator]
        except BaseException:
            (folder / f"input-{number}").write_bytes(data)
            raise
        if time.monotonic() > end:
            break
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
