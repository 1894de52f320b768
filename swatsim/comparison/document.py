"""A comparison as JSON and as comma-separated values."""

from __future__ import annotations

import json
from typing import Any

from swatsim.comparison.notes import notes
from swatsim.comparison.result import Comparison, Contender
from swatsim.report.delimited import csv_text
from swatsim.saved import schema_id

FORMAT, VERSION = "swatsim-comparison", 1


def to_json(comparison: Comparison, by: str) -> str:
    """Write the machines, the trace, every row and what was done; the same input gives the same bytes."""
    report = comparison.baseline.report
    document = {
        "$schema": schema_id(FORMAT, VERSION),
        "format": FORMAT,
        "version": VERSION,
        "swatsim": report.swatsim_version,
        **({} if comparison.command is None else {"command": list(comparison.command)}),
        "trace": report.trace,
        "layers": comparison.layers,
        "objective": comparison.objective,
        "normalize": comparison.normalize,
        "by": by,
        "notes": list(notes(comparison, by)),
        "baseline": _machine(comparison.baseline),
        "machines": [_machine(machine) for machine in comparison.machines],
        "rows": comparison.records,
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def to_csv(comparison: Comparison) -> str:
    """Write a header and one line per machine and pass; what has no value is empty."""
    return csv_text(comparison.records, synthetic=comparison.baseline.report.synthetic)


def _machine(machine: Contender) -> dict[str, Any]:
    return {
        "name": machine.name,
        "not_normalized": machine.scale.reason or None,
        "architecture": machine.report.architecture,
    }
