"""Traces below folders, each from its manifest alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from swatsim.errors import SwatsimError
from swatsim.trace.json_values import fraction_text
from swatsim.trace.manifest import manifest_digest, parse_manifest
from swatsim.trace.plain_files import open_file
from swatsim.trace.records import LARGEST_MANIFEST_BYTES, MANIFEST_NAME, TENSORS_NAME, is_synthetic
from swatsim.trace.shipped import installed_traces, shipped_trace

# Where traces are looked for if nobody says where: the folder of a checkout, else all that is here.
USUAL_FOLDER = "traces"
_DEEPEST = 4
_MOST_FOLDERS = 10_000


def found_traces(folders: Sequence[str]) -> list[Path]:
    """Traces at or below these folders, in the order of their names; without any, where traces usually are.

    Those that come with an installed swatsim are there too, and each is found by its name.

    Raises SwatsimError for a folder that is none.
    """
    given = folders or [USUAL_FOLDER if Path(USUAL_FOLDER).is_dir() else "."]
    places = [str(shipped_trace(Path(folder))) for folder in given]
    for folder in places:
        if not os.path.isdir(folder):  # noqa: PTH112  Path's raises where a name is too long
            raise SwatsimError(f"{folder}: got no folder, expected one to look for traces in")
    found = [path for folder in places for path in traces_below(folder)]
    return found if folders else [*found, *installed_traces()]


def traces_below(folder: str, deepest: int = _DEEPEST) -> Iterator[Path]:
    """Traces at or below a folder, hidden folders left out."""
    start = len(Path(folder).parts)
    for seen, (path, names, files) in enumerate(os.walk(folder)):
        here = Path(path)
        if MANIFEST_NAME in files and TENSORS_NAME in names:
            yield here
            names.clear()
        if len(here.parts) - start >= deepest or seen > _MOST_FOLDERS:
            names.clear()
        names[:] = sorted(name for name in names if not name.startswith("."))


def trace_row(path: Path) -> dict[str, Any]:
    """What the manifest says; of one that cannot be read, why."""
    try:
        return _row(path)
    except SwatsimError as error:
        empty = dict.fromkeys(("network", "scheme", "sparsity", "images", "layers", "source", "digest"))
        return {"path": str(path), **empty, "problem": str(error)}


def _row(path: Path) -> dict[str, Any]:
    source = path / MANIFEST_NAME
    with open_file(source, "the manifest of a trace") as file:
        data = file.read(LARGEST_MANIFEST_BYTES + 1)
    made = parse_manifest(data, str(source))
    metadata, specs = made.metadata, [layer.spec for layer in made.layers]
    return {
        "path": str(path), "network": metadata.network, "scheme": metadata.scheme,
        "sparsity": None if metadata.sparsity is None else fraction_text(metadata.sparsity),
        "images": specs[0].input_shape[0], "layers": len(specs),
        "source": "synthetic" if is_synthetic(metadata.provenance) else "trained",
        "digest": manifest_digest(data), "problem": None,
    }  # fmt: skip
