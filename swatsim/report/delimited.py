"""A report as comma-separated values: every column of every record."""

from __future__ import annotations

import csv
import io

from swatsim.report.report import Report


def to_csv(report: Report) -> str:
    """Write a header and one line per record; what has no value is empty."""
    text = io.StringIO(newline="")
    rows = [record.as_dict() for record in report.records]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
