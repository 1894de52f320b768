"""The main job and `--help` as a user starts them: a process each, warm, median of five."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from benchmarks.workload import MAIN_ARCHITECTURE, MAIN_TRACE

PROGRAM = Path(sysconfig.get_path("scripts")) / "swatsim"
# A process that a large one starts is charged with its memory: only a small one can measure.
MEASURE = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
MEASURE += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == 'darwin' else 1024))"


def run(*command: str) -> str:
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("name", "arguments", "goal_seconds", "goal_bytes"),
    [
        ("main job", ["run", "--arch", MAIN_ARCHITECTURE, "--trace", MAIN_TRACE], 5.0, 10**9),
        ("--help", ["--help"], 0.15, 10**8),
    ],
    ids=["main_job", "help"],
)
def test_command(benchmark: Any, name: str, arguments: list[object], goal_seconds: float, goal_bytes: int) -> None:
    if "--trace" in arguments and not MAIN_TRACE.exists():
        pytest.skip(f"{MAIN_TRACE} is not there")
    command = [str(PROGRAM), *map(str, arguments)]
    benchmark.pedantic(lambda: run(*command), rounds=5, warmup_rounds=1)
    peak_bytes = int(run(sys.executable, "-S", "-c", MEASURE, *command))
    benchmark.extra_info.update(name=name, goal_seconds=goal_seconds, peak_bytes=peak_bytes, goal_bytes=goal_bytes)
