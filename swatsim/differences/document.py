"""Differences as JSON and as comma-separated values."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from swatsim.differences.checking import Finding
from swatsim.differences.finding import Change, Differences, Place

FORMAT, CHECK_FORMAT, VERSION = "swatsim-differences", "swatsim-check", 1
_COLUMNS = ("layer", "pass", "is_total", "column", "before", "after", "ratio")


def to_json(found: Differences, names: tuple[str, str], changes: Iterable[Change]) -> str:
    """All settings, rows and columns that differ, and these changes; the same input gives the same bytes."""
    return _text({"format": FORMAT, "version": VERSION, **_differences(found, names, changes)})


def check_json(found: Finding, names: tuple[str, str]) -> str:
    """The same of a check: whether it passed, and the changes that are too much."""
    return _text({
        "format": CHECK_FORMAT, "version": VERSION, "passed": found.passed, "columns": list(found.columns),
        "tolerance": str(found.tolerance), **_differences(found.differences, names, found.changes),
    })  # fmt: skip


def to_csv(changes: Iterable[Change]) -> str:
    """A header, and a line per change; what has no value is empty."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_change, changes))
    return text.getvalue()


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _differences(found: Differences, names: tuple[str, str], changes: Iterable[Change]) -> dict[str, Any]:
    return {
        "before": names[0],
        "after": names[1],
        "settings": [setting._asdict() for setting in found.settings],
        "rows_compared": found.compared,
        "rows_only_before": list(map(_place, found.only_before)),
        "rows_only_after": list(map(_place, found.only_after)),
        "columns_only_before": list(found.columns_only_before),
        "columns_only_after": list(found.columns_only_after),
        "changes": list(map(_change, changes)),
    }


def _place(place: Place) -> dict[str, Any]:
    return {"layer": place.layer, "pass": place.pass_name, "is_total": place.is_total}


def _change(change: Change) -> dict[str, Any]:
    values = {"column": change.column, "before": change.before, "after": change.after, "ratio": change.ratio}
    return _place(change.place) | values
