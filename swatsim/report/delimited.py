"""A report as comma-separated values: every column of every record."""

from __future__ import annotations

import csv
import io

from swatsim.report.records import COLUMNS
from swatsim.report.report import Report


def to_csv(report: Report) -> str:
    """Write a header and one line per record; what has no value is empty."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(record.as_dict() for record in report.records)
    return text.getvalue()
