"""Files and directories that appear whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_CHUNK_BYTES = 1 << 20
_USERS_CACHE = "~/.cache"
_OPEN_FILE = r"/dev/(?:fd/[0-9]+|stdin|stdout|stderr)|/proc/(?:self|thread-self|[0-9]+)/fd/[0-9]+"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # <fcntl.h>, <stdio.h> of Linux


def cache_root() -> Path:
    """The folder of all that is kept from run to run: `swatsim` in SWATSIM_CACHE_DIR, or else in the user's cache."""
    given = os.environ.get("SWATSIM_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    root = os.path.expanduser(given or _USERS_CACHE)  # noqa: PTH111  Path's raises
    # A user without a home keeps nothing: below the null device there can be no folder.
    return Path(os.devnull if root == _USERS_CACHE else root) / "swatsim"


def is_address(path: str | os.PathLike[str]) -> bool:
    """Whether something is named by its address, such as https://example.org/traces/resnet50."""
    return "://" in os.fspath(path)


def read_at_most(file: BinaryIO, most_bytes: int) -> bytes:
    """What `file.read(most_bytes)` gives, which would first take the memory of so many bytes, however small the file.

    Raises OSError.
    """
    pieces, left = [], most_bytes
    wanted = os.fstat(file.fileno()).st_size + 1  # of a pipe, 1: the rest comes in chunks
    while left and (piece := file.read(min(left, wanted))):
        pieces.append(piece)
        left -= len(piece)
        wanted = _CHUNK_BYTES
    return b"".join(pieces)


def write_file(
    path: str | Path, data: bytes, check: Callable[[Path], None] | None = None, *, named: bool = True
) -> None:
    """Replace the file at `path` by `data` in one step, after the data has reached the disk.

    check : looks at the new file before it has its name, and raises if it should not have it.
    named : by the user: a link is followed, and what is not a regular file, such as a pipe or /dev/fd/3, is written to
        as it is. Otherwise a link is replaced.

    Raises OSError, or what `check` raises, and then leaves nothing behind and an earlier file untouched.
    """
    given = Path(path)
    as_named = os.path.abspath(given)  # noqa: PTH100  unlike resolve(), keeps /dev/fd/3
    if named and given.exists() and (not given.is_file() or re.fullmatch(_OPEN_FILE, as_named)):
        with given.open("ab") as file:  # a directory raises IsADirectoryError here
            file.write(data)
        return
    target = Path(os.path.realpath(given)) if named else given
    partial = _sibling(target)
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if check is not None:
            check(partial)
        if target.exists():
            shutil.copymode(target, partial)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_directory(target.parent)


@contextmanager
def whole_directory(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary directory beside `path` to fill; it becomes `path` when the block ends well.

    If the block raises, nothing is left. An existing `path` is refused with FileExistsError unless
    `overwrite`, which keeps the earlier directory until the new one is complete.
    """
    target = Path(os.path.abspath(path))  # noqa: PTH100  unlike resolve(), keeps a link's own name
    _refuse_existing(target, overwrite)
    partial = _sibling(target)
    try:
        partial.mkdir()
        yield partial
        _sync_tree(partial)
        _refuse_existing(target, overwrite)
        _move_into_place(partial, target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def remove_partial_files(folder: Path, names: str) -> None:
    """Remove what killed processes left of files that they wrote here; `names` are a pattern of the whole files.

    A process that is writing one just now gets FileNotFoundError from `write_file`, and may write it again.
    """
    for partial in folder.glob(f".{names}.{'[0-9a-f]' * 16}.partial"):
        with suppress(OSError):  # another user's
            partial.unlink()


def sync_directory(path: Path) -> None:
    """Make renames inside `path` survive a power failure, where the system can."""
    if os.name == "nt":  # Windows cannot open a directory
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sibling(target: Path) -> Path:
    """Name a file that is hidden, new, and on the same file system as `target`."""
    name = os.fsencode(target.name)[:200].decode(sys.getfilesystemencoding(), errors="ignore")
    return target.with_name(f".{name}.{os.urandom(8).hex()}.partial")


def _refuse_existing(target: Path, overwrite: bool) -> None:
    if overwrite and (target.is_dir() or not target.exists()) and not target.is_symlink():
        return
    if os.path.lexists(target):
        raise FileExistsError(17, "File exists", str(target))


def _sync_tree(directory: Path) -> None:
    for folder, _, names in os.walk(directory):
        for name in names:
            with Path(folder, name).open("rb") as file:
                os.fsync(file.fileno())
        sync_directory(Path(folder))


def _move_into_place(partial: Path, target: Path) -> None:
    if not target.exists():
        partial.rename(target)
        sync_directory(target.parent)
        return
    old = partial
    if not _exchange(partial, target):
        # Elsewhere a directory cannot replace a full one in one step: for an instant neither has the name.
        old = _sibling(target)
        target.rename(old)
        try:
            partial.rename(target)
        except BaseException:
            old.rename(target)
            raise
    try:
        sync_directory(target.parent)
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two directories in one step, as Linux can on most file systems; False where it cannot."""
    if sys.platform != "linux":
        return False
    import ctypes

    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    paths = os.fsencode(one), os.fsencode(other)
    return rename is not None and rename(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0
