"""Rates of the kernels, warm, and the rooflines that they are compared with."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.kernel_runs import Run, call_all, runs
from benchmarks.rooflines import Roofline, memory_roofline, popcount_roofline

ROUNDS = 7


@pytest.mark.parametrize("roofline", [popcount_roofline(), memory_roofline()], ids=lambda each: each.name)
def test_roofline(benchmark: Any, roofline: Roofline) -> None:
    benchmark.extra_info.update(roofline=roofline.name, work=roofline.work)
    benchmark.pedantic(roofline.call, rounds=ROUNDS, warmup_rounds=1)


@pytest.mark.parametrize("run", [pytest.param(run, id=f"{run.machine}-{run.name}") for run in runs()])
def test_kernel(benchmark: Any, run: Run) -> None:
    call_all(run.arguments())  # copies may be of another layout than what they are copies of
    benchmark.extra_info.update(
        machine=run.machine, kernel=run.name, calls=len(run.calls), positions=run.positions, bytes=run.touched_bytes,
        goal=run.goal, roofline_goal=run.roofline_goal,
    )  # fmt: skip
    benchmark.pedantic(call_all, setup=lambda: ((run.arguments(),), {}), rounds=ROUNDS)
