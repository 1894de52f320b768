"""Where a step's time and energy go, with and without skipping: `python -m benchmarks.where [--trace DIR]`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import swatsim
from swatsim.energy import Energy
from swatsim.report import Report, Row
from swatsim.report.columns import CAUSES

PARTS = ("forward", "input_grad", "weight_grad", "other", "step")


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What one machine spends on one part of a step."""

    part: str
    machine: str  # dense or sparse
    cycles: int
    compute_cycles: int
    stalls: Mapping[str, int]  # by cause, in the order of a report
    energy: Energy
    clock_hz: int


def spent(report: Report) -> list[Spent]:
    """Part by part, the dense machine and then the one that skips."""
    found = []
    for record in report.totals:
        if record.pass_name in PARTS:
            found += [_of_dense(record), _of_sparse(record)]
    return found


def _of_sparse(record: Row) -> Spent:
    return Spent(
        part=record.pass_name, machine="sparse", cycles=record.cycles, compute_cycles=record.compute_cycles,
        stalls=_in_order(record, record.stalls), energy=record.energy, clock_hz=record.machine.clock_hz,
    )  # fmt: skip


def _of_dense(record: Row) -> Spent:
    return Spent(
        part=record.pass_name, machine="dense", cycles=record.dense_cycles, compute_cycles=record.dense_compute_cycles,
        stalls=_in_order(record, record.dense_stalls), energy=record.dense_energy, clock_hz=record.machine.clock_hz,
    )  # fmt: skip


def _in_order(record: Row, stalls: Mapping[str, int]) -> dict[str, int]:
    return {cause: stalls.get(cause, 0) for cause in (*record.machine.levels, *CAUSES)}


def time_table(items: Sequence[Spent]) -> str:
    """Thousands of cycles, and which share of them computes or waits for what."""
    causes = list(dict.fromkeys(cause for item in items for cause, cycles in item.stalls.items() if cycles))
    steps = {item.machine: item.cycles for item in items if item.part == "step"}
    rows = [
        [
            item.part, item.machine, f"{item.cycles / 1e3:,.0f}", _share(item.cycles, steps.get(item.machine, 0)),
            _share(item.compute_cycles, item.cycles),
            *(_share(item.stalls.get(cause, 0), item.cycles) for cause in causes),
        ]
        for item in items
    ]  # fmt: skip
    return _markdown(["", "machine", "thousand cycles", "of the step", "compute", *causes], rows)


def energy_table(items: Sequence[Spent]) -> str:
    """Microjoules at each level and in the multipliers, their sum with its band, and the power."""
    levels = list(items[0].energy.levels)
    rows = []
    for item in items:
        total = item.energy.total
        seconds = item.cycles / item.clock_hz
        rows.append([
            item.part, item.machine, *(_microjoules(item.energy.levels[level].value) for level in levels),
            _microjoules(item.energy.mac.value), _microjoules(total.value),
            f"{_microjoules(total.low)} to {_microjoules(total.high)}",
            f"{total.value * 1e-12 / seconds:.1f}" if seconds else "-",
        ])  # fmt: skip
    return _markdown(["", "machine", *levels, "MAC", "all, µJ", "low to high", "W"], rows)


def _microjoules(picojoules: float) -> str:
    return f"{picojoules / 1e6:,.0f}"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if part and whole else "-"


def _markdown(headings: list[str], rows: list[list[str]]) -> str:
    alignment = ["---", "---", *["---:"] * (len(headings) - 2)]
    lines = (headings, alignment, *rows)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace("|  |", "| |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    root = Path(__file__).parent.parent
    parser.add_argument("--trace", type=Path, default=root / "traces" / "resnet50")
    parser.add_argument("--arch", default="dadiannao")
    arguments = parser.parse_args()
    report = swatsim.simulate(swatsim.load_architecture(arguments.arch), swatsim.load_trace(arguments.trace))
    items = spent(report)
    print(time_table(items), energy_table(items), sep="\n", end="")


if __name__ == "__main__":
    main()
