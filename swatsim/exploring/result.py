"""What an exploration found, as a table or a document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from swatsim.errors import SwatsimError
from swatsim.exploring.candidates import Space, Tried, front
from swatsim.plain_text import encodable_rows
from swatsim.report.delimited import csv_text
from swatsim.saved import schema_id
from swatsim.sweeping.machines import Machines
from swatsim.sweeping.result import flat
from swatsim.version import __version__

if TYPE_CHECKING:
    import pandas

    from swatsim.architecture import Architecture
    from swatsim.figures.plots import Plots

FORMAT, VERSION = "swatsim-exploration", 1


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """Machines that were tried: those of the files first, then in the order in which they were tried."""

    space: Space
    machines: Machines  # as they were when it began
    trials: int  # that were asked for
    seed: int | None  # None: all machines were tried
    tried: tuple[Tried, ...]
    traces: tuple[Mapping[str, Any], ...]  # path, name, digest and synthetic
    computed: int = 0  # simulations that were not kept before
    command: tuple[str, ...] | None = None

    @cached_property
    def on_front(self) -> tuple[bool, ...]:
        """For each machine that was tried, whether it is within all budgets and no other such one is better."""
        return tuple(front(self.space, self.tried))

    @property
    def front(self) -> tuple[Tried, ...]:
        """Those, by their objectives: of a single objective the best alone, and what equals it."""
        found = [tried for tried, best in zip(self.tried, self.on_front, strict=True) if best]
        return tuple(sorted(found, key=lambda tried: [tried.values[name] for name in self.space.objectives]))

    @property
    def best(self) -> Tried:
        """The first of these; raises SwatsimError where no machine is within the budgets."""
        if not self.front:
            raise SwatsimError(f"explore: got no machine within {self.budget_text}, expected at least one")
        return self.front[0]

    @property
    def architecture(self) -> Architecture:
        """The best machine; raises SwatsimError."""
        return self.machines.of(self.best.machine)

    @property
    def budget_text(self) -> str:
        """The budgets in words."""
        return ", ".join(f"{name} <= {most:g}" for name, most in self.space.budgets.items()) or "no budget"

    def rows(self) -> list[dict[str, Any]]:
        """A row for each machine: its parameters, its measures, and what it is."""
        keys = list(self.space.axes)
        return [
            {
                **{key: flat(tried.machine.get(key)) for key in keys},
                **{name: tried.values.get(name) for name in self.space.measures},
                "as_filed": tried.as_filed, "feasible": tried.feasible, "front": best, "refused": tried.refused,
            }
            for tried, best in zip(self.tried, self.on_front, strict=True)
        ]  # fmt: skip

    def to_dataframe(self) -> pandas.DataFrame:
        """The rows as a table."""
        import pandas

        return pandas.DataFrame(encodable_rows(self.rows()))

    def to_csv(self) -> str:
        """The rows as CSV."""
        return csv_text(self.rows(), synthetic=any(trace["synthetic"] for trace in self.traces))

    def to_json(self) -> str:
        """The document that `swatsim report` and `plot` read; the same exploration gives the same bytes."""
        document = {
            "$schema": schema_id(FORMAT, VERSION), "format": FORMAT, "version": VERSION, "swatsim": __version__,
            "command": None if self.command is None else list(self.command),
            "space": {key: list(values) for key, values in self.space.axes.items()},
            "traces": list(self.traces), "layers": self.space.layers, "mapping": self.space.mapping,
            "objectives": list(self.space.objectives), "budgets": dict(self.space.budgets),
            "trials": self.trials, "seed": self.seed,
            "tried": [
                {
                    "parameters": dict(tried.machine), "as_filed": tried.as_filed, "values": dict(tried.values),
                    "feasible": tried.feasible, "front": best, "refused": tried.refused,
                }
                for tried, best in zip(self.tried, self.on_front, strict=True)
            ],
        }  # fmt: skip
        return json.dumps(document, indent=1, allow_nan=False) + "\n"

    def to_yaml(self) -> bytes:
        """The best machine as an architecture file; raises SwatsimError where there is none."""
        import yaml

        text = yaml.safe_dump(self.architecture.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)
        return text.encode()

    @property
    def plot(self) -> Plots:
        """Figures: `plot("pareto")` (extra `plot`)."""
        from swatsim.figures.plots import Plots

        return Plots(lambda: json.loads(self.to_json()))

    def _repr_html_(self) -> str:
        return self.to_dataframe()._repr_html_()  # type: ignore[operator,no-any-return]
