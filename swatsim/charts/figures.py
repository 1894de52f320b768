"""The figures that a document has, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from swatsim.charts import comparisons, energy, explorations, memory, shape, sweeps, time
from swatsim.charts.model import Chart
from swatsim.charts.run_rows import Run
from swatsim.errors import SwatsimError

FIGURES = ("speedup", "cycles", "traffic", "energy", "roofline", "density", "pareto")
Document = Mapping[str, Any]
Maker = Callable[[Document], Chart]


def _of_run(make: Callable[[Run], Chart]) -> Maker:
    return lambda document: make(Run.of(document))


def _of_sweep(metric: str) -> Maker:
    return lambda document: sweeps.chart(document, metric)


# By format of the document, then by figure.
_MAKERS: dict[str, dict[str, Maker]] = {
    "swatsim-report": {
        "speedup": _of_run(time.speedup), "cycles": _of_run(time.cycles), "traffic": _of_run(memory.traffic),
        "energy": _of_run(energy.energy_by_part), "roofline": _of_run(shape.roofline),
        "density": _of_run(shape.density),
    },
    "swatsim-comparison": {
        "speedup": comparisons.speedup, "cycles": comparisons.cycles, "traffic": comparisons.traffic,
        "energy": comparisons.energy,
    },
    "swatsim-sweep": {metric: _of_sweep(metric) for metric in sweeps.METRICS},
    "swatsim-exploration": {"pareto": explorations.pareto},
}  # fmt: skip


def figure(document: Document, name: str | None = None) -> Chart:
    """The chart of this name, or the first that there is.

    Raises SwatsimError where the document has no such figure, or nothing to show in it.
    """
    known = _MAKERS[document["format"]]
    if name is None:
        name = next(iter(known))
    if name not in known:
        raise SwatsimError(
            f"figure: got {name!r}, expected one of {', '.join(known)}, which a {document['format']} has"
        )
    return known[name](document)
