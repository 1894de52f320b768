"""The result of a simulation: rows, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from swatsim.passes import PASSES, STREAMING
from swatsim.report.records import Row
from swatsim.trace.records import is_synthetic

if TYPE_CHECKING:
    import pandas

    from swatsim.area import Area
    from swatsim.figures import Plots
    from swatsim.footprint import Footprint
    from swatsim.report.machine import Machine
    from swatsim.timeline import PlacedPass

_MOST_SHOWN = 12  # rows in a notebook where there are no totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Rows of every simulated layer and pass and of streaming work, then the totals.

    `architecture` is the whole machine as it was simulated, `trace` says which trace and how it was made.
    """

    swatsim_version: str
    architecture: Mapping[str, Any]
    trace: Mapping[str, Any]
    records: tuple[Row, ...]
    simulation: Mapping[str, Any] = field(default_factory=dict)  # objective and formats
    area: Area | None = None
    footprint: Footprint | None = None
    command: tuple[str, ...] | None = None  # that made it, without what does not change it
    timeline: tuple[PlacedPass, ...] | None = None  # passes in the order of the step, where they were kept

    @property
    def machine(self) -> Machine:
        """What the rows are measured against."""
        return self.records[0].machine

    @property
    def synthetic(self) -> bool:
        """Whether nobody trained what was simulated: its masks were drawn."""
        return is_synthetic(self.trace.get("provenance") or {})

    @property
    def sample(self) -> Mapping[str, Any] | None:
        """The `fraction`, `seed` and `confidence` of the sample that was simulated; None: everything was."""
        return self.simulation.get("sample")

    @property
    def trace_title(self) -> str:
        """The trace's name, marked where it is synthetic."""
        return f"{self.trace['name']} (synthetic)" if self.synthetic else str(self.trace["name"])

    @property
    def rows(self) -> pandas.DataFrame:
        """All records as a table: a row per layer and pass or stream, and total rows whose layer is `total`."""
        import pandas

        return pandas.DataFrame([record.as_dict() for record in self.records])

    def to_dataframe(self) -> pandas.DataFrame:
        """The same as `rows`."""
        return self.rows

    def _repr_html_(self) -> str:
        """The totals as a table, for notebooks."""
        from swatsim.report.notebook import view_html
        from swatsim.report.table import SYNTHETIC
        from swatsim.report.views import cycles_view

        view = cycles_view(self)
        shown = view.totals or view.lines[:_MOST_SHOWN]
        notes = [SYNTHETIC] if self.synthetic else []
        if not view.totals and len(view.lines) > len(shown):
            notes.insert(0, f"And {len(view.lines) - len(shown)} more rows: to_dataframe() has all of them.")
        return view_html(f"{self.architecture['name']}, trace {self.trace_title}", view, shown, notes)

    @property
    def plot(self) -> Plots:
        """Figures: `report.plot.speedup()` and so on (docs/figures.md); needs matplotlib."""
        import json

        from swatsim.figures import Plots
        from swatsim.report.document import to_json

        return Plots(lambda: json.loads(to_json(self)))

    @property
    def layer_records(self) -> tuple[Row, ...]:
        """The passes of the layers, without streaming work and totals."""
        return tuple(record for record in self.records if record.pass_name in PASSES and not record.is_total)

    @property
    def streaming_records(self) -> tuple[Row, ...]:
        """What a step does beside its convolutions."""
        return tuple(record for record in self.records if record.pass_name in STREAMING)

    @property
    def totals(self) -> tuple[Row, ...]:
        """The totals of what was simulated as a whole."""
        return tuple(record for record in self.records if record.is_total)

    def total(self, pass_name: str = "step") -> Row:
        """The total of forward, input_grad, weight_grad, backward, other (all streaming work) or step.

        Raises KeyError where that was not simulated as a whole.
        """
        for record in self.totals:
            if record.pass_name == pass_name:
                return record
        raise KeyError(pass_name)
