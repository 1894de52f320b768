"""Where traces come from other than a captured training step: one file each, found by itself."""

from __future__ import annotations

import hashlib
import importlib
import os
import pkgutil
from pathlib import Path

from swatsim.errors import LayerError, TraceError
from swatsim.sources.assemble import trace_of
from swatsim.sources.source import SOURCES, Contents, Request, Source, open_source, source_of
from swatsim.trace import Trace

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def import_trace(
    path: str | os.PathLike[str], request: Request | None = None, *, name: str, kind: str = "auto"
) -> Trace:
    """Read a file of another format as a trace.

    `kind` is one of `SOURCES`; "auto" goes by the suffix. What the file does not say is asked for in `request`, or
    dense; the trace's provenance says which. Raises SwatsimError.
    """
    given = Path(path)
    source = source_of(given, kind)
    asked = request or Request()
    try:
        contents = source.read(given, asked)
    except LayerError as error:
        raise TraceError(f"{given}: {error}") from None
    facts = {"file": given.name if given.name.isprintable() else ascii(given.name), "kind": source.name}
    if not given.is_dir():
        with open_source(given, "a file") as file:
            facts["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    return trace_of(contents, asked, given, name=name, facts=facts)


__all__ = ["SOURCES", "Contents", "Request", "Source", "import_trace"]
