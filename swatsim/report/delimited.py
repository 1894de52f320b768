"""A report as comma-separated values: every column of every record."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from swatsim.plain_text import encodable
from swatsim.report.report import Report


def to_csv(report: Report) -> str:
    """Write a header and one line per record; what has no value is empty."""
    return csv_text([record.as_dict() for record in report.records], synthetic=report.synthetic)


def csv_text(rows: Sequence[Mapping[str, object]], *, synthetic: bool) -> str:
    """Rows of equal keys, at least one, as lines behind a header.

    That a trace is synthetic is said in a last column, which no other trace has.
    """
    text = io.StringIO(newline="")
    source = {"trace_source": "synthetic"} if synthetic else {}
    writer = csv.DictWriter(text, [*rows[0], *source], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, **source} for row in rows)
    return encodable(text.getvalue())
