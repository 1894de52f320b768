"""The file of a timeline, by the end of its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from swatsim.errors import SwatsimError
from swatsim.report.timeline_checks import check_timeline
from swatsim.report.timeline_page import to_page
from swatsim.report.trace_events import to_trace_gzip, to_trace_json

if TYPE_CHECKING:
    from swatsim.report.report import Report

Renderer = Callable[["Report"], bytes]

RENDERERS: dict[str, Renderer] = {".json.gz": to_trace_gzip, ".json": to_trace_json, ".html": to_page}


def timeline_renderer(path: str) -> Renderer:
    """What writes a timeline to `path`: known before the simulation starts.

    Raises SwatsimError for a name with another end.
    """
    for suffix, render in RENDERERS.items():
        if path.endswith(suffix):
            return render
    raise SwatsimError(f"timeline: got {path!r}, expected a name that ends in .json.gz, .json or .html")


def render_timeline(report: Report, path: str) -> bytes:
    """The bytes of the file at `path`: trace events (.json.gz, .json), or a page to look at (.html).

    Raises SwatsimError for a name with another end, for a report that kept no timeline, and for a timeline that
    contradicts itself (a block computed before it is loaded, say).
    """
    render = timeline_renderer(path)
    if report.timeline is None:
        raise SwatsimError("timeline: got a report without one, expected that of simulate(..., keep_timeline=True)")
    memory = report.architecture["memory"]
    check_timeline(report.timeline, duplex=memory[next(iter(memory))]["duplex"])
    return render(report)
