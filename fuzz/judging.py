"""What a reader may do with an input: give a value or raise a SwatsimError, within a memory and a time limit."""

from __future__ import annotations

import re
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from swatsim.errors import SwatsimError

MEMORY_LIMIT_BYTES = 512 << 20
TORCH_MEMORY_LIMIT_BYTES = 2 << 30
TIME_LIMIT_S = 10
LONGEST_LINE = 2_000  # characters; names of the input are part of it
_SAID = re.compile(r"got .*expected ", re.DOTALL)
# An architecture's errors, a line each, say some things in other words (docs/architecture.md).
_SAID_OF_YAML = re.compile(r"got |expected |not YAML: |unknown key")


class FoundError(AssertionError):
    """A reader did what it must not."""


def accepts(read: Callable[[], None], *, several_lines: bool = False) -> bool:
    """Whether `read` gave a value; its refusal is checked. Raises FoundError, or whatever else `read` raises."""
    try:
        read()
    except SwatsimError as error:
        check_refusal(str(error), several_lines=several_lines)
        return False
    return True


def check_refusal(message: str, *, several_lines: bool = False) -> None:
    """Refuse a message that is not one printable line which says what was got and expected.

    `several_lines`: of an architecture, one line for each error.
    """
    lines = message.split("\n") if several_lines else [message]
    for line in lines:
        if not line.isprintable():
            raise FoundError(f"message with unprintable characters: {line!r}")
        if len(line) > LONGEST_LINE:
            raise FoundError(f"message of {len(line)} characters: {line[:200]!r}")
    if several_lines:
        wrong = [
            line for line in lines if not _SAID_OF_YAML.search(line) and not re.fullmatch(r"and \d+ more .*", line)
        ]
    else:
        wrong = [] if _SAID.search(message) else [message]
    if wrong:
        raise FoundError(f"message without got and expected: {wrong[0]!r}")


def limit_memory(more_bytes: int) -> None:
    """From now on this process may map so much more than it has: what is beyond is a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


@contextmanager
def time_limit(seconds: int = TIME_LIMIT_S) -> Iterator[None]:
    """Raise FoundError in what takes longer."""

    def stop(_: int, __: FrameType | None) -> None:
        raise FoundError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
