"""A report as one JSON document, with what was simulated."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import product

from swatsim.area import Area
from swatsim.moves import DIRECTIONS, TENSORS, Move
from swatsim.report.columns import CAUSES
from swatsim.report.records import Row
from swatsim.report.report import Report
from swatsim.saved import schema_id

FORMAT = "swatsim-report"
VERSION = 2


def to_json(report: Report) -> str:
    """Write the machine, the trace and every record; the same input gives the same bytes."""
    document = {
        "$schema": schema_id(FORMAT, VERSION),
        "format": FORMAT,
        "version": VERSION,
        "swatsim": report.swatsim_version,
        **({} if report.command is None else {"command": list(report.command)}),
        "architecture": report.architecture,
        "trace": report.trace,
        "simulation": report.simulation,
        "rows": [record.as_dict() for record in report.records],
        "details": [detail(record) for record in report.records],
        "area": None if report.area is None else _area(report.area),
        "footprint": None if report.footprint is None else asdict(report.footprint),
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def to_html(report: Report) -> bytes:
    """The page that `swatsim report` makes of this document (docs/pages.md)."""
    from swatsim.pages.page import page_of

    return page_of(to_json(report))


def detail(row: Row) -> dict[str, object]:
    """What a row is made of and its columns do not show; of moves and stalls those that there are."""
    levels = row.machine.levels
    moves = {f"{level}_{way}_{tensor}": Move(level, way, tensor) for level, way, tensor in product(
        levels, DIRECTIONS, TENSORS
    )}  # fmt: skip
    return {
        "is_total": row.is_total,
        "unskippable_macs": row.unskippable_macs,
        "dense_moved_bytes": {
            name: count for name, move in moves.items() if (count := row.dense_moved_bytes.get(move, 0))
        },
        "dense_stall_cycles": {
            cause: count for cause in (*levels, *CAUSES) if (count := row.dense_stalls.get(cause, 0))
        },
    }


def _area(area: Area) -> dict[str, object]:
    return {
        "parts_mm2": dict(area.parts_mm2),
        "total_mm2": area.total_mm2,
        "uncounted": list(area.uncounted),
    }
