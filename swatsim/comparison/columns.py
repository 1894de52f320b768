"""Every column of a comparison: name, unit, meaning, and how an entry is read. Outputs and docs are made of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from swatsim.comparison.result import MEASURES, Entry
from swatsim.report.columns import Value


class Column(NamedTuple):
    """One column."""

    name: str
    unit: str
    meaning: str
    read: Callable[[Entry], Value]
    whole: bool = True  # False: cycles that were multiplied by a factor are no whole number, and may be missing


def _area_mm2(entry: Entry) -> float | None:
    area = entry.machine.report.area
    return None if area is None or area.uncounted else area.total_mm2


COLUMNS = (
    Column("machine", "text", "file or name, as it was given", lambda entry: entry.machine.name),
    Column("architecture", "text", "`name` in its file", lambda entry: entry.machine.architecture_name),
    Column(
        "pass", "text",
        "`forward`, `input_grad`, `weight_grad`, `backward` (the two gradients), `passes` (all three), `other` "
        "(streaming work), `step` (everything)", lambda entry: entry.total.pass_name,
    ),
    Column(
        "speedup", "ratio", "`baseline_cycles` by `normalized_cycles`; nothing where the machine cannot be normalized",
        lambda entry: entry.speedup("cycles"),
    ),
    Column(
        "compute_speedup", "ratio", "`baseline_compute_cycles` by `normalized_compute_cycles`",
        lambda entry: entry.speedup("compute"),
    ),
    Column("own_speedup", "ratio", "`dense_cycles` by `cycles`", lambda entry: entry.own_speedup("cycles")),
    Column(
        "own_compute_speedup", "ratio", "`dense_compute_cycles` by `compute_cycles`",
        lambda entry: entry.own_speedup("compute"),
    ),
    Column("cycles", "cycles", "of the machine as it is, stalls included", lambda entry: entry.total.cycles),
    Column("compute_cycles", "cycles", "computation alone", lambda entry: entry.total.compute_cycles),
    Column("stall_cycles", "cycles", "`cycles` less `compute_cycles`", lambda entry: entry.total.stall_cycles),
    Column(
        "dense_cycles", "cycles", "of the same machine with skipping off and operands stored dense",
        lambda entry: entry.total.dense_cycles,
    ),
    Column(
        "dense_compute_cycles", "cycles", "`compute_cycles` of that machine",
        lambda entry: entry.total.dense_compute_cycles,
    ),
    Column(
        "ideal_cycles", "cycles", "what the machine cannot skip, packed perfectly on all its multipliers",
        lambda entry: entry.total.ideal_cycles,
    ),
    Column(
        "utilization", "ratio", "share of all multipliers and cycles that does what cannot be skipped",
        lambda entry: entry.utilization("cycles"),
    ),
    Column(
        "compute_utilization", "ratio", "the same of the compute cycles", lambda entry: entry.utilization("compute")
    ),
    Column("normalization_factor", "ratio", "what cycles are multiplied by to be cycles of the baseline",
           lambda entry: None if entry.factor is None else float(entry.factor)),
    Column(
        "normalized_cycles", "cycles", "`cycles` times `normalization_factor`",
        lambda entry: entry.normalized("cycles"), whole=False,
    ),
    Column(
        "normalized_compute_cycles", "cycles", "`compute_cycles` times `normalization_factor`",
        lambda entry: entry.normalized("compute"), whole=False,
    ),
    Column(
        "baseline_cycles", "cycles", "of the baseline with skipping off",
        lambda entry: MEASURES["cycles"].dense(entry.baseline),
    ),
    Column(
        "baseline_compute_cycles", "cycles", "computation of that machine alone",
        lambda entry: MEASURES["compute"].dense(entry.baseline),
    ),
    Column(
        "peak_macs_per_cycle", "MACs/cycle", "multipliers of the machine",
        lambda entry: entry.total.machine.peak_macs_per_cycle,
    ),
    Column("clock_hz", "Hz", "its own clock", lambda entry: entry.total.machine.clock_hz),
    Column(
        "seconds", "s", "`cycles` at its own clock", lambda entry: entry.total.cycles / entry.total.machine.clock_hz
    ),
    Column("area_mm2", "mm²", "its area; nothing where a part of it is not known", _area_mm2),
    Column("dram_bytes", "bytes", "read and written off chip", lambda entry: entry.total.dram_bytes),
    Column("energy_pj", "pJ", "all levels and multipliers", lambda entry: entry.total.energy.total.value),
    Column(
        "dense_energy_pj", "pJ", "the same of its own dense machine", lambda entry: entry.total.dense_energy.total.value
    ),
)  # fmt: skip
