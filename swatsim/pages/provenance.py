"""Where a page's numbers come from: versions, hashes, and the command that makes them again."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from swatsim.charts.run_rows import trace_title
from swatsim.pages.markup import element, text
from swatsim.pages.table import pairs


def provenance(document: Mapping[str, Any], digest: str) -> str:
    """The document's own facts; `digest` is the SHA-256 of its file."""
    lines = [("document", f"{document['format']} {document['version']}, SHA-256 {digest}"),
             ("swatsim", str(document["swatsim"])), *_trace(document.get("trace")), *_traces(document)]  # fmt: skip
    command = document.get("command")
    again = (
        element("p", "The command that makes it again:") + element("pre", text(shlex.join(command)))
        if command
        else element("p", "The document does not say by which command it was made: Python or an older swatsim made it.")
    )
    return pairs(lines) + again + "".join(_machines(document))


def machine_digest(architecture: Mapping[str, Any]) -> str:
    """The SHA-256 of a machine as it was simulated, overrides included."""
    written = json.dumps(architecture, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()


def _trace(trace: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    if trace is None:
        return
    yield "trace", trace_title(trace) if trace["digest"] is None else f"{trace_title(trace)}, digest {trace['digest']}"
    for key in ("network", "scheme", "sparsity", "selection_period", "optimizer"):
        if trace.get(key) is not None:
            yield key.replace("_", " "), str(trace[key])
    yield from ((str(key), str(value)) for key, value in (trace.get("provenance") or {}).items())


def _traces(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Of an exploration, and of the points of a sweep."""
    of_points = (
        {**point["trace"], "path": str(point["parameters"].get("trace", point["trace"]["name"]))}
        for point in document.get("points", ()) if point["trace"] is not None
    )  # fmt: skip
    for trace in {trace["path"]: trace for trace in (*document.get("traces", ()), *of_points)}.values():
        path = "" if trace["path"] == trace["name"] else f" ({trace['path']})"
        source = ", synthetic" if trace["synthetic"] else ""
        yield "trace", f"{trace['name']}{path}{source}, digest {trace['digest']}"


def _machines(document: Mapping[str, Any]) -> Iterator[str]:
    found: dict[str, Mapping[str, Any]] = {}
    if "architecture" in document:
        found["machine"] = document["architecture"]
    for machine in document.get("machines", ()):
        found[machine["name"]] = machine["architecture"]
    if "baseline" in document:
        found[f"baseline {document['baseline']['name']}"] = document["baseline"]["architecture"]
    for name, architecture in found.items():
        heading = f"{name}: {architecture['name']}, SHA-256 {machine_digest(architecture)}"
        content = json.dumps(architecture, indent=1, ensure_ascii=False)
        # Line by line: what is not printable within a line is escaped, the ends of lines are not.
        written = "\n".join(map(text, content.split("\n")))
        yield element("details", element("summary", text(heading)) + element("pre", written))
