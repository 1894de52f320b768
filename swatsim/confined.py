"""Read in a process that may take only so much memory and time: what libraries in C++ do cannot be stopped here."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Any, TypeVar

from swatsim.apart import begin_process, interrupts_later, may_fork
from swatsim.errors import SwatsimError, TraceError

if TYPE_CHECKING:
    from multiprocessing.context import ForkProcess

Result = TypeVar("Result")
_MIB = 1 << 20
_READING_MIB_A_SECOND = 4  # a transposed mask of bytes on a slow processor: some 20
# A process that waits for its turn or for a disk is given so much longer than it may compute.
_WAITING = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a process may take: memory beside what it has when it is forked, and time that it computes."""

    memory_bytes: int
    seconds: int


def limits_for(file_bytes: int, *, small: Limits, copies: int) -> Limits:
    """Those of a small file, and what an honest large one needs: memory for `copies` of it, time to go through it."""
    return Limits(
        memory_bytes=small.memory_bytes + copies * file_bytes,
        seconds=small.seconds + file_bytes // (_READING_MIB_A_SECOND * _MIB),
    )


def confined(
    work: Callable[[], Result], limits: Limits, *, where: str, expected: str, begin: Callable[[], object] | None = None
) -> Result:
    """Do work in a forked process within limits; here, without them, where that is not safe.

    work : gives what can be pickled. What it and its libraries print is dropped.
    where, expected : the file and what it should be, for the error.
    begin : what such a process does first.

    Raises what `work` raises, and TraceError where it takes too much or the process dies.
    """
    from multiprocessing import current_process

    if not may_fork() or current_process().daemon:  # which may have no processes of its own
        try:
            return work()
        except MemoryError:
            raise TraceError(f"{where}: got what takes more memory than there is, expected {expected}") from None
    result: Result | _Raised
    got, result = _forked(work, limits, begin)
    if got is not None:
        raise TraceError(f"{where}: got {got}, expected {expected}")
    if isinstance(result, _Raised):
        raise result.error
    return result


@dataclass(frozen=True, slots=True)
class _Raised:
    error: Exception


def _forked(work: Callable[[], Any], limits: Limits, begin: Callable[[], object] | None) -> tuple[str | None, Any]:
    """What was got in place of a result, and the result; the process has ended then, whatever happens."""
    from multiprocessing import get_context
    from multiprocessing.connection import wait

    read_end, write_end = os.pipe()
    readable, writable = os.fdopen(read_end, "rb"), os.fdopen(write_end, "wb")
    process = get_context("fork").Process(
        target=_send, args=(work, partial(_confine, limits, begin), writable, os.getpid())
    )
    try:
        with readable:
            with writable, interrupts_later():
                process.start()
            if not wait([readable.fileno()], _WAITING * limits.seconds):
                return _too_long(limits), None
            try:
                result = pickle.load(readable)
            except (EOFError, pickle.UnpicklingError):
                process.join()
                return _death(process, limits), None
            return (_too_large(limits), None) if result is MemoryError else (None, result)
    finally:
        _end(process)


def _end(process: ForkProcess) -> None:
    if process.pid is not None:
        process.kill()
        process.join()
        process.close()


def _send(work: Callable[[], Any], begin: Callable[[], None], to: IO[bytes], parent: int) -> None:
    begin_process(parent, begin)
    try:
        result = work()
    except MemoryError:
        result = MemoryError
    except SwatsimError as error:
        result = _Raised(error)
    except Exception as error:
        error.add_note("".join(traceback.format_exception(error)))
        result = _Raised(error)
    with to:
        pickle.dump(result, to, protocol=pickle.HIGHEST_PROTOCOL)


def _confine(limits: Limits, begin: Callable[[], object] | None) -> None:
    import faulthandler
    import resource

    # Whoever waits for the process says in one line what became of it.
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    for stream in (1, 2):
        os.dup2(sys.stdout.fileno(), stream)
    faulthandler.disable()
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if begin is not None:
        begin()
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        mapped_bytes = int(file.read().split()[0]) * resource.getpagesize()
    for kind, most in (
        (resource.RLIMIT_AS, mapped_bytes + limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.seconds),
    ):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _death(process: ForkProcess, limits: Limits) -> str:
    code = process.exitcode or 0
    if -code == signal.SIGXCPU:
        return _too_long(limits)
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"what ends the process that reads it ({how})"


def _too_long(limits: Limits) -> str:
    return f"what takes more than {limits.seconds} s to read"


def _too_large(limits: Limits) -> str:
    return f"what takes more than {limits.memory_bytes // _MIB} MiB to read"
