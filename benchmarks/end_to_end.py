"""Commands as a user starts them, each a process of its own, with what they may take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.workload import ROOT

PROGRAM = Path(sysconfig.get_path("scripts")) / "swatsim"
IMAGE = "IMAGE"  # stands for a trace of one image of the main job's
# A process that a large one starts is charged with its memory: only a small one can measure.
MEASURE = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
wall, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
peak_bytes = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"wall_seconds": wall, "cpu_seconds": used.ru_utime + used.ru_stime, "peak_bytes": peak_bytes}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What one process took."""

    wall_seconds: float
    cpu_seconds: float  # of all its threads
    peak_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command, its goals on two cores, and the one that shows what it takes to start."""

    name: str
    arguments: Sequence[str]
    goal_wall_seconds: float
    goal_peak_bytes: int = 600_000_000
    goal_cpu_seconds: float | None = None  # beyond those of `start_up`
    start_up: Sequence[str] | None = None  # the same machine with the smallest layer
    rounds: int = 7
    empty_cache: bool = False  # nothing is compiled yet


def machine_command(machine: str, goal_wall_seconds: float, goal_cpu_seconds: float | None = None) -> Command:
    arguments = ("run", "--arch", str(ROOT / "arch" / f"{machine}.yaml"), "--trace", IMAGE)
    return Command(
        name=machine, arguments=arguments, goal_wall_seconds=goal_wall_seconds, goal_cpu_seconds=goal_cpu_seconds,
        start_up=(*arguments, "--layers", "fc"),
    )  # fmt: skip


COMMANDS = (
    Command(name="--help", arguments=("--help",), goal_wall_seconds=0.1, rounds=20),
    *(machine_command(name, 1.5, 0.6) for name in ("dadiannao", "tensordash", "bit-tactical", "cnvlutin")),
    machine_command("cambricon-x", 1.5, 0.6),
    machine_command("sparten", 1.5),
    machine_command("scnn", 10),
    Command(
        name="dadiannao, first run ever", arguments=("run", "--arch", "dadiannao", "--trace", IMAGE),
        goal_wall_seconds=15, rounds=3, empty_cache=True,
    ),
)  # fmt: skip


def measured(arguments: Sequence[str], **environment: str) -> Taken:
    """Run `swatsim` with these arguments, and with these variables besides."""
    # As where it is installed: without bytecode each process would compile every module anew.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    found = subprocess.run(
        [sys.executable, "-S", "-c", MEASURE, str(PROGRAM), *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, env=kept | environment,
    ).stdout  # fmt: skip
    values: dict[str, Any] = json.loads(found)
    return Taken(**values)
