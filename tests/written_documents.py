"""Documents of a run, a comparison and a sweep of a small trace, made once."""

from __future__ import annotations

import functools
import json

from saved_documents import small_exploration
from trace_files import small_graph, small_layers

import swatsim
from swatsim.comparison.document import to_json as comparison_json
from swatsim.report.document import to_json


def small():
    return swatsim.Trace("small", small_layers(), graph=small_graph())


@functools.cache
def report_text(machine="dadiannao", **options):
    """The JSON of a run."""
    return to_json(swatsim.simulate(swatsim.load_architecture(machine), small(), workers=1, **options))


@functools.cache
def comparison_text():
    machines = {name: swatsim.load_architecture(name) for name in ("dadiannao", "systolic")}
    return comparison_json(swatsim.compare(machines, small(), normalize="area", workers=1), "cycles")


@functools.cache
def sweep_text():
    """A sweep of one point that worked and one that did not."""
    report = json.loads(report_text())
    point = {
        "key": "0123456789abcdef", "parameters": {"tile.rows": 4, "trace": "small", "arch": "dadiannao"},
        "architecture": {"name": "DaDianNao", "digest": "a" * 64},
        "trace": {"name": "small", "digest": None, "synthetic": False},
        "totals": [row for row in report["rows"] if row["layer"] == "total"], "error": None,
    }  # fmt: skip
    failed = {**point, "key": "0" * 64, "totals": None, "error": "mapping: got a layer that fits no buffer"}
    return json.dumps({
        "$schema": "urn:swatsim-sweep:1", "format": "swatsim-sweep", "version": 1, "swatsim": "0.1.0",
        "command": ["swatsim", "sweep"], "grid": {"tile.rows": [4]}, "points": [point, failed],
    })  # fmt: skip


TEXTS = {
    "report": report_text,
    "comparison": comparison_text,
    "sweep": sweep_text,
    "exploration": lambda: small_exploration().to_json(),
}
