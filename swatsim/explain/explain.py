"""Gather what explains the passes of a layer: their report, how the work is shared out, what one changed key gains."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from glob import escape

from swatsim.apart import Progress
from swatsim.architecture import Architecture
from swatsim.errors import SwatsimError
from swatsim.explain.trials import trials_of
from swatsim.explain.work import work_of
from swatsim.keys.problems import shown
from swatsim.layer import Layer
from swatsim.passes import PASSES
from swatsim.plain_text import printable
from swatsim.report import Report
from swatsim.report.explanation import Explanation, PassExplanation
from swatsim.simulation import simulate
from swatsim.trace import Trace

MOST_LAYERS = 8


def explain(
    architecture: Architecture,
    trace: Trace,
    layer: str,
    passes: Sequence[str] = PASSES,
    progress: Progress | None = None,
) -> Explanation:
    """Explain the passes of a layer, or of those whose names match a pattern.

    The figures are those of `simulate(architecture, trace, layers=layer, passes=passes)`. Advice is measured: the same
    is simulated again for each key that may help, with that key alone changed; `progress` is told how many of these are
    done, and of how many.

    Raises SwatsimError where no layer matches, more than MOST_LAYERS do, or the simulation is refused.
    """
    pattern = _pattern(trace, layer)

    def simulated(machine: Architecture) -> Report:
        return simulate(machine, trace, layers=pattern, passes=passes)

    report = simulated(architecture)
    rows = report.layer_records
    tried = trials_of(architecture, rows, simulated, progress)
    known = {spec.name: index for index, spec in enumerate(trace.specs)}
    loaded: Layer | None = None
    found = []
    for row, trials in zip(rows, tried, strict=True):
        if loaded is None or loaded.spec.name != row.layer:
            loaded = trace.layer(known[row.layer])
        found.append(PassExplanation(row=row, work=work_of(architecture, loaded, row), trials=trials))
    return Explanation(report=report, machine=architecture, passes=tuple(found))


def _pattern(trace: Trace, layer: str) -> str:
    names = [spec.name for spec in trace.specs]
    pattern = escape(layer) if layer in names else layer
    matching = [name for name in names if fnmatchcase(name, pattern)]
    if len(matching) > MOST_LAYERS:
        raise SwatsimError(
            f"layer: got {shown(layer)}, which matches {len(matching)} layers, expected at most {MOST_LAYERS}, as in "
            f"{printable(matching[0])}"
        )
    if not matching:
        close = get_close_matches(layer, names, n=3) or names[:3]
        raise SwatsimError(
            f"layer: got {shown(layer)}, which matches none of the {len(names)} layers of {printable(trace.name)}, "
            f"expected one such as {', '.join(map(printable, close))}"
        )
    return pattern
