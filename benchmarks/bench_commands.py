"""Whole commands, from the shell: wall time, processor time beyond start-up, and peak memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from benchmarks.end_to_end import COMMANDS, IMAGE, Command, Taken, measured
from benchmarks.workload import MAIN_TRACE


@pytest.fixture(scope="module")
def one_image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A trace of the first image of the main job's."""
    if not MAIN_TRACE.exists():
        pytest.skip(f"{MAIN_TRACE} is not there")
    path = str(tmp_path_factory.mktemp("traces") / "one-image")
    measured(["trace", "select", str(MAIN_TRACE), "--images", "0:1", "-o", path])
    return path


@pytest.mark.parametrize("command", [pytest.param(each, id=each.name) for each in COMMANDS])
def test_command(benchmark: Any, command: Command, one_image: str, tmp_path: Path) -> None:
    def with_trace(arguments: Sequence[str]) -> list[str]:
        return [one_image if each == IMAGE else each for each in arguments]

    taken: list[Taken] = []

    def run() -> None:
        empty = {"SWATSIM_CACHE_DIR": str(tmp_path / str(len(taken)))} if command.empty_cache else {}
        taken.append(measured(with_trace(command.arguments), **empty))

    if not command.empty_cache:
        run()
        taken.clear()
    # Its own times have the measuring process in them: those that count are noted beside.
    benchmark.pedantic(run, rounds=command.rounds)
    start_up = [measured(with_trace(command.start_up)) for _ in taken] if command.start_up else []
    cpu_seconds = median(each.cpu_seconds for each in taken)
    benchmark.extra_info.update(
        command=command.name,
        wall_seconds=median(each.wall_seconds for each in taken),
        cpu_seconds=cpu_seconds,
        beyond_seconds=cpu_seconds - median(each.cpu_seconds for each in start_up) if start_up else None,
        peak_bytes=max(each.peak_bytes for each in taken),
        goal_wall_seconds=command.goal_wall_seconds,
        goal_beyond_seconds=command.goal_cpu_seconds,
        goal_peak_bytes=command.goal_peak_bytes,
    )
