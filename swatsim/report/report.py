"""The result of a simulation: rows, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from swatsim.report.records import COLUMNS, TOTAL, Row

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Rows of every simulated layer and pass, then the totals.

    `architecture` is the whole machine as it was simulated, `trace` says which trace and how it was made.
    """

    swatsim_version: str
    architecture: Mapping[str, Any]
    trace: Mapping[str, Any]
    records: tuple[Row, ...]

    @property
    def rows(self) -> pandas.DataFrame:
        """All records as a table: a row per layer and pass, and total rows whose layer is `total`."""
        import pandas

        return pandas.DataFrame([record.as_dict() for record in self.records], columns=list(COLUMNS))

    @property
    def layer_records(self) -> tuple[Row, ...]:
        """The records without the totals."""
        return tuple(record for record in self.records if record.layer != TOTAL)

    def total(self, pass_name: str = "step") -> Row:
        """The total of a pass: forward, input_grad, weight_grad, backward or step; KeyError if none was simulated."""
        for record in self.records:
            if record.layer == TOTAL and record.pass_name == pass_name:
                return record
        raise KeyError(pass_name)
