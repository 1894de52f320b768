"""Work in a process of its own: what it starts, such as threads of a network library, ends with it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from swatsim.errors import SwatsimError

Result = TypeVar("Result")
Progress = Callable[[int, int], None]  # done, in all
_POLL_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1  # of prctl(2)


def may_fork() -> bool:
    """Whether a forked process can work.

    A child has no other threads, and what they held stays locked in it; macOS's libraries do not survive a fork.
    """
    return sys.platform == "linux" and threading.active_count() == 1


def end_with(parent: int) -> None:
    """Have this process, forked by `parent`, killed when that one ends, however it does.

    A pool's processes wait for each other's pipes: without this they would wait for ever for work of one that is dead.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # it ended before
        os._exit(1)


class _Inherited:
    counts: Any = None  # shared with the process that began this one


_inherited = _Inherited()


def work_apart(work: Callable[[Progress], Result], progress: Progress | None = None, *, subject: str) -> Result:
    """Do work in a forked process, here where that is not safe; the process could fork others afterwards as before.

    work : a module's function, or a partial of one; it, its result and its errors are pickled. It says what is done.
    subject : what the work is about, for the error.

    Raises SwatsimError where the process dies, and what `work` raises.
    """
    if not may_fork():
        return work(progress or (lambda done, total: None))
    from concurrent.futures import ProcessPoolExecutor, wait
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    context = get_context("fork")
    counts = context.Array("q", 2)
    try:
        with ProcessPoolExecutor(1, context, _begin, (counts, os.getpid())) as pool:
            future = pool.submit(partial(_told, work))
            while progress is not None and not wait([future], _POLL_SECONDS).done:
                progress(*counts[:])
            return future.result()
    except BrokenProcessPool:
        raise SwatsimError(
            f"{subject}: got a process that ended before its work was done, expected its result"
        ) from None


def _begin(counts: Any, parent: int) -> None:
    end_with(parent)
    _inherited.counts = counts


def _told(work: Callable[[Progress], Result]) -> Result:
    def tell(done: int, total: int) -> None:
        _inherited.counts[:] = (done, total)

    return work(tell)
