"""Compiled kernels on disk: a file for each type of a kernel's arguments, read if it is whole and of that kernel."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

from numba.core.serialize import dumps

SUFFIX = ".nbc"
_DIGEST_BYTES = hashlib.sha256().digest_size


class CacheFiles:
    """What numba's cache of one kernel keeps, by key; it stands in for numba's own files.

    Those have an index, which two processes can leave naming the one's types and the other's code, and numba believes
    what it reads: a file that was cut ends the program, a changed bit can change a result.
    """

    unsaved: OSError | None = None  # why the last kernel of this process that could not be kept was not

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name

    def load(self, key: Any) -> Any:
        """What was saved for a key of the same types, processor and code; None where that is not there, or damaged."""
        try:
            content = self._file(key).read_bytes()
        except OSError:
            return None
        digest, data = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(data).digest() != digest:
            return None
        try:
            found_key, found = pickle.loads(data)
        except Exception:  # a whole file of something else
            return None
        return found if found_key == key else None

    def save(self, key: Any, value: Any) -> None:
        """Keep what is compiled, if that is possible: without it the next program compiles anew."""
        data: bytes = dumps((key, value))  # type: ignore[no-untyped-call]
        file = self._file(key)
        partial = file.with_name(f".{file.name}.{os.urandom(8).hex()}.partial")
        try:
            partial.write_bytes(hashlib.sha256(data).digest() + data)
            partial.replace(file)
        except BaseException as error:
            with contextlib.suppress(OSError):
                partial.unlink()
            if not isinstance(error, OSError):
                raise
            CacheFiles.unsaved = error

    def flush(self) -> None:
        """Forget all of the kernel."""
        for file in self._folder.glob(f"{self._name}.*{SUFFIX}"):
            with contextlib.suppress(OSError):
                file.unlink()

    def _file(self, key: Any) -> Path:
        return self._folder / f"{self._name}.{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}{SUFFIX}"
