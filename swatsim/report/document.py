"""A report as one JSON document, with what was simulated."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from swatsim.area import Area
from swatsim.report.report import Report

FORMAT = "swatsim-report"
VERSION = 2


def to_json(report: Report) -> str:
    """Write the machine, the trace and every record; the same input gives the same bytes."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "swatsim": report.swatsim_version,
        **({} if report.command is None else {"command": list(report.command)}),
        "architecture": report.architecture,
        "trace": report.trace,
        "simulation": report.simulation,
        "rows": [record.as_dict() for record in report.records],
        "area": None if report.area is None else _area(report.area),
        "footprint": None if report.footprint is None else asdict(report.footprint),
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def to_html(report: Report) -> bytes:
    """The page that `swatsim report` makes of this document (docs/pages.md)."""
    from swatsim.pages.page import to_page

    text = to_json(report)
    return to_page(json.loads(text), hashlib.sha256(text.encode()).hexdigest())


def _area(area: Area) -> dict[str, object]:
    return {
        "parts_mm2": dict(area.parts_mm2),
        "total_mm2": area.total_mm2,
        "uncounted": list(area.uncounted),
    }
