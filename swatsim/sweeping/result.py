"""The result of a sweep: its points in the order of the grid, as a table or a document."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swatsim.errors import SwatsimError
from swatsim.plain_text import encodable, encodable_rows
from swatsim.report.columns import DESCRIBED
from swatsim.saved import schema_id
from swatsim.version import __version__

if TYPE_CHECKING:
    import pandas

    from swatsim.figures import Plots

FORMAT, VERSION = "swatsim-sweep", 1
_MOST_SHOWN = 60
_REPORT_COLUMNS = frozenset(column.name for column in DESCRIBED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Points in the order of their grid; of a shard, its own."""

    grid: Mapping[str, Sequence[Any]]
    points: tuple[Mapping[str, Any], ...]  # documents: key, parameters, architecture, trace, totals, error
    computed: int = 0  # that were not there before
    command: tuple[str, ...] | None = None

    @property
    def failed(self) -> tuple[Mapping[str, Any], ...]:
        """Points that could not be simulated; each says why in `error`."""
        return tuple(point for point in self.points if point["error"] is not None)

    @property
    def synthetic(self) -> bool:
        """Whether a trace is."""
        return any(map(_synthetic, self.points))

    @property
    def varied(self) -> tuple[str, ...]:
        """Keys with more than one value."""
        return tuple(key for key, values in self.grid.items() if len(values) > 1)

    def rows(self) -> list[dict[str, Any]]:
        """A row for each total of each point: parameters, then the columns of a report's rows; errors have one row.

        Where a trace is synthetic, a column says which are.
        """
        found, marked = [], self.synthetic
        for point in self.points:
            given = {column_of(key): flat(value) for key, value in point["parameters"].items()}
            source = {"trace_source": "synthetic" if _synthetic(point) else None} if marked else {}
            head = {"key": point["key"], **given, "error": point["error"]}
            found += [{**head, **total, **source} for total in ([{}] if point["totals"] is None else point["totals"])]
        return found

    def to_dataframe(self) -> pandas.DataFrame:
        """The rows as a table."""
        import pandas

        return pandas.DataFrame(encodable_rows(self.rows()))

    def to_json(self) -> str:
        """The document that `swatsim report` and `plot` read; the same sweep gives the same bytes."""
        document = {
            "$schema": schema_id(FORMAT, VERSION), "format": FORMAT, "version": VERSION, "swatsim": __version__,
            "command": None if self.command is None else list(self.command),
            "grid": {key: list(values) for key, values in self.grid.items()}, "points": list(self.points),
        }  # fmt: skip
        return json.dumps(document, indent=1, allow_nan=False) + "\n"

    def to_csv(self) -> str:
        """The rows as CSV, with all columns that any of them has."""
        import csv

        rows = self.rows()
        names = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return encodable(text.getvalue())

    def to_parquet(self) -> bytes:
        """The rows as Parquet, parameters of several types as text; needs the extra `parquet`."""
        check_parquet()
        import pandas

        table, data = pandas.DataFrame(encodable_rows(self.rows())), io.BytesIO()
        for key in map(column_of, self.grid):
            if key in table and not _one_type(table[key]):
                table[key] = [None if value is None else str(value) for value in table[key]]
        table.to_parquet(data, index=False)
        return data.getvalue()

    @property
    def plot(self) -> Plots:
        """Figures: `sweep.plot.speedup()` and so on (docs/figures.md); needs matplotlib."""
        from swatsim.figures import Plots

        return Plots(lambda: json.loads(self.to_json()))

    def _repr_html_(self) -> str:
        """What the command prints as a table, for notebooks."""
        from swatsim.report.notebook import view_html
        from swatsim.sweeping.table import sweep_view

        view = sweep_view(self)
        more = len(view.lines) - _MOST_SHOWN
        cut = (f"And {more:,} more points: to_dataframe() has all of them.",) if more > 0 else ()
        return view_html(f"Sweep of {len(self.points):,} points", view, view.lines[:_MOST_SHOWN], (*cut, *view.notes))


def column_of(key: str) -> str:
    """The column of a parameter: a key of an architecture may be called like a column of reports."""
    return f"set.{key}" if key in _REPORT_COLUMNS else key


def _synthetic(point: Mapping[str, Any]) -> bool:
    return bool(point["trace"] and point["trace"]["synthetic"])


def check_parquet() -> None:
    """Refuse Parquet where the extra is not installed. Raises SwatsimError."""
    try:
        import pyarrow  # noqa: F401  pandas writes with it
    except ImportError:
        raise SwatsimError("Parquet needs pyarrow: pip install 'swatsim[parquet]'") from None


def _one_type(values: Iterable[object]) -> bool:
    """Whether a column of Parquet can hold them as they are: numbers of 64 bits, or all of one other type."""
    types = {
        float if type(value) is int and abs(value) < 1 << 63 else type(value) for value in values if value is not None
    }
    return len(types) < 2 and int not in types


def flat(value: object) -> object:
    """A value of a key as a cell of a table: lists and mappings are written out."""
    return value if isinstance(value, str | int | float | bool) or value is None else json.dumps(value)
