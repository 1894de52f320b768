"""Rates of the kernels, warm."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.kernel_runs import Run, runs


@pytest.mark.parametrize("run", [pytest.param(run, id=run.name) for run in runs()])
def test_kernel(benchmark: Any, run: Run) -> None:
    run.call(*run.arguments())  # compiles, or loads what was compiled before
    benchmark.extra_info.update(
        name=run.name, positions=run.positions, position=run.position, goal=run.goal_positions_per_second
    )
    benchmark.pedantic(run.call, setup=lambda: (run.arguments(), {}), rounds=20)
