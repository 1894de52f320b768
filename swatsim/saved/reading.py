"""From a file to a document whose format, version and structure are as its schema has them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from swatsim.errors import SwatsimError, TraceError
from swatsim.files import read_at_most
from swatsim.given import path_text
from swatsim.plain_text import printable
from swatsim.saved.dependent_keys import check_dependent_keys, check_point
from swatsim.saved.json_schema import Check, check_document, compiled, part_of
from swatsim.saved.schema_files import schema_names, schema_of
from swatsim.trace.json_values import parse_json, shown
from swatsim.version import __version__

# A sweep of ten thousand points has some 200 MB.
LARGEST_DOCUMENT_BYTES = 1 << 30
# An object of one byte takes 200 of memory, a number 60. Documents have a value in 25 bytes, an object or array in 800.
_MOST_VALUES, _VALUE_BYTES = 2_000_000, 8
_MOST_COLLECTIONS, _COLLECTION_BYTES = 500_000, 64
# No figure is near it: what is drawn is added up, multiplied and divided, which must stay finite.
_LARGEST_NUMBER = 1e100
_COMMANDS = {"report": "run", "comparison": "compare", "sweep": "sweep", "exploration": "explore"}


@dataclass(frozen=True, slots=True)
class Saved:
    """A document that was read: what it is of, what it says, and the SHA-256 of its file."""

    kind: str  # report, comparison, sweep or exploration
    document: Mapping[str, Any]
    hash: str


def load_saved(path: str | os.PathLike[str], kind: str | None = None) -> Saved:
    """Read the JSON of a run, a comparison, a sweep or an exploration; of `kind` alone, if one is given.

    Keys that its schema does not know are left in it: later versions of swatsim may add some.

    Raises SwatsimError: it cannot be read, is no JSON (keys that come twice and NaN are none), is of another format or
    version, or is not built as its schema says.
    """
    where = printable(path_text(path, "path"))
    data = _content(Path(path), where)
    _check_expansion(data, where)
    try:
        document = parse_saved(data, where)
    except TraceError as error:  # by whom the same strictness is asked for
        raise SwatsimError(str(error)) from None
    found = _kind(document, where)
    if kind not in (None, found):
        raise SwatsimError(
            f"{where}: got a {found}, expected a {kind}, as swatsim {_COMMANDS[str(kind)]} --json writes"
        )
    check_document(document, _check_of(found), where)
    check_dependent_keys(document, found, where)
    return Saved(kind=found, document=document, hash=hashlib.sha256(data).hexdigest())


def point_of_sweep(data: bytes, where: str) -> dict[str, Any]:
    """Read one point of a sweep on its own; raises SwatsimError where it is none."""
    found: dict[str, Any] = parse_saved(data, where)
    check_document(found, _check_of("sweep", "#/$defs/point"), where)
    check_point(found, where)
    return found


def parse_saved(data: bytes, where: str) -> Any:
    """Parse the JSON of a document or of a part of one. Raises TraceError."""
    return parse_json(data, where, largest=_LARGEST_NUMBER)


@cache
def _check_of(kind: str, part: str = "#/") -> Check:
    schema = schema_of(kind)
    return compiled(part_of(schema, part), schema)


def _content(path: Path, where: str) -> bytes:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = b"" if size > LARGEST_DOCUMENT_BYTES else read_at_most(file, LARGEST_DOCUMENT_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SwatsimError(f"{where}: cannot be read: {reason}") from None
    if max(size, len(data)) > LARGEST_DOCUMENT_BYTES:
        raise SwatsimError(
            f"{where}: got {max(size, len(data))} bytes, expected at most {LARGEST_DOCUMENT_BYTES} of a document"
        )
    return data


def _check_expansion(data: bytes, where: str) -> None:
    """Refuse what would take many times its size, before anything is made of it."""
    for got, most, bytes_each, what in (
        (data.count(b","), _MOST_VALUES, _VALUE_BYTES, "commas"),
        (data.count(b"{") + data.count(b"["), _MOST_COLLECTIONS, _COLLECTION_BYTES, "objects and arrays"),
    ):
        expected = most + len(data) // bytes_each
        if got > expected:
            raise SwatsimError(f"{where}: got {got} {what} in {len(data)} bytes, expected at most {expected}")


def _kind(document: Any, where: str) -> str:
    """Which of the documents it is, in the version that is read here."""
    formats = {schema_of(name)["properties"]["format"]["const"]: name for name in schema_names()}
    named = document.get("format") if isinstance(document, dict) else None
    if not isinstance(named, str) or named not in formats:
        got = shown(named) if isinstance(document, dict) and "format" in document else "none"
        raise SwatsimError(f"{where}: format: got {got}, expected one of {', '.join(formats)}")
    kind = formats[named]
    version = schema_of(kind)["properties"]["version"]["const"]
    given = document.get("version")
    if type(given) is not int or given != version:
        made = document.get("swatsim")
        by = f"; it was made by swatsim {printable(made)}" if isinstance(made, str) else ""
        raise SwatsimError(
            f"{where}: version: got {shown(given)}, expected {version}, which swatsim {__version__} reads of "
            f"{named}{by}"
        )
    return kind
