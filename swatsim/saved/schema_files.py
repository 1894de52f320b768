"""The JSON Schemas that come with swatsim. `python -m swatsim.schemas` makes them from the declarations in the code."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

# Documents by what they are of, in the order in which they are listed.
_NAMES = ("report", "comparison", "sweep", "exploration")


def schema_id(document_format: str, version: int) -> str:
    """The name of a schema: its `$id`, and the `$schema` of the documents that it is of. Nothing is fetched by it."""
    return f"urn:{document_format}:{version}"


def schema_names() -> tuple[str, ...]:
    """What there is a schema of."""
    return _NAMES


def schema_bytes(name: str) -> bytes:
    """The schema of a kind of document, as its file has it; raises KeyError for an unknown name."""
    if name not in _NAMES:
        raise KeyError(name)
    from importlib.resources import files  # a run that reads no document need not wait for it

    return (files(__package__) / "schemas" / f"{name}.json").read_bytes()


@cache
def schema_of(name: str) -> dict[str, Any]:
    """The same, read; not to be changed."""
    found: dict[str, Any] = json.loads(schema_bytes(name))
    return found
