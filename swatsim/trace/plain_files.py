"""Files from strangers: only regular ones, opened without following links or waiting for pipes."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from swatsim.errors import TraceError
from swatsim.trace.records import MANIFEST_NAME


def check_directory(path: Path, expected: str, *, may_be_link: bool = False) -> None:
    """Refuse what is not a directory; a link to one too, unless the user's own path may be one."""
    try:
        mode = (path.stat() if may_be_link else path.lstat()).st_mode
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise TraceError(f"{path}: got {_reason(error)}, expected {expected}") from None
    if not stat.S_ISDIR(mode):
        raise TraceError(f"{path}: got {_kind(mode)}, expected {expected}")


def check_file(path: Path, expected: str) -> int:
    """Give the size in bytes of a regular file; refuse anything else, such as a link out of the trace."""
    try:
        status = path.lstat()
    except OSError as error:
        raise TraceError(f"{path}: got {_reason(error)}, expected {expected}") from None
    if not stat.S_ISREG(status.st_mode):
        raise TraceError(f"{path}: got {_kind(status.st_mode)}, expected {expected}")
    return status.st_size


def open_file(path: Path, expected: str) -> io.BufferedReader:
    """Open a regular file for reading; raises TraceError."""
    check_file(path, expected)
    # The flags are for what may take the file's place after the check.
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        return os.fdopen(os.open(path, flags), "rb")
    except OSError as error:
        raise TraceError(f"{path}: got {_reason(error)}, expected {expected}") from None


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "nothing there"
    return f"an error ({error.strerror or error})" if isinstance(error, OSError) else f"an error ({error})"


def _kind(mode: int) -> str:
    kinds = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a directory", stat.S_IFREG: "a file"}
    return kinds.get(stat.S_IFMT(mode), "something else")


def check_replaceable(path: Path) -> None:
    """Refuse to replace a directory that holds something and is no trace: it may be anything. Raises TraceError."""
    if path.is_dir() and not (path / MANIFEST_NAME).is_file() and any(path.iterdir()):
        raise TraceError(f"{path}: got a directory that is no trace, expected one with a {MANIFEST_NAME} to replace")
