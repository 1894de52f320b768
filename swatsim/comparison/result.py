"""The result of a comparison: each machine at each pass, against one baseline and against its own dense machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from swatsim.comparison.normalization import Scale
from swatsim.plain_text import encodable_rows
from swatsim.report.records import OTHER, TOTALS, Row
from swatsim.report.report import Report

if TYPE_CHECKING:
    import pandas

    from swatsim.figures import Plots

CONVOLUTIONS = "passes"  # the three passes of every layer together, without streaming work
# Everything that may be compared, in the order in which it is listed.
COMPARED = tuple(
    name for total in TOTALS for name in ((CONVOLUTIONS, total) if total == OTHER else (total,))
)  # fmt: skip


class Measure(NamedTuple):
    """What is compared: cycles of a row, and of its dense machine."""

    cycles: Callable[[Row], int]
    dense: Callable[[Row], int]


MEASURES = {
    "cycles": Measure(lambda row: row.cycles, lambda row: row.dense_cycles),
    "compute": Measure(lambda row: row.compute_cycles, lambda row: row.dense_compute_cycles),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One machine: its simulation, and what makes its cycles comparable."""

    name: str  # as it was given
    report: Report
    scale: Scale
    totals: Mapping[str, Row]  # by what is compared; what was not simulated as a whole is missing

    @property
    def architecture_name(self) -> str:
        """What its file calls it."""
        return str(self.report.architecture["name"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One machine at one of COMPARED, with the baseline's row of the same name."""

    machine: Contender
    total: Row
    baseline: Row

    @property
    def factor(self) -> Fraction | None:
        """What cycles are multiplied by to be cycles of the baseline."""
        return self.machine.scale.factor

    def normalized(self, by: str) -> float | None:
        """Cycles as the baseline would count them; None where nobody can say."""
        return None if self.factor is None else float(MEASURES[by].cycles(self.total) * self.factor)

    def speedup(self, by: str) -> float | None:
        """Dense cycles of the baseline by normalized cycles; None without these, or where nothing takes time."""
        cycles = MEASURES[by].cycles(self.total)
        if self.factor is None or not cycles:
            return None
        return float(MEASURES[by].dense(self.baseline) / (cycles * self.factor))

    def own_speedup(self, by: str) -> float | None:
        """Dense cycles of the same machine by its cycles: what skipping saves it."""
        cycles = MEASURES[by].cycles(self.total)
        return MEASURES[by].dense(self.total) / cycles if cycles else None

    def utilization(self, by: str) -> float | None:
        """Share of the machine's multipliers and cycles that does what cannot be skipped."""
        offered = MEASURES[by].cycles(self.total) * self.total.machine.peak_macs_per_cycle
        return self.total.unskippable_macs / offered if offered else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Machines on one trace.

    `baseline` is only ever taken with skipping off; it need not be among the machines.
    """

    machines: tuple[Contender, ...]
    baseline: Contender
    normalize: str  # of NORMALIZATIONS
    layers: str  # pattern of layer names
    objective: str
    command: tuple[str, ...] | None = None  # that made it, without what does not change it

    @property
    def compared(self) -> tuple[str, ...]:
        """Those of COMPARED that the simulated layers have."""
        return tuple(self.baseline.totals)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Machine by machine, pass by pass."""
        return tuple(
            Entry(machine=machine, total=machine.totals[name], baseline=self.baseline.totals[name])
            for machine in self.machines
            for name in self.compared
        )

    @property
    def rows(self) -> pandas.DataFrame:
        """All entries as a table: a row per machine and pass, with the columns of docs/comparison.md."""
        import pandas

        return pandas.DataFrame(encodable_rows(self.records))

    def to_dataframe(self) -> pandas.DataFrame:
        """The same as `rows`."""
        return self.rows

    def _repr_html_(self) -> str:
        """Speedups over the baseline as a table, for notebooks."""
        from swatsim.comparison.notes import notes, title
        from swatsim.comparison.table import over_baseline
        from swatsim.report.notebook import view_html

        view = over_baseline(self, "cycles")
        return view_html(title(self), view, view.lines, notes(self, "cycles"))

    @property
    def plot(self) -> Plots:
        """Figures: `comparison.plot.speedup()` and so on (docs/figures.md); needs matplotlib."""
        import json

        from swatsim.comparison.document import to_json
        from swatsim.figures import Plots

        return Plots(lambda: json.loads(to_json(self, "cycles")))

    @property
    def records(self) -> list[dict[str, Any]]:
        """The same as plain values, in the order in which every output lists them."""
        from swatsim.comparison.columns import COLUMNS

        return [{column.name: column.read(entry) for column in COLUMNS} for entry in self.entries]

    def of(self, name: str) -> tuple[Entry, ...]:
        """The entries of one of `compared`, machine by machine."""
        return tuple(entry for entry in self.entries if entry.total.pass_name == name)

    def fastest_first(self, by: str = "cycles") -> Comparison:
        """The same, ordered by speedup over the baseline in the three passes; what has none comes last."""
        speedups = [entry.speedup(by) for entry in self.of(CONVOLUTIONS)]
        order = sorted(range(len(speedups)), key=lambda index: -(speedups[index] or 0.0))
        return replace(self, machines=tuple(self.machines[index] for index in order))
