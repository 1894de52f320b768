"""A report as comma-separated values: every column of every record."""

from __future__ import annotations

import csv
import io

from swatsim.report.report import Report


def to_csv(report: Report) -> str:
    """Write a header and one line per record; what has no value is empty.

    That a trace is synthetic is said in a last column, which no other trace has.
    """
    text = io.StringIO(newline="")
    source = {"trace_source": "synthetic"} if report.synthetic else {}
    rows = [{**record.as_dict(), **source} for record in report.records]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
