"""A report as one JSON document, with what was simulated."""

from __future__ import annotations

import json

from swatsim.report.report import Report

FORMAT = "swatsim-report"
VERSION = 1


def to_json(report: Report) -> str:
    """Write the machine, the trace and every record; the same input gives the same bytes."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "swatsim": report.swatsim_version,
        "architecture": report.architecture,
        "trace": report.trace,
        "rows": [record.as_dict() for record in report.records],
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"
