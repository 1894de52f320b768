"""A timeline as one HTML page that draws itself in any browser and asks the network for nothing (docs/timeline.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from swatsim.pages.assets import BASE, asset, fill
from swatsim.passes import PASSES, STREAMING
from swatsim.report.columns import CAUSES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from swatsim.report.report import Report
    from swatsim.timeline import PlacedPass

ENGINES = ("load", "compute", "store")
FORMAT = "swatsim-timeline"
VERSION = 1
_FOLDER = ("swatsim.report", "timeline_assets")
ASSETS = ("page.css", "data.js", "drawing.js", "moving.js", "beside.js")


def to_page(report: Report) -> bytes:
    """Write the timeline as an HTML page; the same report gives the same bytes."""
    page = fill(asset(*_FOLDER, "page.html"), [BASE, *((*_FOLDER, name) for name in ASSETS)])
    # Data last: its text may hold anything, a placeholder too.
    return page.replace("/* data */", _document(report), 1).encode()


def _document(report: Report) -> str:
    """The data as JSON that cannot end its script element, whatever the names: `<` is only ever inside of strings."""
    passes = report.timeline or ()
    levels = report.architecture["memory"]
    names = {
        "layers": _every((), [placed.layer for placed in passes]),
        "pass_names": _every((*PASSES, *STREAMING), [placed.pass_name for placed in passes]),
        "causes": _every((*levels, *CAUSES), [cause for placed in passes for cause in placed.stalls]),
    }
    document = {
        "format": FORMAT,
        "version": VERSION,
        "swatsim": report.swatsim_version,
        "architecture": report.architecture["name"],
        "clock_hz": int(report.architecture["clock_hz"]),
        "channel": next(iter(levels)),
        "trace": report.trace_title,
        "digest": report.trace["digest"],
        **names,
        "passes": [_packed(placed, names) for placed in passes],
    }
    return json.dumps(document, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _every(known: Sequence[str], used: Sequence[str]) -> list[str]:
    """The names, each once: all known ones first, so that a name keeps its color, then others as they come."""
    return list(dict.fromkeys((*known, *used)))


def _packed(placed: PlacedPass, names: Mapping[str, list[str]]) -> dict[str, Any]:
    return {
        "layer": names["layers"].index(placed.layer),
        "pass": names["pass_names"].index(placed.pass_name),
        "start_cycle": int(placed.start_cycle),
        "cycles": int(placed.cycles),
        "compute_cycles": int(placed.compute_cycles),
        "prefetched_cycles": int(placed.prefetched_cycles),
        "ahead": [int(cycle) for cycle in placed.ahead],
        "stalls": [int(placed.stalls.get(cause, 0)) for cause in names["causes"]],
        **{engine: _differences(getattr(placed.spans, engine)) for engine in ENGINES},
    }


def _differences(spans: NDArray[np.int64]) -> list[int]:
    """Start and end of block after block, each less the number before it: short, and exact."""
    differences: list[int] = np.diff(spans.ravel(), prepend=0).tolist()
    return differences
