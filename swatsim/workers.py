"""Work spread over threads: kernels release the interpreter lock, so processors are used without copies."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TypeVar

from swatsim.errors import SwatsimError
from swatsim.profile import carried

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]  # done, in all

_thread = threading.local()  # .pool: the one that a thread works for


def thread_count(workers: int | None) -> int:
    """The threads that `workers` asks for: None is one per processor."""
    if workers is None:
        return os.cpu_count() or 1
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
        raise SwatsimError(f"workers: got {workers!r}, expected an integer from 1")
    return workers


def in_order(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int, progress: Progress | None
) -> list[Result]:
    """Do the work of all items on threads; the results are in the order of the items, the first error is raised."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(_work_for, pool, carried(work), item) for item in items]
        try:
            pending = set(futures)
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                if progress is not None:
                    progress(len(futures) - len(pending), len(futures))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        return [future.result() for future in futures]


def share(pieces: Sequence[Callable[[], Result]]) -> list[Result]:
    """Do the pieces of one item's work; threads that have nothing else to do help. The results are in order.

    To be called by the work of `in_order`; elsewhere, all is done by the caller.
    """
    pool: ThreadPoolExecutor | None = getattr(_thread, "pool", None)
    if pool is None or len(pieces) == 1:
        return [piece() for piece in pieces]
    futures = [pool.submit(_work_for, pool, _call, carried(piece)) for piece in pieces]
    # What no thread has begun is done here: nobody waits for work that waits in turn.
    return [piece() if future.cancel() else future.result() for piece, future in zip(pieces, futures, strict=True)]


def _call(piece: Callable[[], Result]) -> Result:
    return piece()


def _work_for(pool: ThreadPoolExecutor, work: Callable[[Item], Result], item: Item) -> Result:
    _thread.pool = pool
    return work(item)
