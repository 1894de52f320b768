"""Work in a process of its own: what it starts, such as threads of a network library, ends with it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from swatsim.errors import ProcessError

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor

Result = TypeVar("Result")
Progress = Callable[[int, int], None]  # done, in all
_POLL_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # <malloc.h>
_LARGE_ARRAY_BYTES = 4 << 20


def may_fork() -> bool:
    """Whether a forked process can work.

    A child has no other threads, and what they held stays locked in it; macOS's libraries do not survive a fork.
    """
    return sys.platform == "linux" and threading.active_count() == 1 and not _is_daemon()


def _is_daemon() -> bool:
    """Whether this is a process of `multiprocessing.Pool`, which lets none of its own have children."""
    module = sys.modules.get("multiprocessing.process")
    return module is not None and bool(module.current_process().daemon)


@contextmanager
def forked_pool(processes: int, begin: Callable[[], None]) -> Iterator[ProcessPoolExecutor]:
    """A pool of forked processes that do not outlive this one, nor a Control-C here; errors wait for what is begun.

    begin : what each of them does first.
    """
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import active_children, get_context

    others = active_children()
    pool = ProcessPoolExecutor(processes, get_context("fork"), begin_process, (os.getpid(), begin))
    try:
        with interrupts_later():
            pool.submit(_nothing)  # the first work forks all of them
        yield pool
    except BaseException as error:
        if not isinstance(error, Exception):
            for process in active_children():
                if process not in others:
                    process.kill()
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


def _nothing() -> None:
    """No work."""


@contextmanager
def interrupts_later() -> Iterator[None]:
    """Fork in this: a process that a Control-C meets before it ignores them would report it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin_process(parent: int, begin: Callable[[], None]) -> None:
    """What a forked process does first, to end no later than `parent`; then `begin`."""
    import ctypes

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # A parent that is killed cannot, and its queue would be waited for without end.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    begin()


def give_back_large_arrays() -> None:
    """Let this process, a forked one, give the memory of large arrays back as soon as they are not needed.

    The C library would keep it, in pieces between what is needed for longer.
    """
    import ctypes

    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE_ARRAY_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, 4 * _LARGE_ARRAY_BYTES)


class _Inherited:
    counts: Any = None  # shared with the process that began this one


_inherited = _Inherited()


def work_apart(work: Callable[[Progress], Result], where: str, progress: Progress | None = None) -> Result:
    """Do work in a forked process, here where that is not safe; the process could fork others afterwards as before.

    work : a module's function, or a partial of one; it, its result and its errors are pickled. It says what is done.
    where : what the work is about, for the error.

    Raises ProcessError where the process dies, and what `work` raises.
    """
    if not may_fork():
        return work(progress or (lambda done, total: None))
    from concurrent.futures import wait
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    counts = get_context("fork").Array("q", 2)
    try:
        with forked_pool(1, partial(_inherit, counts)) as pool:
            future = pool.submit(partial(_told, work))
            while progress is not None and not wait([future], _POLL_SECONDS).done:
                progress(*counts[:])
            return future.result()
    except BrokenProcessPool:
        raise ProcessError(f"{where}: got a process that ended before its work was done, expected its result") from None


def _inherit(counts: Any) -> None:
    _inherited.counts = counts


def _told(work: Callable[[Progress], Result]) -> Result:
    def tell(done: int, total: int) -> None:
        _inherited.counts[:] = (done, total)

    return work(tell)
