"""Where a command's output goes: files that appear whole, standard output, and tables for people."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swatsim.errors import SwatsimError
from swatsim.exit_codes import BROKEN_PIPE

if TYPE_CHECKING:
    from rich.console import Console


def check_outputs(outputs: Mapping[str, str | None]) -> None:
    """Refuse files that cannot be written before any work is done for them; `outputs` are by option.

    Raises SwatsimError.
    """
    taken: dict[str, str] = {}
    named: list[Path] = []
    for option, name in outputs.items():
        if name == "":
            raise SwatsimError(f"{option}: got an empty name, expected a file or -")
        if name is None or name == "-":
            continue
        real = os.path.realpath(name)
        if real in taken:
            raise SwatsimError(f"{taken[real]} and {option}: got {name} for both, expected different files")
        taken[real] = option
        named.append(Path(name))
    for path in named:
        reason = None
        if path.is_dir():
            reason = os.strerror(errno.EISDIR)
        elif _is_standard_output(path):
            expected = "- or another file"
            raise SwatsimError(f"{taken[os.path.realpath(path)]}: got {path}, standard output, expected {expected}")
        elif not path.parent.is_dir():
            reason = os.strerror(errno.ENOTDIR if path.parent.exists() else errno.ENOENT)
        elif not os.access(path if path.exists() and not path.is_file() else path.parent, os.W_OK):
            reason = os.strerror(errno.EACCES)
        if reason is not None:
            raise SwatsimError(f"{path}: cannot be written: {reason}")


def _is_standard_output(path: Path) -> bool:
    """Whether what is written there would mix with what is printed; nobody reads the null device."""
    try:
        there, printed = path.stat(), os.fstat(1)
        return os.path.samestat(there, printed) and not os.path.samestat(there, Path(os.devnull).stat())
    except (OSError, ValueError):
        return False


def refuse_two_printed(outputs: Mapping[str, str | None]) -> None:
    """Refuse two outputs, by option, that are both `-`. Raises UsageError."""
    printed = [option for option, name in outputs.items() if name == "-"]
    if len(printed) > 1:
        raise click.UsageError(f"{printed[0]} - and {printed[1]} - cannot both write to standard output")


def write_document(path: str, data: bytes) -> None:
    """Write a file, whole or not at all; raises SwatsimError."""
    from swatsim.files import write_file

    try:
        write_file(path, data)
    except BrokenPipeError:  # of a pipe that was named, as of standard output
        sys.exit(BROKEN_PIPE)
    except OSError as error:
        raise SwatsimError(f"{path}: cannot be written: {error.strerror or error}") from None


def check_folder(option: str, name: str, replaceable: Collection[str]) -> None:
    """Refuse a folder that cannot be written, or that holds anything but files of the `replaceable` paths.

    Raises SwatsimError.
    """
    if not name:
        raise SwatsimError(f"{option}: got an empty name, expected a folder")
    path = Path(name)
    parent = path.absolute().parent
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise SwatsimError(f"{path}: got what is not a folder, expected a new one, or an earlier one of {option}")
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        reason = errno.EACCES if parent.is_dir() else errno.ENOENT
        raise SwatsimError(f"{path}: cannot be written: {os.strerror(reason)}")
    for found in path.rglob("*"):
        if (found.is_symlink() or not found.is_dir()) and found.relative_to(path).as_posix() not in replaceable:
            raise SwatsimError(f"{path}: got a folder that holds {found.name!a}, expected a new one, or an earlier one "
                               f"of {option}")  # fmt: skip


def write_folder(name: str, files: Mapping[str, bytes]) -> None:
    """Write a folder of files, by path in it, in place of an earlier one: whole or not at all. Raises SwatsimError."""
    from swatsim.files import whole_directory

    try:
        with whole_directory(name, overwrite=True) as folder:
            for path, data in files.items():
                (folder / path).parent.mkdir(exist_ok=True)
                (folder / path).write_bytes(data)
    except OSError as error:
        raise SwatsimError(f"{name}: cannot be written: {error.strerror or error}") from None


def write_documents(
    outputs: Mapping[str, str | None], render: Callable[[str, str], bytes], table: Callable[[Console], None]
) -> None:
    """Write each output that was asked for, whole or not at all, and the table unless one of them is `-`.

    `outputs` are by kind; `render` gives the bytes for a kind and its file's name. Raises SwatsimError.
    """
    named = {kind: path for kind, path in outputs.items() if path is not None}
    for kind, path in named.items():
        if path != "-":
            write_document(path, render(kind, path))
    for kind, path in named.items():
        if path == "-":
            write_out(render(kind, path))
            return
    if sys.stdout is not None:
        write_out(_drawn(table).encode(sys.stdout.encoding or "utf-8", errors="replace"))


def _drawn(table: Callable[[Console], None]) -> str:
    """What `table` draws, as standard output can show it: with colors on a terminal, plain elsewhere."""
    from rich.console import Console

    from swatsim.report.view import WIDTH

    on_terminal = sys.stdout.isatty()
    text = io.StringIO()
    width = None if on_terminal else WIDTH
    table(Console(file=text, highlight=False, force_terminal=on_terminal or None, width=width))
    return text.getvalue()


def write_out(data: bytes) -> None:
    """Write to standard output, all of it; the same bytes as a file would hold."""
    if sys.stdout is None:
        raise SwatsimError("standard output: cannot be written: it is closed")
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer cannot be written either: the interpreter must not try at its end.
        sys.stdout = None
        if isinstance(error, BrokenPipeError):  # nobody reads on, which is no mistake
            sys.exit(BROKEN_PIPE)
        raise SwatsimError(f"standard output: cannot be written: {error.strerror or error}") from None


def say(line: str) -> None:
    """Write a line, or lines, to standard output, whatever its encoding; names in it were made printable before."""
    if sys.stdout is not None:
        write_out(f"{line}\n".encode(sys.stdout.encoding or "utf-8", errors="replace"))
