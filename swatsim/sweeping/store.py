"""Finished points in a folder: each a file of its own that appears whole, named by its key, and says its SHA-256."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from swatsim.errors import SwatsimError, TraceError
from swatsim.files import read_at_most, remove_partial_files, write_file
from swatsim.given import path_text
from swatsim.keys.problems import shown
from swatsim.saved import point_of_sweep
from swatsim.trace import plain_files

LARGEST_POINT_BYTES = 1 << 24
_DIGEST = "sha256"
_TRIES = 100


class Store:
    """A folder of points."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        if not path_text(folder, "folder"):
            raise SwatsimError("folder: got an empty name, expected a folder")
        self.folder = Path(folder)

    def make(self) -> None:
        """Make the folder, and rid it of what killed runs left of points; raises SwatsimError."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except ValueError:  # a null character, or half of one
            raise SwatsimError(f"folder: got {shown(str(self.folder))}, expected a path") from None
        except OSError as error:
            raise self._unwritable(error) from None
        if not os.access(self.folder, os.W_OK):
            raise SwatsimError(f"{self.folder}: cannot be written: Permission denied")
        remove_partial_files(self.folder, self._file("[0-9a-f]" * 32).name)

    def read(self, key: str) -> dict[str, Any] | None:
        """The point's document; None where it is not finished. What is damaged is not: it is computed anew.

        Damaged is what is no point by the schema of a sweep, or not the one that was written.
        """
        try:
            with plain_files.open_file(self._file(key), "a point") as file:
                data = read_at_most(file, LARGEST_POINT_BYTES + 1)
        except (OSError, TraceError):
            return None
        try:
            found = point_of_sweep(data, "point") if len(data) <= LARGEST_POINT_BYTES else None
        except SwatsimError:
            return None
        if found is None or found.pop(_DIGEST, None) != _digest(found):
            return None
        return found if found["key"] == key else None

    def write(self, document: Mapping[str, Any]) -> None:
        """Keep a finished point; raises SwatsimError."""
        text = json.dumps({_DIGEST: _digest(document), **document}, allow_nan=False) + "\n"
        try:
            _write(self._file(document["key"]), text.encode())
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> SwatsimError:
        return SwatsimError(f"{self.folder}: cannot be written: {error.strerror}")

    def _file(self, key: str) -> Path:
        return self.folder / f"{key}.json"


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Again where a run that begins just now, as another shard, took the unfinished file for one of a killed run."""
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):
            write_file(path, data, named=False)
            return
    write_file(path, data, named=False)
